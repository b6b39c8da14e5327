"""What a fleet of many machines costs, in virtual time: ``python -m tests.bench.crowd``. The figures of
docs/FLEET.md are of it."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.doubles.crowd import Copier, Crowd

SCENES: dict[str, Sequence[Copier]] = {
    "200 machines, 50 files each at once": [Copier(50)] * 200,
    "200 machines, 500 files each at once": [Copier(500)] * 200,
    "10 machines, 3,000 files each at once": [Copier(3_000)] * 10,
    "1 machine, 30,000 files at once": [Copier(30_000)],
    "10 machines, 3,000 files each at 30/s": [Copier(3_000, per_s=30.0)] * 10,
    "1 machine, 30,000 files at 300/s": [Copier(30_000, per_s=300.0)],
    "10 machines, 3,000 files each at 100/s": [Copier(3_000, per_s=100.0)] * 10,
    "1 machine, 30,000 files at 1,000/s": [Copier(30_000, per_s=1_000.0)],
    "200 machines, a file every 10 s each": [Copier(10**6, per_s=0.1)] * 200,
    "200 machines with nothing to commit": [Copier(0)] * 200,
}
LONGEST_S = 1800.0


def row(name: str, works: Sequence[Copier]) -> list[str]:
    """What happened, as it is shown."""
    with tempfile.TemporaryDirectory() as folder:
        world = Crowd(Path(folder), works)
        is_endless = any(each.files >= 10**6 for each in works) or not any(each.files for each in works)
        world.run(LONGEST_S if is_endless else math.inf)
        world.close()
    asked = sum(world.server.asked.values())
    waits_s = world.waits_s() or [0.0]
    turns = [len(world.jobs_of(number)) for number in range(len(works))]
    return [
        name,
        f"{world.now_s:,.0f}",
        f"{len(world.jobs):,}",
        f"{min(turns)} to {max(turns)}",
        f"{min(waits_s):.1f} to {max(waits_s):.1f}",
        f"{asked / max(1.0, world.now_s):.1f}",
        str(world.most_at_once),
    ]


@click.command()
def main() -> None:
    """A job takes 0.5 s and 2 ms for each file."""
    columns = ["", "s", "jobs", "turns of a machine", "mean wait, s", "questions a second", "at once"]
    table = Table(*columns, title="jobs of 0.5 s and 2 ms a file")
    for name, works in SCENES.items():
        table.add_row(*row(name, works))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
