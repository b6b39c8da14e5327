"""Disk space held back for the store, so that uploads can be written down, and make room, on a full disk."""

from __future__ import annotations

import logging
from pathlib import Path
from threading import Lock

from mountfs.errors import NoSpace
from mountfs.ports import Disk

LOG = logging.getLogger(__name__)

BALLAST_BYTES = 16 * 1024 * 1024
"""Some thousand transactions of the store, with its log: far more than it takes until files are removed."""


class Ballast:
    """A file without a name that takes up space until the store needs it. Any thread.

    The spool stops at a reserve of its own, but others fill the same disk. Booking what was uploaded takes a
    few rows, and only then are files removed: without room for those rows a full disk would stay full.
    """

    def __init__(self, directory: Path, disk: Disk, size_bytes: int = BALLAST_BYTES) -> None:
        """*size_bytes*: 0: nothing is ever held. *directory*: of the store."""
        self._directory = str(directory)
        self._disk = disk
        self._size_bytes = size_bytes
        self._lock = Lock()
        self._fd: int | None = None

    def hold(self) -> bool:
        """Takes the space (again) where there is twice as much; whether nothing is missing now."""
        with self._lock:
            if self._fd is not None or not self._size_bytes:
                return True
            fd: int | None = None
            try:
                if self._disk.free_bytes(self._directory) < 2 * self._size_bytes:
                    return False
                path = f"{self._directory}/ballast"
                self._disk.remove(path)
                fd = self._disk.create(path)
                self._disk.remove(path)  # a process that dies leaves the space to the next one
                self._disk.allocate(fd, self._size_bytes)
            except (OSError, NoSpace) as error:
                if fd is not None:
                    self._disk.close(fd)
                LOG.debug("no ballast on the disk of the journal: %s", error)
                return False
            self._fd = fd
            return True

    def release(self) -> bool:
        """Gives the space back: the store found the disk full. Whether there was any."""
        with self._lock:
            fd, self._fd = self._fd, None
            if fd is None:
                return False
            self._disk.close(fd)
            return True
