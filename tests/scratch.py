"""Where the files of a test are: in memory, or on a disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 << 30
"""Four times what five processes have at once, with the largest files of the tests."""
KEPT = 8
"""So many processes that have ended keep what tests left there that failed."""

ON_DISK = (
    *("tests/crash/", "tests/mounted/", "tests/service/", "tests/soak/"),
    *("tests/unit/reading/", "tests/unit/spool/"),
)
"""Tests of mounts as a user has them, and of what a file system does by itself: gaps, room, files without a
name. Elsewhere a disk only takes time: to make and remove the journal and the folders of each of ten thousand
tests was a quarter of what they cost."""


class Scratch:
    """The folders of one process's tests."""

    def __init__(self, on_disk: Path, in_memory: Path | None) -> None:
        self._on_disk = on_disk
        self.in_memory = in_memory or on_disk
        self._numbers = count()

    def folder(self, nodeid: str) -> Path:
        """A new one, for this test."""
        top = self._on_disk if nodeid.startswith(ON_DISK) else self.in_memory
        made = top / f"t{next(self._numbers)}"
        made.mkdir(mode=0o700)
        return made


@contextmanager
def in_memory(memory: Path = MEMORY) -> Iterator[Path | None]:
    """A folder there, which ends with the block unless something is left in it. None: there is too little
    room for all tests, as in a container that was given no more, or none at all."""
    try:
        made = _made(memory) if shutil.disk_usage(memory).free >= ROOM_BYTES else None
    except OSError:
        made = None
    try:
        yield made
    finally:
        if made is not None:
            with suppress(OSError):
                made.rmdir()


def _made(memory: Path) -> Path:
    parent = memory / f"mountfs-tests-{os.getuid()}"
    parent.mkdir(mode=0o700, exist_ok=True)
    _forget_old_runs(parent)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))


def _forget_old_runs(parent: Path) -> None:
    ended = [run for run in parent.iterdir() if not Path("/proc", run.name.partition("-")[0]).exists()]
    with suppress(FileNotFoundError):  # another process may be at it, too
        ended.sort(key=lambda run: run.stat().st_mtime, reverse=True)
    for run in ended[KEPT:]:
        shutil.rmtree(run, ignore_errors=True)
