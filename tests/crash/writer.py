"""The process that dies: a writer working on journal and spool as the mount does, killed at a given point.

Run as ``python -m tests.crash.writer DIRECTORY``: forks one writer per point, each in a directory of its
own, until one lives to the end. With ``--endless`` a single writer goes on until somebody kills it.
What a writer was promised, it notes in its ledger at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from mountfs.clock import SystemClock
from mountfs.journal.journal import Journal
from mountfs.model.change import Change, ChangeEvent, ChangeKind, ChangeState
from mountfs.model.path import RemotePath
from mountfs.ports import Part
from mountfs.spool.disk import RealDisk
from mountfs.spool.quota import Quota
from mountfs.spool.spool import Spool
from mountfs.spool.spoolfile import SpoolFile

JOURNAL = "journal.sqlite"
LEDGER = "ledger"
FILES = 4


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


class FusedJournal(Journal):
    """May die before, in the middle of and after each transaction."""

    fuse = Fuse(0)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.fuse.point()
        with super().transaction():
            yield
            self.fuse.point()
        self.fuse.point()


class Writer:
    """Some files in every stage a file goes through."""

    def __init__(self, directory: Path, fuse: Fuse) -> None:
        self._journal = FusedJournal(directory / JOURNAL, SystemClock())
        self._journal.fuse = fuse
        self._spool = Spool(directory / "spool", FusedDisk(fuse), Quota(reserve_bytes=0))
        self._ledger = os.open(directory / LEDGER, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, word: str, number: int, which: int = 0) -> None:
        os.write(self._ledger, f"{word} {number} {which}\n".encode())

    def work(self, number: int) -> None:
        journal = self._journal
        journal.add(ChangeKind.MKDIR, RemotePath(f"/{number}"), ChangeState.UPLOADED, is_folder=True)
        self.note("made", number)
        file = self._spool.create()
        change = journal.add(
            ChangeKind.PUT, RemotePath(f"/{number}/a.bin"), ChangeState.OPEN, spool=file.name
        )
        change = self._write(change, file, number, 1)
        if number % 2:
            self.note("reopening", number)
            change = journal.amend(change, is_flushed=False, is_synced=False)
            file.truncate(0)
            journal.clear_parts(change.id)
            change = self._write(change, file, number, 2)
        change = journal.advance(change, ChangeEvent.SEAL, is_flushed=False)
        file.close()
        if number % 4 >= 2:
            self._commit(change, number)

    def _write(self, change: Change, file: SpoolFile, number: int, which: int) -> Change:
        data = version(number, which)
        middle = len(data) // 3
        file.pwrite(0, data[:middle])
        self._journal.add_part(change.id, Part(0, middle, f"receipt {which}"))
        file.pwrite(middle, data[middle:])
        change = self._journal.amend(change, is_flushed=True, is_synced=False, size_bytes=len(data))
        self.note("closed", number, which)
        return change

    def _commit(self, change: Change, number: int) -> None:
        for event in (ChangeEvent.UPLOAD_DONE, ChangeEvent.COMMIT_SENT):
            change = self._journal.advance(change, event)
        self.note("committing", number)
        change = self._journal.advance(change, ChangeEvent.ACKNOWLEDGED)
        assert change.spool is not None
        self._spool.remove(change.spool)
        self._journal.forget(change.id)


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
