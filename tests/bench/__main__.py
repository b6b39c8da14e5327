"""Times the hot paths of a real mount against the sandbox: ``python -m tests.bench [SCENARIO...]``.

Each scenario prints its figure's minimum, median and maximum over the runs. Nothing is asserted here:
figures depend on the machine. ``--latency-ms`` is added by the sandbox to every reply.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.mounted.realmount import RealMount, small_tree
from tests.mounted.services import SERVICES

MIB = 1024 * 1024
SMALL_FILES = 1000
BIG_MIB = 300

Figures = dict[str, float]


class Bench:
    """One mount and its sandbox, for all scenarios."""

    def __init__(self, service: str, folder: Path, latency_ms: int) -> None:
        self.folder = folder
        self.sandbox = SERVICES[service](folder / "far")
        self.sandbox.start()
        self.sandbox.switches(latency_ms=latency_ms)
        if service == "box":
            self.sandbox.switches(record_exchanges=False)
        self.mount = RealMount(folder, self.sandbox)
        self.mount.start()
        self.source = small_tree(folder / "source", SMALL_FILES)
        self.big = folder / "big"
        with self.big.open("wb") as file:
            for _ in range(BIG_MIB):
                file.write(os.urandom(MIB))
        self._run = 0

    def close(self) -> None:
        self.mount.cleanup()
        self.sandbox.stop()

    def fresh(self) -> Path:
        """A name in the mount that nothing has."""
        self._run += 1
        return self.mount.path / f"run{self._run}"

    def small(self) -> Figures:
        """Copies 1000 files of 4 KiB, and waits for their commit."""
        self.sandbox.reset_log()
        target = self.fresh()
        began = time.perf_counter()
        subprocess.run(["cp", "-r", self.source, target], check=True)
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
        target = self.fresh()
        began = time.perf_counter()
        subprocess.run(["cp", self.big, target], check=True)
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
        self.mount.terminate()
        self.mount.start()  # the cache begins empty
        began = time.perf_counter()
        subprocess.run(["cat", f"{target}.big"], check=True, stdout=subprocess.DEVNULL)
        large = time.perf_counter()
        subprocess.run(["cp", "-r", target, self.folder / "back"], check=True)
        small = time.perf_counter()
        shutil.rmtree(self.folder / "back")
        return {"cat, MiB/s": BIG_MIB / (large - began), "cp, small files/s": SMALL_FILES / (small - large)}


SCENARIOS: dict[str, Callable[[Bench], Figures]] = {
    "small": Bench.small,
    "big": Bench.big_file,
    "stat": Bench.stat,
    "read": Bench.read,
}


@click.command()
@click.argument("scenarios", nargs=-1, type=click.Choice(list(SCENARIOS)))
@click.option("--service", default="dropbox", show_default=True, type=click.Choice(list(SERVICES)))
@click.option("--runs", default=3, show_default=True)
@click.option("--latency-ms", default=0, show_default=True)
def main(scenarios: tuple[str, ...], service: str, runs: int, latency_ms: int) -> None:
    """Times the hot paths of a real mount. Of Box, no rate is kept to."""
    title = f"{service}, {latency_ms} ms latency, {runs} runs"
    table = Table("scenario", "figure", "min", "median", "max", title=title)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(service, Path(folder), latency_ms)
        try:
            for name in scenarios or SCENARIOS:
                seen = [SCENARIOS[name](bench) for _ in range(runs)]
                for figure in seen[0]:
                    values = [each[figure] for each in seen]
                    shown = [min(values), statistics.median(values), max(values)]
                    table.add_row(name, figure, *(f"{value:,.0f}" for value in shown))
        finally:
            bench.close()
    Console().print(table)


if __name__ == "__main__":
    main()
