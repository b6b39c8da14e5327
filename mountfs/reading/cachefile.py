"""Cache files: what is known of one, and which of them stay open."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakKeyDictionary, WeakSet

from mountfs.model.blocksums import Digests
from mountfs.model.entry import File
from mountfs.model.hashing import HashKind, hasher
from mountfs.model.ranges import RangeSet
from mountfs.reading.readahead import WHOLE_FILE_BYTES
from mountfs.reading.sums import LACKS, Sums

MOST_OPEN = 16
"""Large files that stay open between two reads: to open and to close one costs a quarter of a read."""
GIVE_BACK_S = 60.0
"""What was answered with an evicted file has long been sent then. Should it not be, the kernel is told of an
error, and asks again."""
PIECE_BYTES = 4 * 1024 * 1024
"""Hashed at once."""
HOLE_BYTES = 1024 * 1024
"""A file is made so much longer first, to see whether that takes room."""
_MAKING = threading.Lock()
"""Held while a large file is made, and as long as it is to be: who did so by steps beside another one that
had got through would cut off what that one has written."""


class Stored:
    """A cache file that is open for reading, and is closed with the last reference to it: it can be evicted
    while somebody reads. ``evicted``: it was, and keeps its room on the disk until then."""

    __slots__ = ("__weakref__", "_uncut_bytes", "evicted", "fd", "path")

    def __init__(self, cached: CacheFile) -> None:
        """FileNotFoundError: the file is gone, or is another one; OSError."""
        self.path = cached.path
        self.evicted = False
        self._uncut_bytes = cached.uncut_bytes
        self.fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self.fd)
        if not cached.is_at(os.fstat(self.fd), self._uncut_bytes):
            raise FileNotFoundError(self.path)

    def give_back(self) -> None:
        """Closes the file though somebody has a reference: reads of it fail from here on, and never meet
        another file. OSError."""
        nothing = os.open("/", os.O_PATH | os.O_CLOEXEC)
        try:
            os.dup2(nothing, self.fd, inheritable=False)
        finally:
            os.close(nothing)

    def read(self, offset: int, length: int) -> bytes:
        """What can be read: nothing where the disk fails, or the file was cut."""
        try:
            data = os.pread(self.fd, length, offset)
        except OSError:
            return b""
        return data if self.is_uncut() else b""

    def read_into(self, offset: int, room: memoryview) -> int:
        """As ``read``; how many bytes."""
        try:
            came = os.preadv(self.fd, [room], offset)
        except OSError:
            return 0
        return came if self.is_uncut() else 0

    def is_uncut(self, stop: int = 0) -> bool:
        """Whether nobody cut it: what was read before that is asked is right. *stop*: it reaches there, too,
        as one does that has grown since it was opened."""
        try:
            return os.lseek(self.fd, 0, os.SEEK_END) >= max(self._uncut_bytes, stop)
        except OSError:
            return False


@dataclass(slots=True)
class CacheFile:
    """One sparse file with some of the bytes of one content; guarded by the cache's lock.

    A large one is a byte longer than the content from the start on, and nobody writes that byte. So a file
    that somebody cut is too short for good: without it the next piece that is written would lengthen the file
    again, and what counts as cached before that piece would be zeros. ``is_long``: False where the file
    system has no holes, and all before that byte would be written.

    ``ranges``: what counts as cached. ``left``: what does not, and takes room on the disk: of downloads that
    were broken off.

    ``is_proven``: False for a file of a former process that has to prove itself as a whole, and that nobody
    asked for yet; nothing counts as cached of it. ``proving`` is held while it does: for `cat` the kernel
    asks for several pieces before it has the first, and only one of these reads is to hash the file.
    ``sums``: of a large file. ``is_former``: it was found, and nobody wrote to it since.
    ``is_shared``: another mount had it first, and may still be writing to it. ``inode``: its device and
    number, once there is a file.
    """

    path: str
    ranges: RangeSet = field(default_factory=RangeSet)
    left: RangeSet = field(default_factory=RangeSet)
    cached_bytes: int = 0
    is_proven: bool = True
    sums: Sums | None = None
    is_former: bool = False
    is_shared: bool = False
    inode: tuple[int, int] | None = None
    is_long: bool = True
    stored: Stored | None = None
    was_open: bool = False
    proving: threading.Lock = field(default_factory=threading.Lock, compare=False)

    def stop_of(self, start: int, stop: int) -> int:
        """Up to where [start, stop) is cached without a gap."""
        gaps = self.ranges.gaps(start, stop)
        return gaps[0][0] if gaps else stop

    @property
    def disk_bytes(self) -> int:
        return self.ranges.total_bytes + self.left.total_bytes

    @property
    def uncut_bytes(self) -> int:
        """The file is as long as that unless somebody cut it."""
        return self.sums.uncut_bytes if self.sums is not None and self.is_long else self.ranges.end

    def is_at(self, found: os.stat_result, uncut_bytes: int) -> bool:
        """Whether that is the file, and nobody cut it. *uncut_bytes*: as it was before *found*: others may
        have written more since."""
        return found.st_size >= uncut_bytes and self.inode in (None, (found.st_dev, found.st_ino))

    def open_to_write(self) -> int:
        """A descriptor of the file. It is made once: where somebody removed it, or cut it, what counts, and
        what is being written, would be zeros in another one. OSError."""
        with _MAKING if self.inode is None and self.sums is not None else nullcontext():
            return self._open_to_write()

    def _open_to_write(self) -> int:
        is_made = self.inode is not None
        fd = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC | (0 if is_made else os.O_CREAT), 0o600)
        try:
            if not is_made and self.sums is not None:
                self.is_long = is_lengthened(fd, self.sums.uncut_bytes)
            uncut_bytes = self.uncut_bytes
            found = os.fstat(fd)
            if not self.is_at(found, uncut_bytes):
                raise FileNotFoundError(self.path)
        except OSError:
            os.close(fd)
            raise
        self.inode = (found.st_dev, found.st_ino)
        return fd

    def write(self, offset: int, data: bytes) -> bool | None:
        """Whether all of *data* is in the file; the digests of its blocks are kept, too. None: the file could
        not be opened for lack of descriptors, and is as it was."""
        try:
            fd = self.open_to_write()
            try:
                is_written = os.pwrite(fd, data, offset) == len(data)
            finally:
                os.close(fd)
        except OSError as error:
            return None if error.errno in LACKS else False
        if is_written and self.sums is not None:
            self.sums.write(offset, data)
        return is_written

    def is_there(self) -> bool:
        """Whether nobody removed the file, nor cut it."""
        uncut_bytes = self.uncut_bytes
        try:
            return self.is_at(os.stat(self.path), uncut_bytes)  # noqa: PTH116 - the system call itself
        except OSError:
            return False

    def have(self, start: int, stop: int) -> None:
        """[start, stop) is there and right."""
        self.ranges.add(start, stop)
        self.left.remove(start, stop)
        if self.sums is not None:
            whole = self.sums.whole_in(start, stop)
            self.sums.unproven.difference_update(whole)
            self.sums.refuted.difference_update(whole)

    def finds_more(self, start: int, stop: int) -> bool:
        """Counts the blocks that touch [start, stop) and that another mount has fetched since, which have to
        prove themselves; whether there are any."""
        if self.sums is None:
            return False
        gaps = self.ranges.gaps(start, stop)
        present = (number for gap in gaps for number in self.sums.present(self.sums.touching(*gap)))
        found = [number for number in present if number not in self.sums.refuted]
        for number in found:
            self.have(*self.sums.span(number))
            self.sums.unproven.add(number)
        return bool(found)

    def lose(self, start: int, stop: int) -> None:
        """[start, stop) is not right."""
        self.ranges.remove(start, stop)
        self.left.add(start, stop)

    def leave(self, stored: Iterable[tuple[int, int]]) -> None:
        """*stored* is on the disk; what of it does not count as cached never will."""
        for low, high in stored:
            for gap in self.ranges.gaps(low, high):
                self.left.add(*gap)

    def unproven_in(self, start: int, stop: int) -> list[int]:
        """The blocks that [start, stop) touches and that have to prove themselves first."""
        if self.sums is None or not self.sums.unproven or start >= stop:
            return []
        return [number for number in self.sums.touching(start, stop) if number in self.sums.unproven]


class KeptOpen:
    """Cache files that stay open between two reads; guarded by the cache's lock.

    Of an evicted one somebody may have a reference for as long as a program is idle: a thread of the mount
    keeps what it answered with until it takes its next call (``fuse.replies``).
    """

    __slots__ = ("_evicted", "_files", "_open")

    def __init__(self) -> None:
        self._files: deque[CacheFile] = deque()
        """Those that were opened first come first."""
        self._open: WeakSet[Stored] = WeakSet()
        """All that anybody has open."""
        self._evicted: WeakKeyDictionary[Stored, float] = WeakKeyDictionary()
        """Since when they have been known to be."""

    def add(self, cached: CacheFile, stored: Stored) -> None:
        cached.stored, cached.was_open = stored, True
        self._open.add(stored)
        self._files.append(cached)
        if len(self._files) > MOST_OPEN:
            self._files.popleft().stored = None

    def evict(self, cached: CacheFile) -> None:
        """No read that begins from here on takes it."""
        cached.stored = None
        if cached.was_open:
            for stored in self._open:
                stored.evicted = stored.evicted or stored.path == cached.path

    def give_back(self, now_s: float) -> None:
        """Gives the disk the room of files that have been evicted for GIVE_BACK_S. Called now and then."""
        for stored in list(self._open):
            if stored.evicted and now_s >= self._evicted.setdefault(stored, now_s) + GIVE_BACK_S:
                with suppress(OSError):
                    stored.give_back()
                    self._open.discard(stored)


def prove(cached: CacheFile, numbers: Iterable[int], fd: int, lock: threading.Lock) -> bool:
    """Has blocks of a former process prove themselves; those that do not are absent from here on. *lock*:
    the cache's, which is held in between only. False: of some it cannot be told."""
    assert cached.sums is not None
    for number in numbers:
        is_right = cached.sums.prove(number, fd)
        if is_right is None:
            return False
        with lock:
            if number in cached.sums.unproven:
                cached.sums.unproven.discard(number)
                if not is_right:
                    cached.sums.refuted.add(number)
                    cached.lose(*cached.sums.span(number))
    return True


