"""The calls on what is open that are made at random, and those that open it."""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
from collections.abc import Callable

from tests.exerciser.calls import Drawn
from tests.exerciser.draws import IDS, Draws
from tests.exerciser.sides import Looker, Side, acting, is_device, move_time_of_hole
from tests.posix.place import ROOT

MOST_OPEN = 24
WAYS = (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR)
FLAGS = (os.O_CREAT, os.O_EXCL, os.O_TRUNC, os.O_APPEND, os.O_NOFOLLOW, os.O_DIRECTORY, os.O_SYNC)
CHANCES = (0.6, 0.1, 0.2, 0.2, 0.1, 0.03, 0.05)


class OpenCalls:
    """Each method draws one call. The descriptors of both sides have the same numbers here."""

    def __init__(self, draws: Draws, looker: Looker, model: Side) -> None:
        self._draws = draws
        self._looker = looker
        self._model = model
        self._next = 0
        self._most_open = MOST_OPEN
        self.drawn = 0
        """The number of what the call that was drawn last is about; 0: of nothing."""
        self._unmapped: set[int] = set()
        """Those that were opened while somebody may have been filling their file: a mount has no shared
        mappings of them (S-MMAP)."""

    def weighted(self, *, keeps: bool = True) -> dict[Callable[[], Drawn], float]:
        """*keeps*: whether files stay open after the call that opens them."""
        if not keeps:
            self._most_open = 0
            return {self.open: 14}
        return {
            self.open: 14,
            self.close: 6,
            self.pread: 8,
            self.pwrite: 12,
            self.read: 4,
            self.write: 6,
            self.seek: 3,
            self.ftruncate: 4,
            self.fstat: 6,
            self.fchmod: 2,
            self.fchown: 2,
            self.futimens: 3,
            self.fsync: 0.5,
            self.map: 5,
            self.copy_range: 2,
            self.fallocate: 1,
            self.reopen: 1,
        }

    def open(self) -> Drawn:
        path, mode = self._draws.path(), self._draws.mode()
        flags = self._draws.random.choice(WAYS) | os.O_NONBLOCK
        for flag, chance in zip(FLAGS, CHANCES, strict=True):
            flags |= flag if self._draws.random.random() < chance else 0
        number = self._next = self._next + 1
        too_many = len(self._model.descriptors) >= self._most_open

        def call(side: Side) -> object:
            if is_device(side.at(path)):
                return "a device, which is not opened on a mount"
            descriptor = os.open(side.at(path), flags, mode)
            status = os.fstat(descriptor)
            if too_many or not stat.S_ISREG(status.st_mode):
                os.close(descriptor)
            else:
                side.descriptors[number] = descriptor
                self._note_fillers(side, number)
            return self._looker.facts(status)

        return f"open {path} {flags:#o} {mode:04o} as {number}", call

    def close(self) -> Drawn:
        number = self.number()
        return f"close {number}", lambda side: os.close(side.descriptors.pop(number))

    def pread(self) -> Drawn:
        number, offset, length = self.number(), self._draws.offset(), self._draws.offset()
        return (
            f"pread {number} {offset} {length}",
            lambda side: os.pread(side.descriptors[number], length, offset),
        )

    def pwrite(self) -> Drawn:
        number, offset, body = self.number(), self._draws.offset(), self._draws.body()
        return (
            f"pwrite {number} {offset} {len(body)}",
            lambda side: os.pwrite(side.descriptors[number], body, offset),
        )

    def read(self) -> Drawn:
        number, length = self.number(), self._draws.offset()
        return f"read {number} {length}", lambda side: os.read(side.descriptors[number], length)

    def write(self) -> Drawn:
        number, body = self.number(), self._draws.body()
        return f"write {number} {len(body)}", lambda side: os.write(side.descriptors[number], body)

    def seek(self) -> Drawn:
        number, offset = self.number(), self._draws.offset() - 2
        whence = self._draws.random.choice((os.SEEK_SET, os.SEEK_CUR, os.SEEK_END))
        if whence == os.SEEK_END:
            offset = -offset
        return (
            f"lseek {number} {offset} {whence}",
            lambda side: os.lseek(side.descriptors[number], offset, whence),
        )

    def ftruncate(self) -> Drawn:
        number, size = self.number(), self._draws.offset()

        def call(side: Side) -> None:
            os.ftruncate(side.descriptors[number], size)
            if side is self._model:
                move_time_of_hole(side.descriptors[number])

        return f"ftruncate {number} {size}", call

    def fstat(self) -> Drawn:
        number = self.number()

        def call(side: Side) -> object:
            status = os.fstat(side.descriptors[number])
            return *self._looker.facts(status), status.st_nlink

        return f"fstat {number}", call

    def fchmod(self) -> Drawn:
        number, mode = self.number(), self._draws.mode()
        return f"fchmod {number} {mode:04o}", lambda side: os.fchmod(side.descriptors[number], mode)

    def fchown(self) -> Drawn:
        number, uid, gid = (
            self.number(),
            self._draws.random.choice(IDS),
            self._draws.random.choice(IDS),
        )
        return f"fchown {number} {uid}:{gid}", lambda side: os.fchown(side.descriptors[number], uid, gid)

    def futimens(self) -> Drawn:
        number, times = self.number(), self._draws.times_ns()
        return f"futimens {number} {times}", lambda side: os.utime(side.descriptors[number], ns=times)

    def fsync(self) -> Drawn:
        number = self.number()
        return f"fsync {number}", lambda side: os.fsync(side.descriptors[number])

    def map(self) -> Drawn:
        number, at, body = self.number(), self._draws.offset(), self._draws.random.randbytes(30)

        def call(side: Side) -> object:
            descriptor = side.descriptors[number]
            size = os.fstat(descriptor).st_size
            if not size:
                return "nothing to map"
            if number in self._unmapped:
                return "somebody may have been filling it"
            with mmap.mmap(descriptor, size) as mapped:
                part = body[: size - at % size]
                before = mapped[at % size : at % size + len(part)]
                mapped[at % size : at % size + len(part)] = part
                mapped.flush()
            with acting(ROOT, 0):
                os.utime(descriptor)  # tmpfs, unlike disks, moves no time then
            return before

        return f"map {number} and write {at}", call

    def copy_range(self) -> Drawn:
        source, target = self.number(), self.number()
        start, stop, length = self._draws.offset(), self._draws.offset(), self._draws.offset()
        if source == target:  # ranges that overlap are an error
            return self.pread()
        return (
            f"copy_file_range {source} {start} {target} {stop} {length}",
            lambda side: os.copy_file_range(
                side.descriptors[source], side.descriptors[target], length, start, stop
            ),
        )

    def fallocate(self) -> Drawn:
        number, offset, length = self.number(), self._draws.offset(), self._draws.offset() + 1

        def call(side: Side) -> object:
            descriptor = side.descriptors[number]
            flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
            if flags & os.O_APPEND or flags & os.O_ACCMODE != os.O_RDWR or length > 300_000:
                return "glibc makes it of reads and writes, where the file system does not"
            with acting(ROOT, 0):
                os.posix_fallocate(descriptor, offset, length)
                os.utime(descriptor)  # glibc moves the time, and takes set-id bits, where it writes a zero
            return None

        return f"fallocate {number} {offset} {length}", call

    def reopen(self) -> Drawn:
        """Also of a file that has no name any more."""
        number, other = self.number(), self._next + 1
        self._next = other

        def call(side: Side) -> object:
            path = f"/proc/self/fd/{side.descriptors[number]}"
            side.descriptors[other] = os.open(path, os.O_RDWR | os.O_NONBLOCK)
            self._note_fillers(side, other)
            return "opened"

        return f"open /proc/self/fd of {number} as {other}", call

    def _note_fillers(self, side: Side, number: int) -> None:
        if side is not self._model:
            return
        status = os.fstat(side.descriptors[number])
        for other, descriptor in side.descriptors.items():
            access = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
            is_filler = access == os.O_WRONLY or (access == os.O_RDWR and other in self._unmapped)
            if other != number and is_filler and os.path.samestat(status, os.fstat(descriptor)):
                self._unmapped.add(number)

    def is_unmapped(self, number: int) -> bool:
        """Whether somebody may be filling the file, so that a mount does not map it."""
        return number in self._unmapped

    def number(self) -> int:
        """Of something that is open; 0, and an error that both sides have, where nothing is."""
        self.drawn = self._draws.random.choice(sorted(self._model.descriptors) or [0])
        return self.drawn
