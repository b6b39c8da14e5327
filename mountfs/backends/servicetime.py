"""The time by the service's clock: this machine's may be off by hours."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from mountfs.model.entry import NS_PER_S
from mountfs.ports import Clock


def http_date_s(text: str) -> float | None:
    """The time that a header names, in seconds since 1970; None: it is none.

    It is always of UTC, also in the form that names no zone (RFC 9110, 5.6.7), whatever the zone here.
    """
    try:
        named = parsedate_to_datetime(text)
        return (named if named.tzinfo is not None else named.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


class ServiceTime:
    """By the ``Date`` of its last reply (RFC 9110, 6.6.1), which has whole seconds. Any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: tuple[str, float] | None = None
        """What the reply said, and when it came by our monotonic clock. It is read when somebody asks, since
        hardly anybody does."""

    def note(self, date: str | None) -> None:
        """The header of a reply that has just come."""
        if date is not None:
            self._last = date, self._clock.now_s()

    def now_s(self) -> float:
        """This moment, for ``at_ns``."""
        return self._clock.now_s()

    def at_ns(self, moment_s: float) -> int:
        """What time it was at a moment that ``now_s`` told; by this machine's clock where the service told
        none."""
        stated_ns, known_s = self._told() or (self._clock.wall_ns(), self._clock.now_s())
        return stated_ns + int((moment_s - known_s) * NS_PER_S)

    def _told(self) -> tuple[int, float] | None:
        """A time by the service's clock, and when that was by our monotonic one."""
        if self._last is None:
            return None
        date, came_s = self._last
        stated_s = http_date_s(date)
        return None if stated_s is None else (int(stated_s) * NS_PER_S, came_s)
