"""Calls on what is open that few programs make: vectors, pipes, mappings that stay, flags that change, locks,
folders by their descriptors."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import struct
from collections.abc import Callable

from tests.exerciser.calls import Drawn
from tests.exerciser.draws import Draws
from tests.exerciser.opencalls import OpenCalls
from tests.exerciser.sides import Side, acting, is_device
from tests.posix.place import ROOT

_LIBC = ctypes.CDLL(None, use_errno=True)
MOST_FOLDERS = 6
MOST_MAPPED = 6
NOW, OMIT = 0x3FFFFFFF, 0x3FFFFFFE
"""utimensat(2): in the place of nanoseconds."""
OFD_SETLK = 37
"""fcntl(2): F_OFD_SETLK, which Python has since 3.12."""
TOGGLED = (os.O_APPEND, os.O_DIRECT, os.O_NONBLOCK)
SYNC_WAYS = 7
"""sync_file_range(2): wait, write, and wait."""
PIECES = (1, 4096, 70_000)


class RareCalls:
    """Each method draws one call; descriptors are those of *opened*."""

    def __init__(self, draws: Draws, model: Side, opened: OpenCalls) -> None:
        self._draws = draws
        self._model = model
        self._opened = opened
        self._next = 0

    def weighted(self) -> dict[Callable[[], Drawn], float]:
        return {
            self.writev: 2,
            self.readv: 2,
            self.append_once: 2,
            self.toggle: 3,
            self.sendfile: 2,
            self.splice_in: 2,
            self.splice_out: 1,
            self.fdatasync: 0.5,
            self.sync_range: 0.5,
            self.drop_pages: 2,
            self.fsetxattr: 1,
            self.flock: 1,
            self.lock: 1,
            self.times: 3,
            self.keep_map: 2,
            self.use_map: 6,
            self.end_map: 1,
            self.opendir: 2,
            self.in_folder: 6,
            self.closedir: 1,
        }

    # Bytes

    def writev(self) -> Drawn:
        number, offset, bodies = self._number(), self._draws.offset(), [self._draws.body() for _ in range(3)]
        return (
            f"pwritev {number} {offset} {[len(body) for body in bodies]}",
            lambda side: os.pwritev(side.descriptors[number], bodies, offset),
        )

    def readv(self) -> Drawn:
        number, offset = self._number(), self._draws.offset()

        def call(side: Side) -> object:
            rooms = [bytearray(size) for size in PIECES]
            return os.preadv(side.descriptors[number], rooms, offset), [bytes(room) for room in rooms]

        return f"preadv {number} {offset}", call

    def append_once(self) -> Drawn:
        """At the end of what was not opened for that."""
        number, body = self._number(), self._draws.body()
        return (
            f"pwritev2 {number} at the end {len(body)}",
            lambda side: os.pwritev(side.descriptors[number], [body], 0, os.RWF_APPEND),
        )

    def toggle(self) -> Drawn:
        number, flag = self._number(), self._draws.random.choice(TOGGLED)

        def call(side: Side) -> None:
            descriptor = side.descriptors[number]
            flags = fcntl.fcntl(descriptor, fcntl.F_GETFL) ^ flag
            fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)

        return f"fcntl {number} toggles {flag:#o}", call

    def sendfile(self) -> Drawn:
        source, target = self._number(), self._number()
        offset, length = self._draws.offset(), self._draws.offset()

        def call(side: Side) -> object:
            out, into = side.descriptors[source], side.descriptors[target]
            if os.path.samestat(os.fstat(out), os.fstat(into)):
                return "what comes later depends on how many pages are on their way at once"
            return os.sendfile(into, out, offset, length)

        return f"sendfile {source} {offset} {target} {length}", call

    def splice_in(self) -> Drawn:
        number, offset, body = self._number(), self._draws.offset(), self._draws.body()[:60_000]

        def call(side: Side) -> object:
            descriptor = side.descriptors[number]
            out, into = os.pipe2(os.O_NONBLOCK)
            try:
                os.write(into, body)
                return os.splice(out, descriptor, len(body), offset_dst=offset)
            finally:
                os.close(out)
                os.close(into)

        return f"splice into {number} {offset} {len(body)}", call

    def splice_out(self) -> Drawn:
        number, offset, length = self._number(), self._draws.offset(), 50_000

        def call(side: Side) -> object:
            descriptor = side.descriptors[number]
            out, into = os.pipe2(os.O_NONBLOCK)
            try:
                found = b""
                while moved := os.splice(descriptor, into, length - len(found), offset + len(found)):
                    found += os.read(out, moved)
                return found
            finally:
                os.close(out)
                os.close(into)

        return f"splice out of {number} {offset}", call

    def fdatasync(self) -> Drawn:
        number = self._number()
        return f"fdatasync {number}", lambda side: os.fdatasync(side.descriptors[number])

    def sync_range(self) -> Drawn:
        number, offset = self._number(), self._draws.offset()

        def call(side: Side) -> None:
            descriptor = side.descriptors[number]
            _of_libc("sync_file_range", descriptor, ctypes.c_long(offset), ctypes.c_long(5000), SYNC_WAYS)

        return f"sync_file_range {number} {offset}", call

    def drop_pages(self) -> Drawn:
        """So that the next reader asks the mount."""
        number = self._number()
        return (
            f"posix_fadvise {number}",
            lambda side: os.posix_fadvise(side.descriptors[number], 0, 0, os.POSIX_FADV_DONTNEED),
        )

    # Attributes and locks

    def fsetxattr(self) -> Drawn:
        number, value = self._number(), self._draws.random.randbytes(9)

        def call(side: Side) -> object:
            descriptor = side.descriptors[number]
            os.setxattr(descriptor, "user.f", value)
            return os.getxattr(descriptor, "user.f")

        return f"fsetxattr {number}", call

    def flock(self) -> Drawn:
        number, how = self._number(), self._draws.random.choice((fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_UN))
        return (
            f"flock {number} {how}",
            lambda side: fcntl.flock(side.descriptors[number], how | fcntl.LOCK_NB),
        )

    def lock(self) -> Drawn:
        number, at = self._number(), self._draws.offset()
        how = self._draws.random.choice((fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK))
        asked = struct.pack("hhqqi4x", how, os.SEEK_SET, at, 100, 0)

        def call(side: Side) -> None:
            fcntl.fcntl(side.descriptors[number], OFD_SETLK, asked)

        return f"lock {number} {at} {how}", call

    def times(self) -> Drawn:
        """Of a path; one of the two is left as it is, or is now."""
        path, at_ns = self._draws.path(), self._draws.times_ns()
        moments = [self._draws.random.choice((NOW, OMIT, each)) for each in at_ns]

        def call(side: Side) -> None:
            told = [(0, each) if each in (NOW, OMIT) else (each // 10**9, each % 10**9) for each in moments]
            pair = struct.pack("qqqq", *told[0], *told[1])
            _of_libc("utimensat", -100, os.fsencode(side.at(path)), pair, 0x100)  # AT_FDCWD, not followed

        return f"utimensat {path} {moments}", call

    # Mappings that stay

    def keep_map(self) -> Drawn:
        number = self._number()
        name = self._next = self._next + 1
        too_many = len(self._model.mapped) >= MOST_MAPPED
        is_unmapped = self._opened.is_unmapped(number)

        def call(side: Side) -> object:
            descriptor = side.descriptors[number]
            size = os.fstat(descriptor).st_size
            if is_unmapped or too_many or not size:
                return "not mapped"
            copied = os.dup(descriptor)
            try:
                side.mapped[name] = copied, mmap.mmap(copied, size)
            except BaseException:
                os.close(copied)
                raise
            return size

        return f"map {number} for long as {name}", call

    def use_map(self) -> Drawn:
        """Behind the end that the file has by now there is nothing to use."""
        name = self._draws.random.choice(sorted(self._model.mapped) or [0])
        at, body = self._draws.offset(), self._draws.random.randbytes(30)

        def call(side: Side) -> object:
            descriptor, mapped = side.mapped[name]
            size = min(os.fstat(descriptor).st_size, len(mapped))
            if not size:
                return "nothing is left of it"
            start = at % size
            before = mapped[start : min(size, start + len(body))]
            mapped[start : start + len(before)] = body[: len(before)]
            read = os.pread(descriptor, len(before), start)
            mapped.flush()
            with acting(ROOT, 0):
                os.utime(descriptor)  # tmpfs, unlike disks, moves no time then
            return before, read

        return f"use mapping {name} at {at}", call

    def end_map(self) -> Drawn:
        name = self._draws.random.choice(sorted(self._model.mapped) or [0])

        def call(side: Side) -> None:
            descriptor, mapped = side.mapped.pop(name)
            mapped.close()
            os.close(descriptor)

        return f"unmap {name}", call

    # Folders by their descriptors

    def opendir(self) -> Drawn:
        path = self._draws.path()
        name = self._next = self._next + 1
        too_many = len(self._model.folders) >= MOST_FOLDERS

        def call(side: Side) -> None:
            if not too_many:
                side.folders[name] = os.open(side.at(path), os.O_RDONLY | os.O_DIRECTORY)

        return f"opendir {path} as {name}", call

    def in_folder(self) -> Drawn:
        """Whatever became of the folder's name."""
        name = self._draws.random.choice(sorted(self._model.folders) or [0])
        entry, other = self._draws.random.choices("abcdef", k=2)
        what = self._draws.random.choice(sorted(IN_FOLDER))

        def call(side: Side) -> object:
            folder = side.folders[name]
            if not os.fstat(self._model.folders[name]).st_nlink:
                return "it is removed"
            return IN_FOLDER[what](folder, entry, other)

        return f"{what} in folder {name} {entry} {other}", call

    def closedir(self) -> Drawn:
        name = self._draws.random.choice(sorted(self._model.folders) or [0])
        return f"closedir {name}", lambda side: os.close(side.folders.pop(name))

    def _number(self) -> int:
        return self._opened.number()


