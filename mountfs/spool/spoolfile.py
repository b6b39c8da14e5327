"""One file of the spool, open for reading and writing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mountfs.ports import Disk

MOST_BYTES = 2**63 - 1
PIECE_BYTES = 4 * 1024 * 1024
"""Bytes in memory at once while ranges are copied."""
COPIED_BYTES = 16 * 1024 * 1024
"""Copied at once, or shared with the copy: only the disk knows which, so it is asked in between."""


class SpoolFile:
    """The whole bytes of one pending file; any thread may read and write at any offset.

    It adds nothing to the system calls: a write through the mount ends here, so this is the path
    whose cost every copy pays. Who may write when is the open file's business.
    """

    __slots__ = ("_disk", "_fd", "name", "own_from")

    def __init__(self, disk: Disk, name: str, fd: int, own_from: int = MOST_BYTES) -> None:
        """Takes *fd* over."""
        self._disk = disk
        self._fd = fd
        self.name = name
        self.own_from = own_from
        """What lies before it may be another file's as well: ``Spool.is_shared`` tells."""

    @property
    def size_bytes(self) -> int:
        """As the disk has it; asked each time (below a microsecond), so that it cannot go wrong."""
        return self._disk.size(self._fd)

    @property
    def is_open(self) -> bool:
        return self._fd >= 0

    def inode(self) -> tuple[int, int]:
        """Its number, and how many names it has."""
        return self._disk.inode(self._fd)

    def pread(self, offset: int, length: int) -> bytes:
        """Fewer bytes than *length* only at the end of the file."""
        return self._disk.pread(self._fd, length, offset)

    def pwrite(self, offset: int, data: bytes) -> None:
        """All of *data*, or NoSpace; a gap before *offset* reads as zeros."""
        self._disk.pwrite(self._fd, data, offset)

    def truncate(self, size_bytes: int) -> None:
        """Cuts or extends with zeros."""
        self._disk.truncate(self._fd, size_bytes)

    def label(self, text: str) -> bool:
        """Keeps *text* with the file, for whoever finds it after a crash; whether it could."""
        return self._disk.label(self._fd, text)

    def copy_into(self, other: SpoolFile, length: int, admit: Callable[[int], object]) -> None:
        """Gives *other* the first *length* bytes of this file. *admit*: is asked before each piece."""
        for at in range(0, length, COPIED_BYTES):
            piece_bytes = min(COPIED_BYTES, length - at)
            admit(piece_bytes)
            self._disk.copy(self._fd, other._fd, piece_bytes, at)

    def copy_ranges_into(self, other: SpoolFile, ranges: Iterable[tuple[int, int]]) -> None:
        """Gives *other* the bytes of *ranges*, each at its place."""
        for start, stop in ranges:
            for at in range(start, stop, PIECE_BYTES):
                other.pwrite(at, self.pread(at, min(PIECE_BYTES, stop - at)))

    def close(self) -> None:
        """May be called again; nothing else may follow."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._disk.close(fd)
