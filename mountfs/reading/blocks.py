"""The block cache on disk: pieces of revisions already fetched, the least recently used go first."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from mountfs.model.entry import File
from mountfs.model.ranges import RangeSet

MOST_FILES = 100_000
"""However small they are: each costs about 1 KB of memory and a block of the disk."""


@dataclass(slots=True)
class _Cached:
    """One sparse file with some of the bytes of one content."""

    path: Path
    ranges: RangeSet = field(default_factory=RangeSet)
    cached_bytes: int = 0


class Blocks:
    """Bytes of revisions, in sparse files of a directory of our own; thread-safe.

    The cache begins empty: which bytes a file held is known in memory only. It never fails a caller:
    what cannot be kept (a full disk) is not cached. Keys are the service's content hash where it
    states one, so that a renamed file stays cached, else id and revision.
    """

    def __init__(self, directory: Path, limit_bytes: int, most_files: int = MOST_FILES) -> None:
        """Makes *directory* if it is missing, and empties it."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for stray in directory.iterdir():
            stray.unlink()
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._most_files = most_files
        self._cached: OrderedDict[tuple[str, ...], _Cached] = OrderedDict()
        self._made = 0
        self._used_bytes = 0
        self._lock = threading.Lock()

    @property
    def used_bytes(self) -> int:
        return self._used_bytes

    def peek(self, file: File, offset: int, length: int) -> bytes:
        """The cached bytes from *offset* on, at most *length*; empty when the first is not cached."""
        with self._lock:
            cached = self._cached.get(key_of(file))
            if cached is None:
                return b""
            self._cached.move_to_end(key_of(file))
            gaps = cached.ranges.gaps(offset, offset + length)
        stop = gaps[0][0] if gaps else offset + length
        if stop <= offset:
            return b""
        try:
            with cached.path.open("rb", buffering=0) as stored:
                return os.pread(stored.fileno(), stop - offset, offset)
        except OSError:
            return b""  # evicted since: a miss

    def gaps(self, file: File, start: int, stop: int) -> list[tuple[int, int]]:
        """The parts of [start, stop) that are not cached, ascending."""
        with self._lock:
            cached = self._cached.get(key_of(file))
            return cached.ranges.gaps(start, stop) if cached else RangeSet().gaps(start, stop)

    def put(self, file: File, offset: int, data: bytes) -> None:
        """Keeps bytes of *file*, and lets go of others if there are too many now."""
        if not data or len(data) > self._limit_bytes:
            return
        key = key_of(file)
        with self._lock:
            cached = self._cached.get(key)
            if cached is None:
                cached = self._cached[key] = _Cached(self._new_path_locked())
        try:
            fd = os.open(cached.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                is_written = os.pwrite(fd, data, offset) == len(data)
            finally:
                os.close(fd)
        except OSError:
            is_written = False
        with self._lock:
            if not is_written or self._cached.get(key) is not cached:
                self._forget_locked(key, cached)
                return
            cached.ranges.add(offset, offset + len(data))
            self._account_locked(key, cached)

    def adopt(self, file: File, spool_path: Path) -> bool:
        """Takes a committed spool file over by rename, as all bytes of *file*; False: nothing was done."""
        if not 0 < file.size_bytes <= self._limit_bytes:
            return False
        key = key_of(file)
        with self._lock:
            path = self._new_path_locked()
            try:
                if spool_path.stat().st_size != file.size_bytes:
                    return False
                spool_path.rename(path)
            except OSError:
                return False  # gone, or on another file system
            before = self._cached.get(key)
            if before is not None:
                self._forget_locked(key, before)
            cached = self._cached[key] = _Cached(path, RangeSet([(0, file.size_bytes)]))
            self._account_locked(key, cached)
        return True

    def drop(self, file: File) -> None:
        """Forgets all bytes of *file*."""
        with self._lock:
            cached = self._cached.get(key_of(file))
            if cached is not None:
                self._forget_locked(key_of(file), cached)

    def _new_path_locked(self) -> Path:
        # Never a name twice: whoever still reads or writes an evicted file must not meet another's.
        self._made += 1
        return self._directory / f"{self._made:08x}"

    def _account_locked(self, key: tuple[str, ...], cached: _Cached) -> None:
        self._cached.move_to_end(key)
        total_bytes = cached.ranges.total_bytes
        self._used_bytes += total_bytes - cached.cached_bytes
        cached.cached_bytes = total_bytes
        while self._used_bytes > self._limit_bytes or len(self._cached) > self._most_files:
            oldest = next(iter(self._cached))
            self._forget_locked(oldest, self._cached[oldest])

    def _forget_locked(self, key: tuple[str, ...], cached: _Cached) -> None:
        if self._cached.get(key) is cached:
            del self._cached[key]
            self._used_bytes -= cached.cached_bytes
        cached.path.unlink(missing_ok=True)


def key_of(file: File) -> tuple[str, ...]:
    """Equal for two revisions only if their bytes are."""
    if file.content_hash:
        return (file.content_hash, str(file.size_bytes))
    return (file.id, file.revision)
