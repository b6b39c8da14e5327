"""How long the kernel's calls take, as counts by upper bound."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from threading import Lock

BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
"""From an answer out of memory (0.1 ms) to a read that waits as long as one may."""


class Timing:
    """Any thread. It costs 1 us for each call, so that only a mount with a page has one."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.now_s = now_s
        self._lock = Lock()
        self._counts: dict[str, list[int]] = {}
        self._sums_s: dict[str, float] = {}

    def took(self, call: str, seconds: float) -> None:
        at = bisect_left(BOUNDS_S, seconds)
        with self._lock:
            counts = self._counts.get(call)
            if counts is None:
                counts = self._counts[call] = [0] * (len(BOUNDS_S) + 1)
                self._sums_s[call] = 0.0
            counts[at] += 1
            self._sums_s[call] += seconds

    def told(self) -> Mapping[str, tuple[tuple[int, ...], float]]:
        """By call: how many took up to each bound and no less than the one before, the last ones longer than
        all; and the seconds of all together."""
        with self._lock:
            return {call: (tuple(counts), self._sums_s[call]) for call, counts in self._counts.items()}
