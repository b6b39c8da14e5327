"""Sets of byte ranges: what is written, sent, cached."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

_NONE: list[int] = []
"""Of all empty sets, of which there are many; never changed."""


class RangeSet:
    """A mutable set of byte offsets kept as disjoint, non-touching, ascending half-open ranges."""

    __slots__ = ("_starts", "_stops")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = _NONE
        self._stops: list[int] = _NONE
        for start, stop in ranges:
            self.add(start, stop)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._starts, self._stops, strict=True))

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"RangeSet({list(self)})"

    @property
    def total_bytes(self) -> int:
        return sum(self._stops) - sum(self._starts)

    @property
    def end(self) -> int:
        """Behind the last offset that is in; any thread may ask."""
        return max(self._stops[-1:], default=0)

    def add(self, start: int, stop: int) -> None:
        """Joins [start, stop); an empty range changes nothing."""
        if start >= stop:
            return
        if not self._starts:
            self._starts, self._stops = [start], [stop]
            return
        first = bisect_left(self._stops, start)
        last = bisect_right(self._starts, stop)
        if first < last:
            start = min(start, self._starts[first])
            stop = max(stop, self._stops[last - 1])
        self._starts[first:last] = [start]
        self._stops[first:last] = [stop]

    def remove(self, start: int, stop: int) -> None:
        """Takes [start, stop) out."""
        if start >= stop or not self._starts:
            return
        first = bisect_right(self._stops, start)
        last = bisect_left(self._starts, stop)
        kept: list[tuple[int, int]] = []
        for low, high in zip(self._starts[first:last], self._stops[first:last], strict=True):
            kept += [(low, start)] if low < start else []
            kept += [(stop, high)] if high > stop else []
        self._starts[first:last] = [low for low, _ in kept]
        self._stops[first:last] = [high for _, high in kept]

    def truncate(self, size: int) -> None:
        """Takes everything from *size* on out."""
        if self._stops and self._stops[-1] > size:
            self.remove(size, self._stops[-1])

    def overlaps(self, start: int, stop: int) -> bool:
        """Whether any offset of [start, stop) is in."""
        at = bisect_right(self._stops, start)
        return start < stop and at < len(self._starts) and self._starts[at] < stop

    def within(self, start: int, stop: int) -> list[tuple[int, int]]:
        """The parts of [start, stop) that are in, ascending."""
        if start >= stop:
            return []
        first = bisect_right(self._stops, start)
        last = bisect_left(self._starts, stop)
        pairs = zip(self._starts[first:last], self._stops[first:last], strict=True)
        return [(max(low, start), min(high, stop)) for low, high in pairs]

    def first_from(self, start: int) -> int | None:
        """The first offset that is in, from *start* on; None if there is none."""
        at = bisect_right(self._stops, start)
        return max(start, self._starts[at]) if at < len(self._starts) else None

    def touching(self, start: int, stop: int) -> list[tuple[int, int]]:
        """The ranges that overlap [start, stop) or end or begin at it, whole, ascending."""
        first = bisect_left(self._stops, start)
        last = bisect_right(self._starts, stop)
        return list(zip(self._starts[first:last], self._stops[first:last], strict=True))

    def gaps(self, start: int, stop: int) -> list[tuple[int, int]]:
        """The parts of [start, stop) that are not in, ascending."""
        missing: list[tuple[int, int]] = []
        for low, high in self.within(start, stop):
            if low > start:
                missing.append((start, low))
            start = high
        if start < stop:
            missing.append((start, stop))
        return missing
