"""Two mounts and another client change one tree at random, and readers look whether they ever see a mix of
two revisions: ``python -m tests.converge``.

It ends with 1, names the seed and keeps its directories when a promise was broken.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

import click
from rich.console import Console

from tests.converge.run import Plan, converge
from tests.mounted.services import SERVICES
from tests.soak.figures import Figures

KINDS = ("dropbox", "box")


@click.command()
@click.option("--minutes", default=5.0, show_default=True, help="For each service.")
@click.option("--service", default="both", show_default=True, type=click.Choice([*KINDS, "both"]))
@click.option("--seed", type=int, help="What is drawn from; the order of turns differs.")
def main(minutes: float, service: str, seed: int | None) -> None:
    """Have two mounts and another client change one tree."""
    seed = SystemRandom().randrange(1_000_000) if seed is None else seed
    is_good = True
    for name in KINDS if service == "both" else [service]:
        folder = Path(tempfile.mkdtemp(prefix=f"mountfs-converge-{name}-"))
        figures = Figures(folder / "diary")
        with SERVICES[name](folder / "far-side") as far_side:
            faults = converge(Plan(minutes * 60, seed), folder, far_side, figures)
        figures.close()
        Console().print(figures.table(f"{name}, {minutes:g} minutes, seed {seed}"))
        if faults:
            is_good = False
            click.echo(f"{name}: {len(faults)} faults; seed {seed}, kept in {folder}", err=True)
            for fault in faults:
                click.echo(f"  {fault}", err=True)
        else:
            shutil.rmtree(folder)
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
