"""Spool files with several names: versions of one file, each of which is the beginning of the next.

`echo x >> log`, and 200 MB of log are still to be sent: the bytes go behind those that are there, where
nobody who knows the older version looks, and the newer one has a name of its own for the same file. Whoever
writes anywhere else copies first, while the file has another name.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from threading import Lock

from mountfs.ports import Disk
from mountfs.spool.spoolfile import SpoolFile


class Extending:
    """Any thread may call; guarded by a lock of its own, which nothing slow is done under."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._lock = Lock()
        self._writers: dict[int, SpoolFile] = {}
        """Who writes behind the end of a file, by its inode number: one at a time."""
        self._failed: set[str] = set()
        """Names of files that could not be synced: the bytes may be lost though a later sync succeeds."""
        self._lost: dict[int, int] = {}
        """Files that had several names then: descriptors by inode number, which so is no other file's."""

    def extend(
        self, file: SpoolFile, size_bytes: int, source: str, target: str, name: str
    ) -> SpoolFile | None:
        """Gives *file* a second *name*, and its path *source* another, *target*. See ``Spool.extend``."""
        with self._lock:
            number, _ = file.inode()
            writer = self._writers.get(number)
            is_taken = writer is not None and writer is not file and writer.is_open
            if is_taken or number in self._lost or file.name in self._failed or file.size_bytes != size_bytes:
                return None
            try:
                self._disk.link(source, target)
            except OSError:
                return None  # gone meanwhile, or a file system whose files have one name each
            try:
                extended = SpoolFile(self._disk, name, self._disk.open(target), size_bytes)
            except BaseException:
                self._disk.remove(target)
                raise
            self._writers = {each: one for each, one in self._writers.items() if one.is_open}
            self._writers[number] = extended
            return extended

    def is_shared(self, file: SpoolFile, path: str) -> bool:
        """Whether *file* has another name than *path*. If not it never will, unless by its own writer."""
        _, names = file.inode()
        # In this order: a name that went since does no harm, and none comes back.
        if names > 1 or (names == 1 and not self._disk.exists(path)):
            return True
        file.own_from = 0
        return False

    def note_failed(self, name: str, fd: int, path: str) -> None:
        """The file could not be synced: what has its bytes too must not count as safe after another try."""
        with self._lock, suppress(OSError):
            self._failed.add(name)
            number, names = self._disk.inode(fd)
            if names > 1 and number not in self._lost:
                self._lost[number] = self._disk.open(path)

    def check(self, fd: int) -> None:
        """OSError where the bytes of the file may be lost."""
        if self._lost and self._disk.inode(fd)[0] in self._lost:
            raise OSError(errno.EIO, "an earlier sync of an older version of it failed")

    def let_go(self, name: str) -> None:
        """The name is used no more."""
        self._failed.discard(name)

    def close(self) -> None:
        with self._lock:
            while self._lost:
                self._disk.close(self._lost.popitem()[1])
