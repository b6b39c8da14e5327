"""Times the hot paths of a real mount against the sandbox: ``python -m tests.bench [SCENARIO...]``.

Each scenario prints its figure's minimum, median and maximum over the runs. Nothing is asserted here:
figures depend on the machine. ``--latency-ms`` is added by the sandbox to every reply.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.bench.journal import journal
from tests.bench.million import LOOKED_AT, million
from tests.bench.pending import pending
from tests.bench.remount import remount
from tests.mounted.realmount import RealMount, small_tree
from tests.mounted.sandboxprocess import SandboxProcess
from tests.mounted.services import SERVICES

MIB = 1024 * 1024
SMALL_FILES = 1000
BIG_MIB = 300
EDITED_MIB = 256

Figures = dict[str, float]


class Bench:
    """What scenarios work with: one mount and its account for most, or some of their own."""

    def __init__(self, service: str, folder: Path, latency_ms: int, pending: int, entries: int) -> None:
        self.folder = folder
        self._service = service
        self._latency_ms = latency_ms
        self._pending = pending
        self._entries = entries
        self._stack = contextlib.ExitStack()
        self._run = 0

    def close(self) -> None:
        self._stack.close()

    @cached_property
    def sandbox(self) -> SandboxProcess:
        return self._stack.enter_context(self._account(self.folder))

    @cached_property
    def mount(self) -> RealMount:
        mount = self._stack.enter_context(RealMount(self.folder, self.sandbox))
        mount.start()
        return mount

    @cached_property
    def source(self) -> Path:
        """A folder of small files."""
        return small_tree(self.folder / "source", SMALL_FILES)

    @cached_property
    def big(self) -> Path:
        path = self.folder / "big"
        with path.open("wb") as file:
            for _ in range(BIG_MIB):
                file.write(os.urandom(MIB))
        return path

    @contextlib.contextmanager
    def _account(self, folder: Path) -> Iterator[SandboxProcess]:
        with SERVICES[self._service](folder / "far") as far_side:
            far_side.switches(latency_ms=self._latency_ms)
            if self._service == "box":
                far_side.switches(record_exchanges=False)
            yield far_side

    @contextlib.contextmanager
    def _alone(self) -> Iterator[tuple[Path, SandboxProcess]]:
        """A folder and an account of a scenario's own."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name, self._account(Path(name)) as far_side:
            yield Path(name), far_side

    def fresh(self) -> Path:
        """A name in the mount that nothing has."""
        self._run += 1
        return self.mount.path / f"run{self._run}"

    def _forget_what_was_read(self) -> None:
        """From here on the cache is cold."""
        self.mount.terminate()
        for cached in self.mount.state_dir.glob("accounts/*/slot-*/cache/*"):
            cached.unlink()
        self.mount.start()

    def small(self) -> Figures:
        """Copies 1000 files of 4 KiB, and waits for their commit."""
        source, target = self.source, self.fresh()
        self.sandbox.reset_log()
        began = time.perf_counter()
        subprocess.run(["cp", "-r", source, target], check=True)
        copied = time.perf_counter()
        self.mount.wait_committed()
        done = time.perf_counter()
        return {
            "cp, files/s": SMALL_FILES / (copied - began),
            "committed, files/s": SMALL_FILES / (done - began),
            "upload calls": self.sandbox.uploads(),
        }

    def big_file(self) -> Figures:
        """Copies one file of 300 MiB, and waits for its commit."""
        source, target = self.big, self.fresh()
        began = time.perf_counter()
        subprocess.run(["cp", source, target], check=True)
        copied = time.perf_counter()
        self.mount.wait_committed()
        done = time.perf_counter()
        return {
            "cp, MiB/s": BIG_MIB / (copied - began),
            "committed, MiB/s": BIG_MIB / (done - began),
            "peak memory, MiB": self.mount.peak_memory_bytes() / MIB,
        }

    def stat(self) -> Figures:
        """Stats 1000 files by name, again and again past the kernel's cache."""
        target = self.fresh()
        subprocess.run(["cp", "-r", self.source, target], check=True)
        self.mount.wait_committed()
        paths = [path for path in target.rglob("*") if path.is_file()]
        # A name that does not exist is asked for anew each time: the kernel keeps no negative entries.
        began = time.perf_counter()
        for path in paths:
            (path.parent / f"{path.name}.none").exists()
        absent = time.perf_counter()
        subprocess.run(["ls", "-lR", target], check=True, stdout=subprocess.DEVNULL)
        return {
            "look-ups/s": len(paths) / (absent - began),
            "ls -lR, files/s": len(paths) / (time.perf_counter() - absent),
        }

    def read(self) -> Figures:
        """Reads what another mount wrote: 1000 small files, and a large one, through a cold cache."""
        target = self.fresh()
        subprocess.run(["cp", "-r", self.source, target], check=True)
        subprocess.run(["cp", self.big, f"{target}.big"], check=True)
        self.mount.wait_committed()
        self._forget_what_was_read()
        began = time.perf_counter()
        subprocess.run(["cat", f"{target}.big"], check=True, stdout=subprocess.DEVNULL)
        large = time.perf_counter()
        subprocess.run(["cp", "-r", target, self.folder / "back"], check=True)
        small = time.perf_counter()
        shutil.rmtree(self.folder / "back")
        return {"cat, MiB/s": BIG_MIB / (large - began), "cp, small files/s": SMALL_FILES / (small - large)}

    def edit(self) -> Figures:
        """Writes 4 KiB into the middle of a remote file of 256 MiB, and waits for its commit."""
        target = self.fresh()
        with self.big.open("rb") as source, target.open("wb") as file:
            for _ in range(EDITED_MIB):
                file.write(source.read(MIB))
        self.mount.wait_committed()
        self._forget_what_was_read()
        began = time.perf_counter()
        place = ["bs=4096", "count=1", f"seek={EDITED_MIB * MIB // 2 // 4096}", "conv=notrunc", "status=none"]
        subprocess.run(["dd", "if=/dev/urandom", f"of={target}", *place], check=True)
        edited = time.perf_counter()
        self.mount.wait_committed()
        return {"dd, s": edited - began, "committed, s": time.perf_counter() - began}

    def pending(self) -> Figures:
        """Calls and starts without the service, with nothing pending and with very much."""
        with self._alone() as (folder, far_side):
            return pending(folder, far_side, self._pending)

    def journal(self) -> Figures:
        """The size of the journal while 20,000 files are written."""
        with self._alone() as (folder, far_side):
            return journal(folder, far_side)

    def million(self) -> Figures:
        """An account with a million entries, and one with so many as are looked at; on Dropbox."""
        with self._alone() as (folder, far_side):
            figures = million(folder / "many", far_side, self._entries)
        with self._alone() as (folder, far_side):
            few = million(folder / "few", far_side, LOOKED_AT)
        return {**figures, "stat, a second, in a small account": few["stat, a second"]}

    def remount(self) -> Figures:
        """A tree of 2,000 files that is known, on a mount started anew without the service."""
        with self._alone() as (folder, far_side):
            return remount(folder, far_side)


