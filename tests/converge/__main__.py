"""Two mounts and another client change one tree at random, and readers look whether they ever see a mix of
two revisions: ``python -m tests.converge``.

It ends with 1, names the seed and keeps its directories when a promise was broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from tests.converge.run import Plan, converge
from tests.mounted.services import SERVICES
from tests.soak.figures import Figures
from tests.soak.trials import run_on_each
from tests.soak.weather import SWITCHES

KINDS = ("dropbox", "box")


@click.command()
@click.option("--minutes", default=5.0, show_default=True, help="For each service.")
@click.option("--service", default="both", show_default=True, type=click.Choice([*KINDS, "both"]))
@click.option("--seed", type=int, help="What is drawn from; the order of turns differs.")
@click.option(
    "--kill-every", default=0.0, show_default=True, help="So many seconds between two kills of a mount."
)
@click.option("--weather", is_flag=True, help="One of ten calls of the service goes wrong.")
@click.option(
    "--option", "options", type=(str, str), multiple=True, help="Of both mounts: its name and value."
)
def main(
    minutes: float,
    service: str,
    seed: int | None,
    kill_every: float,
    options: Sequence[tuple[str, str]],
    *,
    weather: bool,
) -> None:
    """Have two mounts and another client change one tree."""

    def trial(name: str, seed: int, folder: Path, figures: Figures) -> list[str]:
        with SERVICES[name](folder / "far-side", **(SWITCHES[name] if weather else {})) as far_side:
            plan = Plan(minutes * 60, seed, kill_every_s=kill_every, weather=weather, options=options)
            return converge(plan, folder, far_side, figures)

    run_on_each("converge", KINDS if service == "both" else [service], minutes, seed, trial)


if __name__ == "__main__":
    main()
