"""What a mount costs whose account has a million entries: memory, starts, listings and calls."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.mounted.realmount import RealMount
from tests.mounted.sandboxprocess import SandboxProcess

MIB = 1024 * 1024
FOLDER_FILES = 1000
LOOKED_AT = 20_000
FIRST_REV = 0x0160000001000


def million(folder: Path, far_side: SandboxProcess, entries: int) -> dict[str, float]:
    """Fills the account of *far_side*, a stand-in of Dropbox, with so many files, and walks it.

    Memory is that of the mount's two processes together, at most so far.
    """
    folders = max(1, entries // FOLDER_FILES)
    _fill(far_side, folders)
    figures: dict[str, float] = {}

    def timed(what: str, call: Callable[[], object]) -> None:
        began = time.perf_counter()
        call()
        figures[f"{what}, s"] = time.perf_counter() - began
        figures[f"memory after {what}, MiB"] = _peak(mount) / MIB

    folder.mkdir(parents=True, exist_ok=True)
    with RealMount(folder, far_side) as mount:
        timed("first start", mount.start)
        timed("ls of one folder", lambda: _run("ls", mount.path / "d0000"))
        timed("find", lambda: _run("find", mount.path))
        timed("du", lambda: _run("du", "-s", mount.path))
        timed("ls -l of one folder", lambda: _run("ls", "-l", mount.path / "d0000"))
        figures["stat, a second"] = _stats(mount.path, folders)
        assert mount.terminate() == 0
        timed("start again", mount.start)
        timed("find again", lambda: _run("find", mount.path))
        figures["journal, MiB"] = sum(each.stat().st_size for each in _journals(mount)) / MIB
        assert mount.terminate() == 0
    return figures


def _fill(far_side: SandboxProcess, folders: int) -> None:
    """As many folders of FOLDER_FILES files, written into the stand-in's tables while it does not run."""
    far_side.write("/first", "x")
    far_side.stop()
    with sqlite3.connect(far_side.data / "state.db") as rows:
        blob, digest = rows.execute("SELECT blob, content_hash FROM revision").fetchone()
        times = rows.execute("SELECT client_modified, server_modified FROM revision").fetchone()
        rev = FIRST_REV
        for number in range(folders):
            top = f"/d{number:04}"
            rows.execute("INSERT INTO entry VALUES (?, '', ?, ?, NULL)", (top, top, f"id:folder{number:014}"))
            names = [(f"{top}/f{each:04}", f"id:{number:08}x{each:011}") for each in range(FOLDER_FILES)]
            revs = [f"{rev + each:015x}" for each in range(FOLDER_FILES)]
            rev += FOLDER_FILES
            rows.executemany(
                "INSERT INTO revision VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?)",
                [(r, i, n, n, digest, *times, blob) for r, (n, i) in zip(revs, names, strict=True)],
            )
            rows.executemany(
                "INSERT INTO entry VALUES (?, ?, ?, ?, ?)",
                [(n, top, n, i, r) for r, (n, i) in zip(revs, names, strict=True)],
            )
            changed = [(top, ""), *((n, top) for n, _ in names)]
            rows.executemany("INSERT INTO change (path_lower, parent_lower) VALUES (?, ?)", changed)
        rows.execute("UPDATE blob SET heads = heads + ?", (folders * FOLDER_FILES,))
    rows.close()
    far_side.start()


def _stats(top: Path, folders: int) -> float:
    """Calls a second, of files that are looked at one after another in folders all over the account."""
    step = max(1, folders // (LOOKED_AT // FOLDER_FILES))
    paths = [
        f"{top}/d{number:04}/f{each:04}" for number in range(0, folders, step) for each in range(FOLDER_FILES)
    ]
    for path in paths[::FOLDER_FILES]:
        os.stat(path)
    began = time.perf_counter()
    for path in paths:
        os.stat(path)
    return len(paths) / (time.perf_counter() - began)


def _peak(mount: RealMount) -> int:
    """The most memory of the mount's process and of its network process, so far."""
    found = 0
    for task in Path(f"/proc/{mount.pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += _peak_of(int(child))
    return found + _peak_of(mount.pid)


def _peak_of(pid: int) -> int:
    told = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert told is not None
    return int(told[1]) * 1024


def _journals(mount: RealMount) -> list[Path]:
    return list(mount.state_dir.glob("accounts/*/slot-*/journal.db*"))


def _run(*order: str | Path) -> None:
    subprocess.run(order, check=True, stdout=subprocess.DEVNULL)