SCENARIOS: dict[str, Callable[[Bench], Figures]] = {
    "small": Bench.small,
    "big": Bench.big_file,
    "stat": Bench.stat,
    "read": Bench.read,
    "edit": Bench.edit,
    "remount": Bench.remount,
    "journal": Bench.journal,
    "million": Bench.million,
    "pending": Bench.pending,
}
USUAL = ("small", "big", "stat", "read")
"""What is timed if nothing is named: the others take minutes."""


def shown(value: float) -> str:
    """Three digits of it, or all of a large one."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


@click.command()
@click.argument("scenarios", nargs=-1, type=click.Choice(list(SCENARIOS)))
@click.option("--service", default="dropbox", show_default=True, type=click.Choice(list(SERVICES)))
@click.option("--runs", default=3, show_default=True)
@click.option("--latency-ms", default=0, show_default=True)
@click.option("--pending", default=100_000, show_default=True, help="Changes of the scenario `pending`.")
@click.option("--entries", default=1_000_000, show_default=True, help="Files of the scenario `million`.")
def main(
    scenarios: tuple[str, ...], service: str, runs: int, latency_ms: int, pending: int, entries: int
) -> None:
    """Times the hot paths of a real mount. Of Box, no rate is kept to."""
    title = f"{service}, {latency_ms} ms latency, {runs} runs"
    table = Table("scenario", "figure", "min", "median", "max", title=title)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(service, Path(folder), latency_ms, pending, entries)
        try:
            for name in scenarios or USUAL:
                seen = [SCENARIOS[name](bench) for _ in range(runs)]
                for figure in seen[0]:
                    values = [each[figure] for each in seen]
                    spread = [min(values), statistics.median(values), max(values)]
                    table.add_row(name, figure, *map(shown, spread))
        finally:
            bench.close()
    Console().print(table)


if __name__ == "__main__":
    main()
