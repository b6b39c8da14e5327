"""A range of a pending file as the body of a request."""

from __future__ import annotations

from collections.abc import Iterator

from mountfs.model.source import Source

READ_BYTES = 256 * 1024
"""Bytes in memory at once. It divides the blocks that are hashed."""


class FileRange:
    """``wire.StreamedBody`` of the bytes [offset, offset + length) of *source*.

    It is read once to be hashed and once more while it is sent: from the page cache that costs no more than
    to hold a part of 8 MiB for each worker. A write in between makes the service refuse the part, since it is
    not what its hash says; the sender, which hears of that write, begins anew.
    """

    def __init__(self, source: Source, offset: int, length: int) -> None:
        self.offset = offset
        self._source = source
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        """Unreadable, DiskTrouble."""
        stop = self.offset + self._length
        for at in range(self.offset, stop, READ_BYTES):
            yield self._source.exactly(at, min(READ_BYTES, stop - at))
