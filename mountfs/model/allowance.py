"""How many calls a service allows an account in a minute, and when the next one may leave. Pure."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right, insort
from dataclasses import dataclass, field, replace

WINDOW_S = 60.0
"""What services count over: so many calls in any minute."""
MARGIN_S = 1.0
"""A call may reach the service so much later than another one that left at the same time. Without it the
first call of a new minute could arrive before the service has forgotten the first of the last minute."""
COUNTED_MOST = 10_000
"""Of more calls a minute than this none is counted: no account of a service that has limits is allowed it."""
AHEAD_S = 2.0
"""A call that may leave within this time has its place; for later ones none is kept, they ask again after it.
So whoever died holds no place for long, and what may leave sooner than it was thought does."""
GROWTH = 2.0
GROWS_EVERY_S = 2.0
"""Where a service has not objected yet, so much more is tried, and so often. At first it is one call more: if
the service holds to what it documents, that one alone is refused, and not what all machines have in hand.
Two seconds later its answer is there, at most services within one."""
OBJECTION_KEPT_S = 24 * 3600.0
"""After an objection the documented number is kept to for a day: each new try may cost a refused call, after
which the whole account waits for as long as the service asks."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a service allows of one kind of call.

    ``per_minute``: the documented number, kept to in any minute. ``at_once``: so many leave without a wait;
    the others are spread over what is left of the minute, so that nobody waits for all of it. ``most``: how
    far the number is raised while the service does not object; at ``per_minute`` it is fixed. While it can
    be raised all leave at once: whether there is a limit shows only where all of it is used. ``may_wait``:
    nobody waits for the answer, so that such a call rather waits than leaves uncounted.
    """

    name: str
    per_minute: int
    at_once: int
    most: int
    may_wait: bool = field(default=False, compare=False)

    @property
    def is_counted(self) -> bool:
        return self.per_minute <= COUNTED_MOST


@dataclass(slots=True)
class Window:
    """The calls of one kind that left, or are to leave, in the last minute. The owner locks."""

    allowance: Allowance
    left_s: array[float] = field(default_factory=lambda: array("d"))
    """When each left, or is to leave, in order."""
    spread_s: float = -math.inf
    """Of those that are spread: when the next one may leave."""
    allowed: int = 0
    """How many a minute, as far as is known; never below the documented number."""
    grown_s: float = -math.inf
    """When that was raised last."""
    objected_s: float = -math.inf
    """When the service objected last."""

    def __post_init__(self) -> None:
        self.allowed = max(self.allowed, self.allowance.per_minute)

    def leaves_s(self, now_s: float) -> float:
        """When a call that is asked for at *now_s* may leave; nothing is reserved."""
        self._forget(now_s)
        self._grow(now_s)
        used = len(self.left_s)
        if used >= self.allowed:
            return max(now_s, self.left_s[-self.allowed] + WINDOW_S + MARGIN_S)
        return now_s if used < self._at_once(now_s) else max(now_s, self.spread_s)

    def reserve(self, leaves_s: float, now_s: float) -> None:
        """A call leaves at *leaves_s*, which ``leaves_s`` gave at *now_s*, or later."""
        insort(self.left_s, leaves_s)
        used = len(self.left_s)
        if self._at_once(now_s) <= used < self.allowed:
            free_in_s = self.left_s[0] + WINDOW_S + MARGIN_S - leaves_s
            self.spread_s = leaves_s + max(0.0, free_in_s) / (self.allowed - used)

    def _at_once(self, now_s: float) -> int:
        return self.allowed if self._may_grow(now_s) else self.allowance.at_once

    def _may_grow(self, now_s: float) -> bool:
        is_fixed = self.allowance.most <= self.allowance.per_minute
        return not is_fixed and not 0.0 <= now_s - self.objected_s < OBJECTION_KEPT_S

    def objected(self, now_s: float) -> None:
        """The service sent a call away (429)."""
        self.allowed, self.objected_s = self.allowance.per_minute, now_s

    def _forget(self, now_s: float) -> None:
        if self.left_s and self.left_s[-1] > now_s + 10 * WINDOW_S:
            del self.left_s[:]  # of another run of the machine, whose clock was ahead
        if self.spread_s > now_s + 10 * WINDOW_S:
            self.spread_s = now_s  # likewise
        del self.left_s[: bisect_right(self.left_s, now_s - WINDOW_S - MARGIN_S)]

    def _grow(self, now_s: float) -> None:
        """Allows more, if all that is allowed is used and the service has not objected to as much lately."""
        if len(self.left_s) < self.allowed or self.allowed >= self.allowance.most:
            return
        if not self._may_grow(now_s) or 0.0 <= now_s - self.grown_s < GROWS_EVERY_S:
            return
        is_first = self.allowed == self.allowance.per_minute
        more = self.allowed + 1 if is_first else math.ceil(self.allowed * GROWTH)
        self.allowed = min(self.allowance.most, more)
        self.grown_s = now_s


class Windows:
    """The windows of an account by their names, and a pause that the service asked for. The owner locks."""

    def __init__(self) -> None:
        self.windows: dict[str, Window] = {}
        self.opens_s = -math.inf
        """Nothing leaves before this time."""

    def take_s(self, wanted: tuple[Allowance, ...], now_s: float) -> float:
        """When a call that counts as each of *wanted* may leave. Its places are reserved, unless that is
        later than in AHEAD_S: then it is to ask again after that time."""
        counted = [self._window(each) for each in wanted if each.is_counted]
        pause_s = self.opens_s if self.opens_s <= now_s + 10 * WINDOW_S else now_s
        leaves_s = max([now_s, pause_s, *(each.leaves_s(now_s) for each in counted)])
        if leaves_s - now_s <= AHEAD_S:
            for each in counted:
                each.reserve(leaves_s, now_s)
        return leaves_s

    def refused(self, refused: tuple[Allowance, ...], retry_after_s: float, now_s: float) -> None:
        """The service sent such a call away, and asks for a pause."""
        self.opens_s = max(
            self.opens_s if self.opens_s <= now_s + 10 * WINDOW_S else now_s, now_s + retry_after_s
        )
        for each in refused:
            if each.is_counted:
                self._window(each).objected(now_s)

    def _window(self, allowance: Allowance) -> Window:
        found = self.windows.get(allowance.name)
        if found is None or found.allowance != allowance:
            # Mounts of one account may be configured differently: an objection was to the calls of all.
            kept = Window(allowance) if found is None else replace(found, allowance=allowance, allowed=0)
            found = self.windows[allowance.name] = kept
        return found
