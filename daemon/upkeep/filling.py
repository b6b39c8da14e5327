"""Which of a file's gaps are asked for next: pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from mountfs.model.pacing import Pacer
from mountfs.model.ranges import RangeSet

FILL_BYTES = 4 * 1024 * 1024
"""Most bytes of one request, and of what a thread has in memory: as what is read ahead."""
SKIPPED_BYTES = 128 * 1024
"""So many bytes that a program wrote are fetched and thrown away rather than make two requests."""

Span = tuple[int, int]


@dataclass(slots=True)
class Filling:
    """One content whose gaps are being filled. ``next``: all before it was asked for; ``again``: spans whose
    request failed; ``flying``: requests that have no answer yet."""

    content_id: int
    next: int = 0
    again: list[Span] = field(default_factory=list)
    flying: int = 0
    pacer: Pacer = field(default_factory=Pacer)

    @property
    def is_held(self) -> bool:
        """Whether a request that failed before is being tried: no others go side by side with it."""
        return bool(self.pacer.failures and self.flying)

    def look(self, missing: RangeSet) -> Span | None:
        """The next span to be asked for, if any is left."""
        while self.again:
            if missing.overlaps(*self.again[-1]):
                return self.again[-1]
            self.again.pop()
        return span_of(missing, self.next)

    def take(self, missing: RangeSet) -> Span | None:
        """As ``look``; it is on its way from here on."""
        span = self.look(missing)
        if span is not None:
            self.flying += 1
            if self.again:
                self.again.pop()
            else:
                self.next = span[1]
        return span


def span_of(missing: RangeSet, start: int) -> Span | None:
    """The first bytes from *start* on that one request should bring: with what is missing up to the next
    multiple of FILL_BYTES, and short stretches in between that are not."""
    first = missing.first_from(start)
    if first is None:
        return None
    stop = first
    for low, high in missing.within(first, (first // FILL_BYTES + 1) * FILL_BYTES):
        if low - stop > SKIPPED_BYTES:
            break
        stop = high
    return first, stop
