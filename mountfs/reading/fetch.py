"""One request of a reader, which others may wait for, and which may be called off; who makes it."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from mountfs.model.calloff import CallOff
from mountfs.model.entry import File


@dataclass(slots=True, eq=False)
class Fetch:
    """For [start, stop) of one revision. ``is_begun``: somebody makes it, or it was called off. ``is_ahead``:
    nobody waited for it when it was planned. ``waiting``: how many reads have waited for it."""

    start: int
    stop: int
    is_begun: bool = False
    is_ahead: bool = False
    waiting: int = 0
    body: Future[bytes | None] = field(default_factory=Future)
    """None: the bytes went into the cache, and nowhere else."""
    call_off: CallOff = field(default_factory=CallOff)
    """Ends it while it is on its way."""


class Source(Protocol):
    """The one method of ``ports.Backend`` that reading needs."""

    def read(self, file: File, offset: int, length: int) -> bytes: ...


@runtime_checkable
class Lander(Protocol):
    """A source that can also write a range into a file itself."""

    def read_into(self, file: File, offset: int, length: int, path: str, call_off: CallOff) -> bytes:
        """Writes it at *offset* of the file at *path*; the digests of its blocks. DiskTrouble. CalledOff by
        *call_off*."""
