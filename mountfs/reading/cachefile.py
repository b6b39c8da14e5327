"""Cache files: what is known of one, and which of them stay open."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
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


class Stored:
    """A cache file that is open for reading, and is closed with the last reference to it: it can be evicted
    while somebody reads. ``evicted``: it was, and keeps its room on the disk until then."""

    __slots__ = ("__weakref__", "evicted", "fd", "path")

    def __init__(self, path: str) -> None:
        """OSError."""
        self.path = path
        self.evicted = False
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self.fd)

    def give_back(self) -> None:
        """Closes the file though somebody has a reference: reads of it fail from here on, and never meet
        another file. OSError."""
        nothing = os.open("/", os.O_PATH | os.O_CLOEXEC)
        try:
            os.dup2(nothing, self.fd, inheritable=False)
        finally:
            os.close(nothing)

    def read(self, offset: int, length: int) -> bytes:
        """What can be read: nothing where the disk fails."""
        try:
            return os.pread(self.fd, length, offset)
        except OSError:
            return b""

    def read_into(self, offset: int, room: memoryview) -> int:
        """As ``read``; how many bytes."""
        try:
            return os.preadv(self.fd, [room], offset)
        except OSError:
            return 0

    def reaches(self, stop: int) -> bool:
        """Whether it is as long as that: somebody may have cut it."""
        try:
            return os.lseek(self.fd, 0, os.SEEK_END) >= stop
        except OSError:
            return False


@dataclass(slots=True)
class CacheFile:
    """One sparse file with some of the bytes of one content; guarded by the cache's lock.

    ``ranges``: what counts as cached. ``left``: what does not, and takes room on the disk: of downloads that
    were broken off.

    ``is_proven``: False for a file of a former process that has to prove itself as a whole, and that nobody
    asked for yet; nothing counts as cached of it. ``unproven``: blocks that count, and have to prove
    themselves. ``refuted``: those that did not, and that nobody here has fetched since. ``sums``: of a large
    file. ``is_former``: it was found, and nobody wrote to it since.
    ``is_shared``: another mount had it first, and may still be writing to it.
    """

    path: str
    ranges: RangeSet = field(default_factory=RangeSet)
    left: RangeSet = field(default_factory=RangeSet)
    cached_bytes: int = 0
    is_proven: bool = True
    sums: Sums | None = None
    is_former: bool = False
    is_shared: bool = False
    unproven: set[int] = field(default_factory=set)
    refuted: set[int] = field(default_factory=set)
    stored: Stored | None = None
    was_open: bool = False

    def stop_of(self, start: int, stop: int) -> int:
        """Up to where [start, stop) is cached without a gap."""
        gaps = self.ranges.gaps(start, stop)
        return gaps[0][0] if gaps else stop

    @property
    def disk_bytes(self) -> int:
        return self.ranges.total_bytes + self.left.total_bytes

    def open_to_write(self) -> int:
        """A descriptor of the file. It is made only as long as nothing counts: where somebody removed it, or
        cut it, what counts would be zeros in another one. OSError."""
        end = self.ranges.end
        has_some = self.cached_bytes > 0 or end > 0  # it may have been evicted a moment ago
        fd = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC | (0 if has_some else os.O_CREAT), 0o600)
        if os.lseek(fd, 0, os.SEEK_END) < end:
            os.close(fd)
            raise FileNotFoundError(self.path)
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
        """Whether the file is as long as what counts of it: nobody removed it, nor cut it."""
        try:
            return os.stat(self.path).st_size >= self.ranges.end  # noqa: PTH116 - the system call itself
        except OSError:
            return False

    def have(self, start: int, stop: int) -> None:
        """[start, stop) is there and right."""
        self.ranges.add(start, stop)
        self.left.remove(start, stop)
        if self.sums is not None:
            whole = self.sums.whole_in(start, stop)
            self.unproven.difference_update(whole)
            self.refuted.difference_update(whole)

    def finds_more(self, start: int, stop: int) -> bool:
        """Counts the blocks that touch [start, stop) and that another mount has fetched since, which have to
        prove themselves; whether there are any."""
        if self.sums is None:
            return False
        gaps = self.ranges.gaps(start, stop)
        present = (number for gap in gaps for number in self.sums.present(self.sums.touching(*gap)))
        found = [number for number in present if number not in self.refuted]
        for number in found:
            self.have(*self.sums.span(number))
            self.unproven.add(number)
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
        if self.sums is None or not self.unproven or start >= stop:
            return []
        return [number for number in self.sums.touching(start, stop) if number in self.unproven]


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
            if number in cached.unproven:
                cached.unproven.discard(number)
                if not is_right:
                    cached.refuted.add(number)
                    cached.lose(*cached.sums.span(number))
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


def is_whole(path: str, file: File, kind: HashKind, sums: Sums | None) -> bool | None:
    """Whether a cache file has all bytes of *file*, by its hash. Then its blocks have digests, too, and not
    before: whoever finds a digest believes it. None: it cannot be told."""
    state, digests = hasher(kind), Digests()
    try:
        with Path(path).open("rb", buffering=0) as stored:
            while piece := stored.read(PIECE_BYTES):
                state.update(piece)
                if sums is not None:
                    digests.update(piece)
    except OSError as error:
        return None if error.errno in LACKS else False
    if state.hexdigest() != file.content_hash:
        return False
    if sums is not None:
        sums.note(0, file.size_bytes, digests.all())
    return True
