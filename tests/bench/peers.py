"""Times mountfs beside rclone and a bare pass-through: ``python -m tests.bench.peers [JOB...]``.

The far side is a sandbox over TLS, with a latency for each call and jobs that take 0.3 s and 2 ms an entry.
Contestants take turns, each time with a new account, so that a slow moment of the machine meets all of them.
Figures are medians; ratios are medians of the ratios of one turn. Nothing is asserted.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.bench.contestants import MIB, Contestant, Mountfs, PassThrough, Rclone, seconds_until
from tests.bench.lifelike import LifelikeSandbox
from tests.mounted.realmount import small_tree

LARGE_MIB = 512
Figures = dict[str, float]


class Turn:
    """One contestant at one job, with an account of its own."""

    def __init__(self, contestant: Contestant, sandbox: LifelikeSandbox | None, sources: Path) -> None:
        self.contestant = contestant
        self.sandbox = sandbox
        self.sources = sources

    def copied(self, source: Path, files: int) -> Figures:
        """`cp -r`, until all is committed."""
        top = self.contestant.path
        calls = sum(self.sandbox.counts().values()) if self.sandbox else 0
        began_s = time.perf_counter()
        subprocess.run(["cp", "-r", source, top / "copy"], check=True)
        figures = {"cp, s": time.perf_counter() - began_s}
        if self.sandbox is not None:
            figures["committed, s"] = seconds_until(self.sandbox, files, began_s)
            figures["calls"] = sum(self.sandbox.counts().values()) - calls
            cost = self.contestant.cost()
            figures |= {"CPU, s": cost.cpu_s, "peak memory, MiB": cost.peak_bytes / MIB}
        return figures

    def cold(self, order: Callable[[Path], list[str]], source: Path, files: int) -> Figures:
        """A command on what was copied, which nothing is known of any more."""
        self.copied(source, files)
        self.contestant.forget_what_was_read()
        before = self.contestant.cost()
        began_s = time.perf_counter()
        subprocess.run(order(self.contestant.path / "copy"), check=True, stdout=subprocess.DEVNULL)
        took_s = time.perf_counter() - began_s
        cost = self.contestant.cost()
        return {
            "cold, s": took_s,
            "CPU, s": cost.cpu_s - before.cpu_s,
            "peak memory, MiB": cost.peak_bytes / MIB,
        }


def small(turn: Turn) -> Figures:
    return turn.copied(turn.sources / "small", 1000)


def many(turn: Turn) -> Figures:
    return turn.copied(turn.sources / "many", 10_000)


def large(turn: Turn) -> Figures:
    return turn.copied(turn.sources / "large", 1)


def one(turn: Turn) -> Figures:
    return turn.copied(turn.sources / "one", 1)


def read_small(turn: Turn) -> Figures:
    return turn.cold(lambda path: ["grep", "-rc", "x", str(path)], turn.sources / "small", 1000)


def read_large(turn: Turn) -> Figures:
    return turn.cold(lambda path: ["cat", str(path)], turn.sources / "large", 1)


JOBS: dict[str, Callable[[Turn], Figures]] = {
    "small": small,
    "many": many,
    "large": large,
    "one": one,
    "read-small": read_small,
    "read-large": read_large,
}
MAY_PASS_THROUGH = ("small", "many", "large", "one")


def make_sources(folder: Path, jobs: Sequence[str]) -> None:
    if {"small", "read-small"} & set(jobs):
        small_tree(folder / "small", 1000)
    if "many" in jobs:
        small_tree(folder / "many", 10_000)
    if {"large", "read-large"} & set(jobs):
        with (folder / "large").open("wb") as file:
            for _ in range(LARGE_MIB):
                file.write(os.urandom(MIB))
    (folder / "one").write_bytes(random.Random(1).randbytes(4096))


def take_turn(name: str, job: str, service: str, folder: Path, sources: Path, latency_ms: float) -> Figures:
    if name == PassThrough.name:
        bare = PassThrough(folder)
        bare.mount()
        try:
            return JOBS[job](Turn(bare, None, sources))
        finally:
            bare.unmount()
    with LifelikeSandbox(service, folder / "far", latency_ms) as sandbox:
        kind = Mountfs if name == Mountfs.name else Rclone
        contestant = kind(folder / name, sandbox)
        contestant.mount()
        try:
            return JOBS[job](Turn(contestant, sandbox, sources))
        finally:
            contestant.unmount()
            contestant.close()


@click.command()
@click.argument("jobs", nargs=-1, type=click.Choice(list(JOBS)))
@click.option("--service", default="dropbox", show_default=True, type=click.Choice(["dropbox", "box"]))
@click.option("--runs", default=3, show_default=True)
@click.option("--latency-ms", default=50.0, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Where all state is kept, such as on ext4.")
def main(jobs: tuple[str, ...], service: str, runs: int, latency_ms: float, folder: Path | None) -> None:
    """Times jobs side by side; without JOBS small, large and one."""
    chosen = jobs or ("small", "large", "one")
    table = Table("job", "figure", "mountfs", "rclone", "pass-through", "rclone / mountfs", "mountfs / bare")
    table.title = f"{service}, {latency_ms:.0f} ms, medians of {runs} turns"
    with tempfile.TemporaryDirectory(dir=folder) as name:
        top = Path(name)
        sources = top / "sources"
        sources.mkdir()
        make_sources(sources, chosen)
        for job in chosen:
            names = [Mountfs.name, Rclone.name, *([PassThrough.name] if job in MAY_PASS_THROUGH else [])]
            seen: dict[str, list[Figures]] = {name: [] for name in names}
            for _ in range(runs):
                for who in names:
                    with tempfile.TemporaryDirectory(dir=top) as own:
                        seen[who].append(
                            take_turn(who, job, service, Path(own) / "turn", sources, latency_ms)
                        )
            _add_rows(table, job, seen)
        shutil.rmtree(sources)
    Console().print(table)


def _add_rows(table: Table, job: str, seen: dict[str, list[Figures]]) -> None:
    for figure in seen[Mountfs.name][0]:
        values = {who: [each[figure] for each in figures if figure in each] for who, figures in seen.items()}
        shown = [_median(values.get(who, [])) for who in (Mountfs.name, Rclone.name, PassThrough.name)]
        ours = values[Mountfs.name]
        behind = _ratio(values[Rclone.name], ours)
        above = _ratio(ours, values.get(PassThrough.name, []))
        table.add_row(job, figure, *shown, behind, above)


def _median(values: list[float]) -> str:
    return f"{statistics.median(values):.3g}" if values else ""


def _ratio(above: list[float], below: list[float]) -> str:
    if not above or not below:
        return ""
    return f"{statistics.median(a / b for a, b in zip(above, below, strict=True) if b):.2f}"


if __name__ == "__main__":
    main()
