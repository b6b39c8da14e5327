"""A machine on which one call fails: every call that a worker makes of store, spool, disk, service and clock
is a *place*, and a run may have one of them raise, once."""

from __future__ import annotations

import errno
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from mountfs.errors import DiskFull, Offline, ServerFault
from mountfs.ports import Backend
from mountfs.spool.disk import RealDisk
from tests.doubles.world import World
from tests.fakes.clock import FakeClock

DEPTH = 3
"""Callers that tell one place from another."""

ERRORS: dict[str, list[Callable[[], BaseException]]] = {
    "store": [
        lambda: sqlite3.OperationalError("disk I/O error"),
        MemoryError,
        lambda: DiskFull("the disk that keeps the journal is full"),
        lambda: RecursionError("too deep"),
    ],
    "spool": [
        lambda: OSError(errno.EIO, "Input/output error"),
        lambda: OSError(errno.EMFILE, "Too many open files"),
        lambda: OSError(errno.ENOMEM, "Cannot allocate memory"),
        MemoryError,
    ],
    "disk": [
        lambda: OSError(errno.EMFILE, "Too many open files"),
        lambda: OSError(errno.ENOSPC, "No space left on device"),
        MemoryError,
    ],
    "service": [
        lambda: KeyError("a bug of the backend's"),
        lambda: Offline("no answer"),
        lambda: ServerFault("500"),
        MemoryError,
        lambda: RecursionError("too deep"),
    ],
    "clock": [MemoryError, lambda: RuntimeError("a bug")],
}
"""What each kind of call may raise."""

STORE = ["begin", "end", "cancel"]
SPOOL = ["read", "size", "open", "admit_filling", "fdatasync", "sync_directory", "remove", "path"]
DISK = ["open", "pread", "pwrite", "fdatasync", "sync_directory", "remove", "size"]

Place = tuple[str, tuple[tuple[str, int], ...]]
"""The call's name, and who made it: functions and lines, innermost first."""


class Trip:
    """Counts calls while armed, and has the one numbered *at* raise *error*; with *times*, so many calls of
    its kind from that one on."""

    def __init__(
        self, at: int | None = None, error: Callable[[], BaseException] = MemoryError, times: int = 1
    ) -> None:
        self.places: list[Place] = []
        self.at = at
        self.error = error
        self._left = times
        self.is_armed = False

    @property
    def has_raised(self) -> bool:
        return self.at is not None and len(self.places) > self.at

    @property
    def raised_at(self) -> str | None:
        """The name of the call that raised."""
        return self.places[self.at][0] if self.at is not None and self.has_raised else None

    @contextmanager
    def armed(self, *, is_armed: bool = True) -> Iterator[None]:
        """Calls count within the block; or do not."""
        before, self.is_armed = self.is_armed, is_armed
        try:
            yield
        finally:
            self.is_armed = before

    def pass_by(self, name: str) -> None:
        if not self.is_armed:
            return
        number = len(self.places)
        self.places.append((name, callers() if self.at is None else ()))
        if self.at is None or number < self.at or not self._left:
            return
        if name.partition(".")[0] == self.places[self.at][0].partition(".")[0]:
            self._left -= 1
            raise self.error()

    def wrap(self, kind: str, thing: Any, names: list[str], *, is_after: bool = False) -> None:
        """Calls of the methods *names* of *thing* pass by; with *is_after* also once they took effect."""
        for name in names:
            setattr(thing, name, self._passing(f"{kind}.{name}", getattr(thing, name), is_after=is_after))

    def _passing(self, name: str, call: Callable[..., Any], *, is_after: bool) -> Callable[..., Any]:
        def passing(*args: Any, **named: Any) -> Any:
            self.pass_by(name)
            result = call(*args, **named)
            if is_after:
                self.pass_by(f"{name} (after)")
            return result

        return passing


class BrittleClock(FakeClock):
    """The clock of a test, whose calls pass by."""

    def __init__(self, trip: Trip) -> None:
        super().__init__()
        self._trip = trip

    def now_s(self) -> float:
        self._trip.pass_by("clock.now_s")
        return super().now_s()

    def wall_ns(self) -> int:
        self._trip.pass_by("clock.wall_ns")
        return super().wall_ns()

    def jitter(self) -> float:
        self._trip.pass_by("clock.jitter")
        return super().jitter()


def brittle_disk(trip: Trip) -> RealDisk:
    disk = RealDisk()
    trip.wrap("disk", disk, DISK)
    return disk


def make_brittle(world: World, trip: Trip) -> None:
    """Every call that the workers make of store, spool, cache and service passes by *trip*."""
    core = world.core
    store = core.tree.store
    trip.wrap("store", store, calls_of(type(store), but=("close", "next_id", "error_of")))
    trip.wrap("store", store.gaps, ["apply"])
    trip.wrap("store", store.known_files, ["has_size", "has_size_from", "with_bytes"])
    trip.wrap("spool", core.spool, SPOOL)
    trip.wrap("spool", core.blocks, ["adopt"])
    requests = calls_of(Backend, but=("calls", "trouble", "close"))
    trip.wrap("service", world.backend, requests, is_after=True)


def calls_of(kind: type, but: tuple[str, ...]) -> list[str]:
    """All public methods of *kind*, without those named in *but*."""
    names = [name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))]
    return [name for name in names if name not in but]


def callers() -> tuple[tuple[str, int], ...]:
    """Who calls, leaving out the doubles."""
    found: list[tuple[str, int]] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and len(found) < DEPTH:
        name = frame.f_code.co_filename
        if ("/mountfs/" in name or "/daemon/" in name) and "/tests/" not in name:
            found.append((f"{frame.f_code.co_qualname}", frame.f_lineno))
        frame = frame.f_back
    return tuple(found)
