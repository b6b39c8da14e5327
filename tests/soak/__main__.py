"""Ordinary programs at work on two mounts of one account, while the service fails at one call of ten, a mount
is killed every 30 s and the disks of the state directories fill up: ``python -m tests.soak``.

It ends with 1, names the seed and keeps its directories when a promise was broken.
"""

from __future__ import annotations

from pathlib import Path

import click

from tests.soak.figures import Figures
from tests.soak.soak import Plan, soak
from tests.soak.trials import run_on_each
from tests.soak.weather import REMOTES


@click.command()
@click.option("--minutes", default=20.0, show_default=True, help="For each service.")
@click.option("--service", default="both", show_default=True, type=click.Choice([*REMOTES, "both"]))
@click.option(
    "--seed", type=int, help="What the writers draw from; the order in which they get their turns differs."
)
def main(minutes: float, service: str, seed: int | None) -> None:
    """Soak two mounts of one account at the stand-in."""

    def trial(name: str, seed: int, folder: Path, figures: Figures) -> list[str]:
        return soak(Plan(name, minutes * 60, seed), folder, figures)

    run_on_each("soak", REMOTES if service == "both" else [service], minutes, seed, trial)


if __name__ == "__main__":
    main()
