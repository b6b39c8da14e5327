"""Which bytes of one large file go up next in its session: no I/O, no clock, no threads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mountfs.model.order import Part
from mountfs.model.ranges import RangeSet


@dataclass(frozen=True, slots=True)
class Append:
    """One request: *length* bytes from *offset* on. *is_closing*: it ends the session, so the service has to
    have stored all others before."""

    offset: int
    length: int
    is_closing: bool = False

    @property
    def stop(self) -> int:
        return self.offset + self.length


class SessionPlan:
    """The ranges of a file that were written, are being sent, and are stored at the service.

    While the file is written, ``claim`` gives whole parts that lie before the file's last byte. With parts of
    8 MiB and 20 MiB written these are the first two; after 16 MiB only the first, since the session is closed
    by a part, and 16 MiB may be all. Once the size is known it gives the others too, and the closing one when
    no other is on its way. Not thread-safe, its owner locks.
    """

    __slots__ = (
        "_acknowledged",
        "_claimed",
        "_is_closed",
        "_part_bytes",
        "_sent",
        "_size_bytes",
        "_todo",
        "_top",
    )

    def __init__(
        self,
        part_bytes: int,
        *,
        written: Iterable[tuple[int, int]] = (),
        acknowledged: Iterable[Part] = (),
    ) -> None:
        self._part_bytes = part_bytes
        self._todo = RangeSet()
        self._sent = RangeSet()
        self._top = 0
        self._size_bytes: int | None = None
        self._is_closed = False
        self._claimed: dict[int, Append] = {}
        self._acknowledged: dict[int, Part] = {}
        for part in acknowledged:
            self._acknowledged[part.offset] = part
            self._sent.add(part.offset, part.offset + part.length)
        for start, stop in written:
            self._note(start, stop)

    @staticmethod
    def can_resume(parts: Iterable[Part], part_bytes: int) -> bool:
        """Whether all *parts* begin and end where parts of *part_bytes* do."""
        return all(part.length == part_bytes and part.offset % part_bytes == 0 for part in parts)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that the service has stored, by offset."""
        return tuple(self._acknowledged[offset] for offset in sorted(self._acknowledged))

    def wrote(self, start: int, stop: int) -> bool:
        """The file's bytes [start, stop) changed. False: some of them were sent, and the session is
        spoiled."""
        if self._sent.overlaps(start, stop):
            return False
        self._note(start, stop)
        return True

    def truncate(self, size_bytes: int) -> bool:
        """The file was cut or grew to *size_bytes*. False: bytes behind that were sent: it is spoiled."""
        if self._sent.overlaps(size_bytes, max(self._top, size_bytes)):
            return False
        self._todo.truncate(size_bytes)
        self._top = min(self._top, size_bytes)
        return True

    def seal(self, size_bytes: int) -> bool:
        """The file is whole; its holes go up as zeros. False: bytes behind its end were sent: it is
        spoiled."""
        self._size_bytes = size_bytes
        self._todo = RangeSet(self._sent.gaps(0, size_bytes))
        return all(stop <= size_bytes for _, stop in self._sent)

    def claim(self) -> Append | None:
        """The next request for a worker; None: nothing can be sent yet, or all is sent."""
        append = self._next()
        if append is not None:
            self._claimed[append.offset] = append
            self._sent.add(append.offset, append.stop)
            self._todo.remove(append.offset, append.stop)
        return append

    @property
    def is_sending(self) -> bool:
        """Whether a part is on its way."""
        return bool(self._claimed)

    def has_next(self) -> bool:
        """Whether ``claim`` would give a request."""
        return self._next() is not None

    def acknowledge(self, append: Append, receipt: str) -> Part:
        """The service has stored *append*, and answered with *receipt*."""
        del self._claimed[append.offset]
        self._is_closed = append.is_closing
        part = Part(append.offset, append.length, receipt)
        if append.length:
            self._acknowledged[append.offset] = part
        return part

    def release(self, append: Append) -> None:
        """*append* was not stored: ``claim`` gives its bytes again."""
        del self._claimed[append.offset]
        self._sent.remove(append.offset, append.stop)
        self._todo.add(append.offset, append.stop)

    def _note(self, start: int, stop: int) -> None:
        self._top = max(self._top, stop)
        for low, high in self._sent.gaps(start, stop):
            self._todo.add(low, high)

    def _next(self) -> Append | None:
        part_bytes = self._part_bytes
        # Parts before *bound* may be sent in any order. The part from there on closes the session.
        bound = (self._top if self._size_bytes is None else self._size_bytes) - 1
        bound = max(0, bound) // part_bytes * part_bytes
        for start, stop in self._todo:
            offset = -(-start // part_bytes) * part_bytes
            if offset + part_bytes <= min(stop, bound):
                return Append(offset, part_bytes)
            if start >= bound:
                break
        if self._size_bytes is None or self._claimed or self._is_closed:
            return None
        rest = list(self._todo)
        if not rest:
            return Append(self._size_bytes, 0, is_closing=True)
        return Append(rest[0][0], self._size_bytes - rest[0][0], is_closing=True)
