"""The block cache on disk: pieces of revisions already fetched, the least recently used go first.

What a former process kept is used again. The name of a cache file tells the hash that the service states of
the content. Of a small one all bytes have to prove themselves by it; a large one has digests of its blocks
(``sums``), and each block proves itself when it is read for the first time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from mountfs.model.entry import File
from mountfs.model.hashing import HashKind
from mountfs.model.ranges import RangeSet
from mountfs.reading.cachedirectory import CacheDirectory
from mountfs.reading.cachefile import (
    CacheFile,
    KeptOpen,
    Stored,
    prove,
    proven,
    stored_in,
    sums_of,
)
from mountfs.reading.contentkey import Key, key_of
from mountfs.reading.inventory import Inventory
from mountfs.reading.limits import LEAST_BYTES, MOST_FILES
from mountfs.reading.othercaches import OtherCaches
from mountfs.reading.readahead import WHOLE_FILE_BYTES
from mountfs.reading.sums import remove


class Blocks:
    """Bytes of revisions, in sparse files of a directory of our own; thread-safe. It never fails a caller:
    what cannot be kept (a full disk) is not cached."""

    def __init__(
        self,
        directory: Path,
        limit_bytes: int,
        hash_kind: HashKind,
        most_files: int = MOST_FILES,
        *,
        lacking_bytes: Callable[[], int] = lambda: 0,
        least_bytes: int = LEAST_BYTES,
        others: OtherCaches | None = None,
    ) -> None:
        """Makes *directory* if it is missing. *hash_kind*: of the hashes that the service states.
        *lacking_bytes*: how much more of the disk should be free; the cache gives it, down to *least_bytes*.
        *others*: where contents are taken from that this cache has nothing of."""
        self._directory = CacheDirectory(directory)
        self.limit_bytes = limit_bytes
        self._hash_kind = hash_kind
        self._lacking_bytes = lacking_bytes
        self.others = others or OtherCaches()
        self._kept_open = KeptOpen()
        self._inventory = Inventory(limit_bytes, most_files, least_bytes, lacking_bytes, self._kept_open)
        self._lock = threading.Lock()
        for found in self._directory.take_stock():
            if found.key in self._inventory.files:
                remove(Path(found.file.path))
            else:
                self._inventory.add(found.key, found.file)

    @property
    def used_bytes(self) -> int:
        """What all that is cached takes of the disk."""
        return self._inventory.used_bytes

    @property
    def pinned_bytes(self) -> int:
        """Of what is cached, so much is pinned: it counts neither against the limit, nor is it evicted."""
        return self._inventory.pinned.cached_bytes

    @property
    def spares_former(self) -> bool:
        """Whether what a former process kept stays until it is known what of it is pinned."""
        return self._inventory.spares_former

    @spares_former.setter
    def spares_former(self, is_sparing: bool) -> None:
        self._inventory.spares_former = is_sparing

    @property
    def is_short(self) -> bool:
        """Whether the disk wants room of the cache, which may have to shrink to its least."""
        return self._lacking_bytes() > 0

    def recall(self, file: File) -> None:
        """Has what a former process, or another mount, kept of *file* count as cached if it is whole; reads
        all of it once. To be called before anything else is asked about *file*."""
        key = key_of(file)
        with self._lock:
            cached = self._inventory.files.get(key)
        cached = cached or self._lent(key)
        if cached is None or cached.is_proven:
            return
        with cached.proving:
            if not cached.is_proven:
                self._prove(file, key, cached)

    def _prove(self, file: File, key: Key, cached: CacheFile) -> None:
        """Reads all of a cache file, and counts it as cached, or forgets it."""
        is_right, sums = proven(cached.path, file, self._hash_kind)
        with self._lock:
            if self._inventory.files.get(key) is not cached or is_right is None:
                return
            cached.sums = sums
            if is_right:
                cached.is_proven = True
                cached.ranges.add(0, file.size_bytes)
            else:
                self._inventory.forget(key, cached)
                self.others.doubt(key)

    def peek(self, file: File, offset: int, length: int) -> bytes:
        """The cached bytes from *offset* on, at most *length*; empty when the first is not cached."""
        stored, length = self.stored(file, offset, length)
        return b"" if stored is None else stored.read(offset, length)

    def peek_into(self, file: File, offset: int, room: memoryview) -> int:
        """As ``peek``, into *room*; how many bytes."""
        stored, length = self.stored(file, offset, len(room))
        return 0 if stored is None else stored.read_into(offset, room[:length])

    def gaps(self, file: File, start: int, stop: int) -> list[tuple[int, int]]:
        """The parts of [start, stop) that are not cached, ascending."""
        key = key_of(file)
        with self._lock:
            cached = self._inventory.files.get(key)
            if cached is not None and cached.is_shared and cached.finds_more(start, stop):
                self._inventory.count(key, cached, cached.disk_bytes)
                self._inventory.shrink()
                cached = self._inventory.files.get(key)
            return cached.ranges.gaps(start, stop) if cached else RangeSet().gaps(start, stop)

    def put(self, file: File, offset: int, data: bytes) -> bool:
        """Keeps bytes of *file*, and lets go of others if there are too many now. False: the disk takes
        none."""
        key = key_of(file)
        if not data or not self._inventory.may_keep(key, len(data)):
            return True
        cached = self._present(file)
        if cached is None:
            return True
        if is_written := cached.write(offset, data):
            with self._lock:
                self._inventory.keep(key, cached, offset, len(data))
            return True
        is_there = cached.is_there()
        is_refused = is_written is None or is_there or cached.inode is None
        if is_written is None or (key in self._inventory.pinned and is_there):
            # Where there is no room others give way first.
            self.broke_off(file, cached, offset, len(data))
        else:
            with self._lock:
                self._inventory.forget(key, cached)
        return not is_refused

    def land(self, file: File, length: int) -> CacheFile | None:
        """Where somebody else may write *length* bytes of *file*, in a file that exists; None: nowhere. It is
        for large contents that are known by their hash, since whoever writes may outlive this process: then
        he writes into a file of that name what belongs there."""
        key, is_large = key_of(file), file.size_bytes > WHOLE_FILE_BYTES
        if not file.content_hash or not is_large or not self._inventory.may_keep(key, length):
            return None
        cached = self._present(file)
        # A large file without digests is one that was taken over, and counts as a whole for the next process.
        if cached is None or (cached.sums is not None and not cached.sums.begin()):
            return None
        if is_there := cached.write(0, b""):
            return cached
        with self._lock:
            is_evicted = self._inventory.files.get(key) is not cached
            if is_there is False or is_evicted:  # nothing of it may stay
                self._inventory.forget(key, cached)
        return None

    def landed(self, file: File, cached: CacheFile, offset: int, length: int, digests: bytes) -> None:
        """Counts [offset, offset + length) as cached: these bytes were written to what ``land`` returned.
        *digests*: of their blocks."""
        is_there = cached.is_there()
        if is_there and cached.sums is not None:
            cached.sums.note(offset, length, digests)
        with self._lock:
            if is_there:
                self._inventory.keep(key_of(file), cached, offset, length)
            else:
                self._inventory.forget(key_of(file), cached)

    def broke_off(self, file: File, cached: CacheFile, offset: int, length: int) -> None:
        """Some of [offset, offset + length) may be written in what ``land`` returned, and is absent."""
        stored = stored_in(cached.path, offset, offset + length)
        key = key_of(file)
        with self._lock:
            if self._inventory.files.get(key) is cached:
                cached.leave(stored)
                self._inventory.count(key, cached, cached.disk_bytes)
                self._inventory.shrink()
            else:  # evicted, perhaps before ``land`` made the file again
                self._inventory.forget(key, cached)

    def adopt(self, content_hash: str, size_bytes: int, spool_path: str) -> bool:
        """Takes a spool file over by rename, as all bytes of the content with that hash; False: nothing was
        done."""
        if not 0 < size_bytes <= self.limit_bytes:
            return False
        key = (content_hash, str(size_bytes))
        with self._lock:
            path = self._directory.new_path(content_hash, size_bytes)
            try:
                found = os.stat(spool_path)  # noqa: PTH116 - the system call itself
                # A second name: a newer version of it is written behind its end.
                if found.st_size != size_bytes or found.st_nlink > 1:
                    return False
                os.rename(spool_path, path)  # noqa: PTH104 - likewise
            except OSError:
                return False  # gone, or on another file system
            before = self._inventory.files.get(key)
            if before is not None:
                self._inventory.forget(key, before)
            inode = found.st_dev, found.st_ino
            whole = RangeSet([(0, size_bytes)])
            self._inventory.add(key, CacheFile(path, whole, cached_bytes=size_bytes, inode=inode))
            self._inventory.took_over(size_bytes)
        return True

    def pin(self, file: File) -> bool:
        """*file* is not evicted, and does not count against the limit, as long as rounds find it: only what
        is written may still need its room. Whether no other with its bytes was pinned in this round. A cache
        file of it that somebody removed or cut counts no longer."""
        key = key_of(file)
        with self._lock:
            cached = self._inventory.files.get(key)
        is_gone = cached is not None and cached.inode is not None and not cached.is_there()
        with self._lock:
            if cached is not None and is_gone:
                self._inventory.forget(key, cached)
            return self._inventory.pin(key)

    def begin_pins(self) -> None:
        """From here to ``end_pins`` everything is pinned anew that is to stay so."""
        with self._lock:
            self._inventory.pinned.begin_round()

    def end_pins(self) -> None:
        """What was not pinned since ``begin_pins`` is as any other."""
        with self._lock:
            self._inventory.end_pins()

    @property
    def has_lost_pins(self) -> bool:
        """Whether pinned bytes had to give way since ``begin_pins``."""
        return self._inventory.pinned.has_lost

    def has_room_for(self, length: int) -> bool:
        """Whether the disk has room for so many pinned bytes, once all others have given way."""
        free_bytes = -self._lacking_bytes()
        with self._lock:
            return self._inventory.has_room_for(length, free_bytes)

    def bytes_of(self, file: File) -> int:
        """How much of *file* is cached."""
        with self._lock:
            cached = self._inventory.files.get(key_of(file))
            return 0 if cached is None else cached.cached_bytes - cached.left.total_bytes

    def clear(self) -> None:
        """Forgets everything but what is pinned."""
        with self._lock:
            keys = list(self._inventory.files)
        for key in keys:
            with self._lock:
                self._inventory.drop(key)

    def make_room(self) -> None:
        """Gives the disk what it lacks."""
        with self._lock:
            self._inventory.shrink()

    def look(self, now_s: float) -> None:
        """The same, also of what somebody still has open. Called now and then: nobody may read or write."""
        self.make_room()
        with self._lock:
            self._kept_open.give_back(now_s)

    def drop(self, file: File) -> None:
        """Forgets all bytes of *file*, unless it is pinned."""
        with self._lock:
            self._inventory.drop(key_of(file))

    def may_keep(self, key: Key, length: int) -> bool:
        """Whether the cache is large enough for so many bytes of a content, or it is pinned."""
        return self._inventory.may_keep(key, length)

    def stored(self, file: File, offset: int, length: int) -> tuple[Stored | None, int]:
        """Where to read from, and how much of [offset, offset + length) is there; None: nothing."""
        key = key_of(file)
        with self._lock:
            cached = self._inventory.files.get(key)
            if cached is None:
                return None, 0
            self._inventory.files.move_to_end(key)
            stop = cached.stop_of(offset, offset + length)
            unproven = cached.unproven_in(offset, stop)
            stored = cached.stored
        if stop <= offset:
            return None, 0
        is_gone = stored is not None and not stored.is_uncut()
        if stored is None:  # it is looked at as it is opened
            try:
                stored = self._opened(key, cached)
            except OSError as error:
                is_gone = isinstance(error, FileNotFoundError)
        if stored is None or is_gone:
            if is_gone:  # evicted since, or somebody removed or cut it
                with self._lock:
                    self._inventory.forget(key, cached)
            return None, 0
        if unproven:
            is_told = prove(cached, unproven, stored.fd, self._lock)
            with self._lock:
                stop = cached.stop_of(offset, stop) if is_told else offset
        return (stored, stop - offset) if stop > offset else (None, 0)

    def _opened(self, key: Key, cached: CacheFile) -> Stored:
        """Opens a cache file; a large one stays open for the next reads. OSError."""
        stored = Stored(cached)
        if cached.sums is not None or cached.cached_bytes > WHOLE_FILE_BYTES:
            with self._lock:
                if self._inventory.files.get(key) is cached:
                    self._kept_open.add(cached, stored)
        return stored

    def _present(self, file: File) -> CacheFile | None:
        """What is known of *file*'s cache file; a new one where there is none. None: it cannot be told yet
        whether the one of a former process is right (``recall``), so it stays as it is."""
        key = key_of(file)
        with self._lock:
            cached = self._inventory.files.get(key)
            if cached is not None and not cached.is_proven:
                return None
            if cached is None:
                path = self._directory.new_path(file.content_hash, file.size_bytes)
                cached = CacheFile(path, sums=sums_of(path, file))
                self._inventory.add(key, cached)
            return cached

    def _lent(self, key: Key) -> CacheFile | None:
        """What another cache has of a content, under a name in this one; None: nothing."""
        lent = self.others.lend(key, lambda: self._directory.new_path(key[0], int(key[1])))
        if lent is None:
            return None
        lent.is_former, lent.is_shared = False, lent.sums is not None
        with self._lock:
            before = self._inventory.files.get(key)
            if before is not None or not self._inventory.may_keep(key, lent.cached_bytes):
                self._inventory.forget(key, lent)
                return before
            self._inventory.add(key, lent)
            self._inventory.keep_limit()
        return lent
