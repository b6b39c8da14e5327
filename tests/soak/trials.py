"""How a program runs on each service with a seed, and tells what it found."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from random import SystemRandom
from typing import NoReturn

import click
from rich.console import Console

from tests.soak.figures import Figures

Trial = Callable[[str, int, Path, Figures], list[str]]
"""Of a service, with a seed, in a folder: the promises that were broken, a line each."""


def run_on_each(
    what: str, services: Iterable[str], minutes: float, seed: int | None, trial: Trial
) -> NoReturn:
    """Ends the program *what*: with 1, if a *trial* found anything, whose folder is kept then."""
    seed = SystemRandom().randrange(1_000_000) if seed is None else seed
    is_good = True
    for name in services:
        folder = Path(tempfile.mkdtemp(prefix=f"mountfs-{what}-{name}-"))
        figures = Figures(folder / "diary")
        faults = trial(name, seed, folder, figures)
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
