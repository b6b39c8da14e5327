"""A clock that stands still until a test moves it."""

from __future__ import annotations

from threading import Lock

EPOCH_NS = 1_700_000_000_000_000_000
"""2023-11-14 22:13:20 UTC: where the fake's wall clock begins."""


class FakeClock:
    """``ports.Clock`` under the test's control; monotonic and wall time move together. *tick_s*: how far each
    question for the time moves them on, so that no two answers are the same."""

    def __init__(
        self, now_s: float = 1000.0, wall_ns: int = EPOCH_NS, jitter: float = 0.5, tick_s: float = 0.0
    ) -> None:
        self._lock = Lock()
        self._now_s = now_s
        self._wall_ns = wall_ns
        self.next_jitter = jitter
        self._tick_s = tick_s

    def now_s(self) -> float:
        return self.advance(self._tick_s)

    def wall_ns(self) -> int:
        with self._lock:
            return self._wall_ns

    def jitter(self) -> float:
        return self.next_jitter

    def advance(self, seconds: float) -> float:
        """Moves both clocks on; the new monotonic time."""
        with self._lock:
            self._now_s += seconds
            self._wall_ns += round(seconds * 1_000_000_000)
            return self._now_s

    def set_wall_ns(self, wall_ns: int) -> None:
        """Somebody set the machine's clock; monotonic time does not notice."""
        with self._lock:
            self._wall_ns = wall_ns
