"""How many calls a mount made in the last minute, of a counter that only grows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

MINUTE_S = 60.0
FINEST_S = 1.0
"""Looks that follow each other sooner count as one."""


class CallMeter:
    """Remembers what the counter showed at each look of the last minute. For one thread."""

    def __init__(self, total: Callable[[], int]) -> None:
        self._total = total
        self._seen: deque[tuple[float, int]] = deque()

    def last_minute(self, now_s: float) -> int:
        """Calls since the counter was looked at a minute ago, or for the first time."""
        total = self._total()
        if not self._seen or now_s - self._seen[-1][0] >= FINEST_S:
            self._seen.append((now_s, total))
        while len(self._seen) > 1 and self._seen[1][0] <= now_s - MINUTE_S:
            self._seen.popleft()
        return total - self._seen[0][1]
