"""Which bytes of a file with gaps the next request asks for: pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from mountfs.model.pacing import Pacer
from mountfs.model.ranges import RangeSet

FILL_BYTES = 4 * 1024 * 1024
"""Most bytes of one request, all of which a thread has in memory."""
SKIPPED_BYTES = 128 * 1024
"""Two gaps go into one request if at most so many bytes lie between them, which are fetched in vain."""

Span = tuple[int, int]


@dataclass(slots=True)
class Filling:
    """One content whose gaps are being filled. ``next``: the offset before which all gaps were asked for.
    ``again``: spans whose request failed. ``flying``: how many requests run."""

    content_id: int
    next: int = 0
    again: list[Span] = field(default_factory=list)
    flying: int = 0
    pacer: Pacer = field(default_factory=Pacer)

    @property
    def is_held(self) -> bool:
        """Whether requests have failed, and one is being tried: no other is made beside it."""
        return bool(self.pacer.failures and self.flying)

    def look(self, missing: RangeSet) -> Span | None:
        """The span of the next request; None: no gap is left to be asked for."""
        while self.again:
            if missing.overlaps(*self.again[-1]):
                return self.again[-1]
            self.again.pop()
        return span_of(missing, self.next)

    def take(self, missing: RangeSet) -> Span | None:
        """As ``look``, and counts the request as running."""
        span = self.look(missing)
        if span is not None:
            self.flying += 1
            if self.again:
                self.again.pop()
            else:
                self.next = span[1]
        return span


def span_of(missing: RangeSet, start: int) -> Span | None:
    """The span of one request: from the first missing byte at or after *start*, to the last one before the
    next multiple of FILL_BYTES. It ends earlier, at a stretch of more than SKIPPED_BYTES that is not
    missing."""
    first = missing.first_from(start)
    if first is None:
        return None
    stop = first
    for low, high in missing.within(first, (first // FILL_BYTES + 1) * FILL_BYTES):
        if low - stop > SKIPPED_BYTES:
            break
        stop = high
    return first, stop
