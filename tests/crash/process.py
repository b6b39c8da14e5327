"""``mountfs`` with a point to die at around everything that outlives it.

Run as ``python -m tests.crash.process CONTROL_DIRECTORY ARGUMENTS...``: the real program, whose disk, store
and requests pass the points of ``points.py`` first. It speaks with the service by itself: who dies is the
whole mount. SIGUSR1 has it read its order.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from daemon import core
from daemon.cli import run
from daemon.process import assembly
from mountfs.backends.http import HttpClient
from mountfs.spool.disk import RealDisk
from mountfs.tree.store import Store
from tests.crash.points import Points
from tests.doubles.connections import connect_in_process

POINTS: Points
"""Of this process; set before anything else runs."""

_PASSES_ON = ("contextlib", "mountfs.tree.tree", "mountfs.tree.transaction", __name__)
"""A transaction is named for who asked for it, not for what it passed through on its way to the store."""


class PointedDisk(RealDisk):
    """Dies before and after each call that changes the disk, and in the middle of a write."""

    def create(self, path: str) -> int:
        return POINTS.around("disk.create", lambda: super(PointedDisk, self).create(path))

    def name(self, fd: int, path: str) -> None:
        # A new file in the spool, like any other: which of the two it is depends on who was quicker.
        POINTS.around("disk.create", lambda: super(PointedDisk, self).name(fd, path))

    def pwrite(self, fd: int, data: bytes, offset: int) -> None:
        half = len(data) // 2
        POINTS.passed("disk.pwrite:before")
        super().pwrite(fd, data[:half], offset)
        POINTS.passed("disk.pwrite:middle")
        super().pwrite(fd, data[half:], offset + half)
        POINTS.passed("disk.pwrite:after")

    def truncate(self, fd: int, size_bytes: int) -> None:
        POINTS.around("disk.truncate", lambda: super(PointedDisk, self).truncate(fd, size_bytes))

    def copy(self, source_fd: int, target_fd: int, length: int, at: int = 0) -> None:
        POINTS.around("disk.copy", lambda: super(PointedDisk, self).copy(source_fd, target_fd, length, at))

    def fdatasync(self, fd: int) -> None:
        POINTS.around("disk.fdatasync", lambda: super(PointedDisk, self).fdatasync(fd))

    def sync_directory(self, path: str) -> None:
        POINTS.around("disk.sync_directory", lambda: super(PointedDisk, self).sync_directory(path))

    def remove(self, path: str) -> None:
        POINTS.around("disk.remove", lambda: super(PointedDisk, self).remove(path))

    def rename(self, source: str, target: str) -> None:
        POINTS.around("disk.rename", lambda: super(PointedDisk, self).rename(source, target))

    def label(self, fd: int, text: str) -> bool:
        return POINTS.around("disk.label", lambda: super(PointedDisk, self).label(fd, text))


class PointedStore(Store):
    """Dies with a transaction begun, about to be committed, and committed; and around checkpoints."""

    _asked_by = ""

    def begin(self) -> None:
        self._asked_by = f"store.{_caller()}"
        super().begin()
        POINTS.passed(f"{self._asked_by}:begun")

    def end(self) -> None:
        POINTS.around(self._asked_by, super().end)

    def checkpoint(self, mode: str) -> None:
        POINTS.around("store.checkpoint", lambda: super(PointedStore, self).checkpoint(mode))


def _caller() -> str:
    """``module.function`` of whoever wants the transaction."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") in _PASSES_ON:
        frame = frame.f_back
    assert frame is not None
    return f"{frame.f_globals['__name__'].rpartition('.')[2]}.{frame.f_code.co_name}"


def _pointed(send_once: Callable[..., Any]) -> Callable[..., Any]:
    """Dies before a request leaves, and when its reply is here: by then the far side has applied it."""

    def pointed(client: HttpClient, request: Any, *others: Any, **named: Any) -> Any:
        return POINTS.around(f"http.{request.route}", lambda: send_once(client, request, *others, **named))

    return pointed


def main(control: Path, arguments: list[str]) -> int:
    global POINTS
    POINTS = Points(control)
    POINTS.arm()
    signal.signal(signal.SIGUSR1, lambda _number, _frame: POINTS.arm())
    assembly.RealDisk = PointedDisk  # type: ignore[attr-defined]
    assembly.connect = connect_in_process  # type: ignore[attr-defined, assignment]
    core.Store = PointedStore  # type: ignore[attr-defined]
    HttpClient._send_once = _pointed(HttpClient._send_once)  # type: ignore[method-assign]
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
