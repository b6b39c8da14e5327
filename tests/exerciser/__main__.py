"""Random calls on tmpfs and on a mount: ``python -m tests.exerciser --operations 100000 --seed 1``.

It ends with 1 at the first difference, tells the calls before it, and keeps its folder. Only root acts as
other users.
"""

from __future__ import annotations

import sys
from random import SystemRandom

import click

from mountfs.attributes import Links
from tests.exerciser.exercise import Plan, exercise
from tests.mounted.services import SERVICES


@click.command()
@click.option("--operations", default=100_000, show_default=True, help="How many calls.")
@click.option("--seed", type=int, help="What the calls are drawn from.")
@click.option("--service", default="dropbox", show_default=True, type=click.Choice(list(SERVICES)))
@click.option(
    "--end-every", default=5000, show_default=True, help="So many calls between two ends of the mount."
)
@click.option("--links", default="local", show_default=True, type=click.Choice(["local", "rclone"]))
@click.option("--spellings", is_flag=True, help="Each call on the mount spells its names anew: a, A.")
def main(
    operations: int, seed: int | None, service: str, end_every: int, links: str, *, spellings: bool
) -> None:
    """Make random calls on both, with kills and stops of the mount in between."""
    seed = SystemRandom().randrange(1_000_000) if seed is None else seed
    run = exercise(Plan(service, seed, operations, Links(links), spells=spellings, end_every=end_every))
    failed = sum(count for name, count in run.calls.items() if name.endswith(" failed"))
    click.echo(
        f"{service}, seed {seed}: {run.calls.total()} calls, {failed} of them refused alike; "
        f"{run.looks} looks at everything, {run.kills} kills, {run.stops} stops"
    )
    for name, count in sorted(run.calls.items()):
        click.echo(f"  {name}: {count}")
    if run.differences:
        lines = ["The last calls:", *run.recent, "", *run.differences, "", f"kept in {run.kept}"]
        click.echo("\n".join(lines), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