def is_lengthened(fd: int, length: int) -> bool:
    """Has a file be as long as *length* at least, by a hole; False: the file system has none, as eCryptfs and
    FAT, or no file may be as long. OSError."""
    before = os.fstat(fd)
    if before.st_size >= length:
        return True
    try:
        os.ftruncate(fd, min(length, before.st_size + HOLE_BYTES))
        if 512 * (os.fstat(fd).st_blocks - before.st_blocks) >= HOLE_BYTES // 2:
            return False
        os.ftruncate(fd, length)
    except OSError:
        return False
    return True


def stored_in(path: str, start: int, stop: int) -> list[tuple[int, int]]:
    """The parts of [start, stop) that take room on the disk (lseek(2), SEEK_DATA); nearly: by pages."""
    found: list[tuple[int, int]] = []
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return found
    try:
        while start < stop and (low := os.lseek(fd, start, os.SEEK_DATA)) < stop:
            start = min(os.lseek(fd, low, os.SEEK_HOLE), stop)
            found.append((low, start))
    except OSError:  # ENXIO: no more of it
        pass
    finally:
        os.close(fd)
    return found


def sums_of(path: str, file: File) -> Sums | None:
    """Of a large file that is known by its hash; others do not outlive the process, or prove themselves as a
    whole."""
    is_large = file.size_bytes > WHOLE_FILE_BYTES and bool(file.content_hash)
    return Sums(Path(path), file.size_bytes) if is_large else None


