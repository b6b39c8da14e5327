"""A form of two parts, one of them a pending file, which is read while it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator

from mountfs.backends.box.api import Json
from mountfs.errors import Corrupt
from mountfs.model.order import Put
from mountfs.model.source import ReadBody

READ_BYTES = 256 * 1024
"""Bytes of a file in memory at once."""


class FileForm:
    """``wire.StreamedBody`` of multipart/form-data: ``attributes`` first, as the service demands."""

    def __init__(self, boundary: str, attributes: Json, order: Put, read: ReadBody) -> None:
        self._order = order
        self._read = read
        self._head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="attributes"\r\n'
            f"Content-Type: application/json\r\n\r\n{json.dumps(attributes)}\r\n"
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n'
            f"Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()

    def __len__(self) -> int:
        return len(self._head) + self._order.size_bytes + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        """A file of up to READ_BYTES leaves in one piece. Corrupt, and what reading raises."""
        ready = self._head
        for offset, piece in pieces(self._order, self._read):
            if offset:
                yield ready
                ready = b""
            ready += piece
        yield ready + self._tail


def pieces(order: Put, read: ReadBody) -> Iterator[tuple[int, bytes]]:
    """The bytes of *order*, each piece with its offset. Corrupt: there are fewer than there should be."""
    for offset in range(0, order.size_bytes, READ_BYTES):
        length = min(READ_BYTES, order.size_bytes - offset)
        piece = read(offset, length)
        if len(piece) != length:
            raise Corrupt(f"the pending bytes of {order.place} end at {offset + len(piece)}")
        yield offset, piece
