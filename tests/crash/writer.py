"""A writer at work on an account as the mount is, and what it would leave if it were killed at some point.

Run as ``python -m tests.crash.writer DIRECTORY``: copies its files at each point. A process that is killed
leaves what the kernel has of them, and a copy reads the same. Points between which nothing was changed are
one. With ``--endless`` it goes on until somebody kills it.
What the writer was promised, it notes in its ledger at once.
"""

from __future__ import annotations

import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TypeVar

from mountfs.model.order import Order
from mountfs.ports import Launch
from mountfs.spool.disk import RealDisk
from tests.doubles.memory_account import MEMORY_LIMITS, MemoryAccount
from tests.doubles.world import World
from tests.fakes.clock import FakeClock

T = TypeVar("T")

LEDGER = "ledger"
LIVE, KILLED = "live", "killed"
"""The writer's own directory, and that of the copies."""
FILES = 4
LIMITS = replace(MEMORY_LIMITS, session_min_bytes=1024, chunk_bytes=1024)
"""Every file is a large one: its parts go up while it is being written."""


def version(number: int, which: int) -> bytes:
    """The bytes of the *which*-th version of the *number*-th file."""
    return f"file {number} version {which} ".encode() * (200 + 50 * which)


Point = Callable[[], None]
"""Called at each point at which the writer may die."""


def nothing() -> None:
    """At a point of which no one takes notice."""


class Scenes:
    """Copies of what is in *live* at each point at which it differs from the last one, by their numbers. What
    SQLite has in shared memory makes no difference: the next process makes that anew."""

    def __init__(self, live: Path, copies: Path) -> None:
        self._live = live
        self._copies = copies
        self._last: object = None
        self._count = 0

    def take(self) -> None:
        found = {path: _held(path) for path in self._live.rglob("*") if not path.name.endswith("-shm")}
        if found != self._last:
            self._last = found
            self._count += 1
            shutil.copytree(self._live, self._copies / f"{self._count:04}")


def _held(path: Path) -> object:
    """All that a file has, the attributes that name it too."""
    if path.is_dir():
        return None
    labels = {name: os.getxattr(path, name) for name in os.listxattr(path)}
    return path.read_bytes(), labels


class WatchedDisk(RealDisk):
    """May die before, in the middle of and after each write."""

    def __init__(self, point: Point) -> None:
        self._point = point

    def create(self, path: str) -> int:
        fd = super().create(path)
        self._point()
        return fd

    def pwrite(self, fd: int, data: bytes, offset: int) -> None:
        half = len(data) // 2
        self._point()
        super().pwrite(fd, data[:half], offset)
        self._point()
        super().pwrite(fd, data[half:], offset + half)
        self._point()

    def truncate(self, fd: int, size_bytes: int) -> None:
        super().truncate(fd, size_bytes)
        self._point()

    def label(self, fd: int, text: str) -> bool:
        self._point()
        is_kept = super().label(fd, text)
        self._point()
        return is_kept

    def remove(self, path: str) -> None:
        super().remove(path)
        self._point()


class LastingAccount(MemoryAccount):
    """An account that outlives the process: what was not written to *path* did not reach the service."""

    def __init__(self, path: Path, point: Point) -> None:
        super().__init__(LIMITS)
        self._path = path
        self._point = point
        if path.exists():
            self.__dict__.update(pickle.loads(path.read_bytes()))

    def submit(self, orders: Sequence[Order]) -> Launch:
        return self.lasting(lambda: super(LastingAccount, self).submit(orders))

    def start_session(self, *, is_large: bool) -> str:
        return self.lasting(lambda: super(LastingAccount, self).start_session(is_large=is_large))

    def append(self, token: str, offset: int, body: bytes, *, closing: bool) -> None:
        self.lasting(lambda: super(LastingAccount, self).append(token, offset, body, closing=closing))

    def lasting(self, call: Callable[[], T]) -> T:
        """May die before the call reaches the service, and before the reply reaches us."""
        self._point()
        reply = call()
        kept = {name: self.__dict__[name] for name in ("tree", "sessions", "_session_count")}
        draft = self._path.with_suffix(".draft")
        draft.write_bytes(pickle.dumps(kept))
        draft.replace(self._path)
        self._point()
        return reply


def watched_world(directory: Path, point: Point, clock: FakeClock | None = None) -> World:
    """A mount that may die before, in the middle of and after each transaction, and around each call."""
    account = LastingAccount(directory / "account", point)
    world = World(directory, account, limits=LIMITS, disk=WatchedDisk(point), clock=clock)
    abandon = world.memory.abandon
    world.memory.abandon = lambda session: account.lasting(lambda: abandon(session))  # type: ignore[method-assign]
    store = world.core.tree.store
    begin, end = store.begin, store.end

    def watched_begin() -> None:
        point()
        begin()

    def watched_end() -> None:
        point()
        end()
        point()

    store.begin, store.end = watched_begin, watched_end  # type: ignore[method-assign]
    return world


class Writer:
    """Some files in every stage a file goes through."""

    def __init__(self, directory: Path, point: Point) -> None:
        self._world = watched_world(directory, point)
        self._ledger = os.open(directory / LEDGER, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, word: str, number: int, which: int = 0) -> None:
        os.write(self._ledger, f"{word} {number} {which}\n".encode())

    def work(self, number: int) -> None:
        world = self._world
        world.mkdir(f"/{number}")
        self.note("made", number)
        handle = world.begin(f"/{number}/a.bin")
        self._write(handle, number, 1)
        if number % 2:
            self.note("reopening", number)
            world.fs.ftruncate(handle, 0)
            self._write(handle, number, 2)
        world.fs.release(handle)
        if number % 4 >= 2:
            self.note("committing", number)
            world.settle()

    def _write(self, handle: int, number: int, which: int) -> None:
        world, data = self._world, version(number, which)
        middle = len(data) // 2
        world.fs.write(handle, 0, data[:middle])
        if number != 1:
            # Open for so long that the store knows of it, and its first parts are at the service.
            world.advance(2.0)
            world.core.durability.step(world.clock.now_s())
            world.upload_all()
        world.fs.write(handle, middle, data[middle:])
        world.fs.flush(handle)
        self.note("closed", number, which)


def main(directory: Path, *, is_endless: bool) -> None:
    numbers: Iterable[int] = count()
    live, point = directory, nothing
    if not is_endless:
        live, numbers = directory / LIVE, range(FILES)
        live.mkdir()
        point = Scenes(live, directory / KILLED).take
    writer = Writer(live, point)
    for number in numbers:
        writer.work(number)
    point()


if __name__ == "__main__":
    main(Path(sys.argv[1]), is_endless="--endless" in sys.argv)
