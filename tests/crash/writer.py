"""The process that dies: a writer at work on an account as the mount is, killed at a given point.

Run as ``python -m tests.crash.writer DIRECTORY``: forks one writer per point, each in a directory of its
own, until one lives to the end. With ``--endless`` a single writer goes on until somebody kills it.
What a writer was promised, it notes in its ledger at once.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
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
FILES = 4
LIMITS = replace(MEMORY_LIMITS, session_min_bytes=1024, chunk_bytes=1024)
"""Every file is a large one: its parts go up while it is being written."""


def version(number: int, which: int) -> bytes:
    """The bytes of the *which*-th version of the *number*-th file."""
    return f"file {number} version {which} ".encode() * (200 + 50 * which)


class Fuse:
    """Counts the points a writer passes and burns at one of them."""

    def __init__(self, at: int) -> None:
        self._at = at
        self._passed = 0

    def point(self) -> None:
        self._passed += 1
        if self._passed == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


class FusedDisk(RealDisk):
    """May die before, in the middle of and after each write."""

    def __init__(self, fuse: Fuse) -> None:
        self._fuse = fuse

    def create(self, path: str) -> int:
        fd = super().create(path)
        self._fuse.point()
        return fd

    def pwrite(self, fd: int, data: bytes, offset: int) -> None:
        half = len(data) // 2
        self._fuse.point()
        super().pwrite(fd, data[:half], offset)
        self._fuse.point()
        super().pwrite(fd, data[half:], offset + half)
        self._fuse.point()

    def truncate(self, fd: int, size_bytes: int) -> None:
        super().truncate(fd, size_bytes)
        self._fuse.point()

    def label(self, fd: int, text: str) -> bool:
        self._fuse.point()
        is_kept = super().label(fd, text)
        self._fuse.point()
        return is_kept

    def remove(self, path: str) -> None:
        super().remove(path)
        self._fuse.point()


class LastingAccount(MemoryAccount):
    """An account that outlives the process: what was not written to *path* did not reach the service."""

    def __init__(self, path: Path, fuse: Fuse) -> None:
        super().__init__(LIMITS)
        self._path = path
        self._fuse = fuse
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
        self._fuse.point()
        reply = call()
        kept = {name: self.__dict__[name] for name in ("tree", "sessions", "_session_count")}
        draft = self._path.with_suffix(".draft")
        draft.write_bytes(pickle.dumps(kept))
        draft.replace(self._path)
        self._fuse.point()
        return reply


def fused_world(directory: Path, fuse: Fuse, clock: FakeClock | None = None) -> World:
    """A mount that may die before, in the middle of and after each transaction, and around each call."""
    account = LastingAccount(directory / "account", fuse)
    world = World(directory, account, limits=LIMITS, disk=FusedDisk(fuse), clock=clock)
    abandon = world.memory.abandon
    world.memory.abandon = lambda session: account.lasting(lambda: abandon(session))  # type: ignore[method-assign]
    store = world.core.tree.store
    begin, end = store.begin, store.end

    def fused_begin() -> None:
        fuse.point()
        begin()

    def fused_end() -> None:
        fuse.point()
        end()
        fuse.point()

    store.begin, store.end = fused_begin, fused_end  # type: ignore[method-assign]
    return world


class Writer:
    """Some files in every stage a file goes through."""

    def __init__(self, directory: Path, fuse: Fuse) -> None:
        self._world = fused_world(directory, fuse)
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


def run(directory: Path, at: int, numbers: Iterator[int]) -> None:
    """One writer's whole life; ends early at point *at*."""
    writer = Writer(directory, Fuse(at))
    for number in numbers:
        writer.work(number)


def main(directory: Path, *, is_endless: bool) -> None:
    if is_endless:
        run(directory, 0, count())
    for at in count(1):
        place = directory / f"{at:04}"
        place.mkdir()
        child = os.fork()
        if child == 0:
            run(place, at, iter(range(FILES)))
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if status == 0:
            return
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            sys.exit(f"the writer that was to die at point {at} failed by itself")


if __name__ == "__main__":
    main(Path(sys.argv[1]), is_endless="--endless" in sys.argv)
