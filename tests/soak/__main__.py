"""Ordinary programs at work on two mounts of one account, while the service fails at one call of ten, a mount
is killed every 30 s and the disks of the state directories fill up: ``python -m tests.soak``.

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

from tests.soak.figures import Figures
from tests.soak.soak import Plan, soak
from tests.soak.weather import REMOTES


@click.command()
@click.option("--minutes", default=20.0, show_default=True, help="For each service.")
@click.option("--service", default="both", show_default=True, type=click.Choice([*REMOTES, "both"]))
@click.option(
    "--seed", type=int, help="What the writers draw from; the order in which they get their turns differs."
)
def main(minutes: float, service: str, seed: int | None) -> None:
    """Soak two mounts of one account at the stand-in."""
    seed = SystemRandom().randrange(1_000_000) if seed is None else seed
    is_good = True
    for name in REMOTES if service == "both" else [service]:
        folder = Path(tempfile.mkdtemp(prefix=f"mountfs-soak-{name}-"))
        figures = Figures(folder / "diary")
        faults = soak(Plan(name, minutes * 60, seed), folder, figures)
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
