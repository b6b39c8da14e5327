"""The time by the service's clock: this machine's may be off by hours."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from mountfs.model.entry import NS_PER_S
from mountfs.ports import Clock


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

    def now_ns(self) -> int:
        """This machine's where the service told none."""
        if self._last is None:
            return self._clock.wall_ns()
        date, came_s = self._last
        try:
            stated_s = int(parsedate_to_datetime(date).timestamp())
        except (ValueError, OverflowError):
            return self._clock.wall_ns()
        return (stated_s + int(self._clock.now_s() - came_s)) * NS_PER_S