def _made_in(folder: int, entry: str, _other: str) -> None:
    if is_device(f"/proc/self/fd/{folder}/{entry}"):  # which is opened on no mount
        return
    os.close(os.open(entry, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW, 0o640, dir_fd=folder))


def _seen_in(folder: int, entry: str, _other: str) -> object:
    return oct(os.stat(entry, dir_fd=folder, follow_symlinks=False).st_mode)


IN_FOLDER: dict[str, Callable[[int, str, str], object]] = {
    "list": lambda folder, _entry, _other: sorted(os.listdir(folder)),
    "fsync": lambda folder, _entry, _other: os.fsync(folder),
    "fstat": lambda folder, _entry, _other: oct(os.fstat(folder).st_mode),
    "fchmod": lambda folder, _entry, _other: os.fchmod(folder, 0o755),
    "make": _made_in,
    "stat": _seen_in,
    "mkdir": lambda folder, entry, _other: os.mkdir(entry, 0o750, dir_fd=folder),
    "unlink": lambda folder, entry, _other: os.unlink(entry, dir_fd=folder),
    "rename": lambda folder, entry, other: os.rename(entry, other, src_dir_fd=folder, dst_dir_fd=folder),
}


def _of_libc(name: str, *arguments: object) -> None:
    """A call that Python does not have."""
    if getattr(_LIBC, name)(*arguments):
        raise OSError(ctypes.get_errno(), name)
