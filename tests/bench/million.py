"""What a mount costs whose account has a million entries: memory, starts, listings and calls."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.contestants import cost_of, with_children
from tests.bench.filled import fill
from tests.mounted.realmount import RealMount
from tests.mounted.sandboxprocess import SandboxProcess

MIB = 1024 * 1024
FOLDER_FILES = 1000
LOOKED_AT = 20_000
KERNEL_KEEPS_S = 1.1
"""A little longer than the kernel answers by itself."""


def million(folder: Path, far_side: SandboxProcess, entries: int) -> dict[str, float]:
    """Fills the account of *far_side*, a stand-in of Dropbox, with so many files, and walks it.

    Memory is at most so far, since the last start: of the mount's process, and of its network process.
    """
    folders = max(1, entries // FOLDER_FILES)
    _fill(far_side, folders)
    figures: dict[str, float] = {}

    def timed(what: str, call: Callable[[], object], *, is_start: bool = False) -> None:
        before_s = 0.0 if is_start else _cpu_s(mount)
        began = time.perf_counter()
        call()
        figures[f"{what}, s"] = time.perf_counter() - began
        figures[f"{what}, CPU s"] = _cpu_s(mount) - before_s
        ours, network = _peaks(mount)
        figures[f"memory after {what}, MiB"] = (ours + network) / MIB
        figures[f"of that the network process after {what}, MiB"] = network / MIB

    folder.mkdir(parents=True, exist_ok=True)
    with RealMount(folder, far_side) as mount:
        timed("first start", mount.start, is_start=True)
        timed("ls of one folder", lambda: _run("ls", mount.path / "d0000"))
        timed("find", lambda: _run("find", mount.path))
        timed("du", lambda: _run("du", "-s", mount.path))
        timed("ls -lR", lambda: _run("ls", "-lR", mount.path))
        timed("ls -l of one folder", lambda: _run("ls", "-l", mount.path / "d0000"))
        figures["stat, a second"] = _stats(mount.path, folders)
        assert mount.terminate() == 0
        timed("start again", mount.start, is_start=True)
        timed("find again", lambda: _run("find", mount.path))
        assert mount.terminate() == 0
        far_side.stop()
        timed("start without the service", mount.start, is_start=True)
        timed("find without the service", lambda: _run("find", mount.path))
        figures["journal, MiB"] = sum(each.stat().st_size for each in _journals(mount)) / MIB
        assert mount.terminate() == 0
    return figures


def _fill(far_side: SandboxProcess, folders: int) -> None:
    """As many folders of FOLDER_FILES files, written into the stand-in's tables while it does not run."""
    far_side.write("/first", "x")
    far_side.stop()
    fill(far_side.data, folders, FOLDER_FILES)
    far_side.start()


def _stats(top: Path, folders: int) -> float:
    """Calls a second, of files that are looked at one after another in folders all over the account. The
    first of each is not counted: it has the folder read from the journal."""
    step = max(1, folders // (LOOKED_AT // FOLDER_FILES))
    took_s, looked_at = 0.0, 0
    for number in range(0, folders, step):
        paths = [f"{top}/d{number:04}/f{each:04}" for each in range(FOLDER_FILES)]
        time.sleep(KERNEL_KEEPS_S)  # or the kernel would answer from the attributes that it has
        os.stat(paths[0])
        began = time.perf_counter()
        for path in paths[1:]:
            os.stat(path)
        took_s += time.perf_counter() - began
        looked_at += len(paths) - 1
    return looked_at / took_s


def _peaks(mount: RealMount) -> tuple[int, int]:
    """The most memory, in bytes, of the mount's process and of its network process."""
    own, *others = (cost_of(pid).peak_bytes for pid in with_children(mount.pid))
    return own, sum(others)


def _cpu_s(mount: RealMount) -> float:
    return sum(cost_of(pid).cpu_s for pid in with_children(mount.pid))


def _journals(mount: RealMount) -> list[Path]:
    return list(mount.state_dir.glob("accounts/*/slot-*/journal.db*"))


def _run(*order: str | Path) -> None:
    subprocess.run(order, check=True, stdout=subprocess.DEVNULL)
