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
        try:
            return int(parsedate_to_datetime(date).timestamp()) * NS_PER_S, came_s
        except (ValueError, OverflowError):
            return None
