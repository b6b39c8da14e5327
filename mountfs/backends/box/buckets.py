"""The account's rate limits as token buckets, so that requests are paced rather than refused."""

from __future__ import annotations

from threading import Lock

BURST_S = 2.0
"""What may leave at once after a pause, as seconds of the steady rate: within a minute the limit is
exceeded by no more than that."""


class TokenBucket:
    """Gives every caller its time to leave, in the order they ask. Any thread."""

    def __init__(self, per_minute: int, burst_s: float = BURST_S) -> None:
        self._rate = per_minute / 60.0
        self._capacity = max(1.0, self._rate * burst_s)
        self._tokens = self._capacity
        self._at_s: float | None = None
        self._lock = Lock()

    def take(self, now_s: float) -> float:
        """Seconds the caller has to wait before it may leave; its place is reserved."""
        with self._lock:
            if self._at_s is not None:
                passed_s = max(0.0, now_s - self._at_s)
                self._tokens = min(self._capacity, self._tokens + passed_s * self._rate)
            self._at_s = now_s if self._at_s is None else max(now_s, self._at_s)
            self._tokens -= 1.0
            return max(0.0, -self._tokens / self._rate)