def proven(path: str, file: File, kind: HashKind) -> tuple[bool | None, Sums | None]:
    """Whether a cache file has all bytes of *file*, by its hash; None: it cannot be told. If so, a large one
    has digests of its blocks, too, and not before: whoever finds a digest believes it."""
    sums = sums_of(path, file)
    state, digests = hasher(kind), Digests()
    left = length = file.size_bytes
    try:
        with Path(path).open("rb", buffering=0) as stored:
            found_bytes = os.fstat(stored.fileno()).st_size
            if sums is not None and found_bytes in (length, sums.uncut_bytes):
                sums = _lengthened(path, sums)  # before a byte is looked at: a cut is noticed from here on
                length = found_bytes if sums is None else sums.uncut_bytes
            while left and (piece := stored.read(min(PIECE_BYTES, left))):
                state.update(piece)
                left -= len(piece)
                if sums is not None:
                    digests.update(piece)
            is_as_long = os.fstat(stored.fileno()).st_size == length
    except OSError as error:
        return (None if error.errno in LACKS else False), None
    if not is_as_long or state.hexdigest() != file.content_hash:
        return False, None
    if sums is not None:
        sums.note(0, file.size_bytes, digests.all())
    return True, sums


def _lengthened(path: str, sums: Sums) -> Sums | None:
    """*sums* of a cache file that is as long as it is to be now; None: it cannot be."""
    try:
        os.truncate(path, sums.uncut_bytes)
    except OSError:
        return None
    return sums
