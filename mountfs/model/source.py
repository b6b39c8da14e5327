"""A pending file as whoever sends it knows it: where its bytes are, and never the bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mountfs.model.pendingbytes import Unreadable

ReadBody = Callable[[int, int], bytes]
"""(offset, length) -> the pending file's own bytes, fewer only at its end. Unreadable, DiskTrouble."""


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes of a pending file, which are read where they are sent from.

    *path* is absolute and names the file for every process of this machine; "": there is none. *read* is how
    this process reads it.
    """

    path: str
    read: ReadBody = field(compare=False, repr=False)

    def exactly(self, offset: int, length: int) -> bytes:
        """As ``read``, but Unreadable where the file ends too early."""
        body = self.read(offset, length)
        if len(body) != length:
            raise Unreadable(f"the pending bytes end at {offset + len(body)}")
        return body
