"""A share of the account's calls as a token bucket, so that its requests are paced."""

from __future__ import annotations

from collections import deque
from threading import Lock

WINDOW_S = 60.0
"""What Box counts over (rate limits guide: so many a minute)."""


class TokenBucket:
    """Gives every caller its time to leave, in the order they ask. Any thread.

    After a pause *burst_s* worth of the steady rate may leave at once; all the same no more than
    *per_minute* leave within any minute.
    """

    def __init__(self, per_minute: int, burst_s: float) -> None:
        self._rate = per_minute / WINDOW_S
        self._capacity = max(1.0, self._rate * burst_s)
        self._tokens = self._capacity
        self._at_s: float | None = None
        self._left_s: deque[float] = deque(maxlen=per_minute)
        self._lock = Lock()

    def take(self, now_s: float) -> float:
        """Seconds the caller has to wait before it may leave; its place is reserved."""
        with self._lock:
            if self._at_s is not None:
                passed_s = max(0.0, now_s - self._at_s)
                self._tokens = min(self._capacity, self._tokens + passed_s * self._rate)
            at_s = self._at_s = now_s if self._at_s is None else max(now_s, self._at_s)
            self._tokens -= 1.0
            leaves_s = at_s + max(0.0, -self._tokens / self._rate)
            if len(self._left_s) == self._left_s.maxlen:
                leaves_s = max(leaves_s, self._left_s[0] + WINDOW_S)
            if self._left_s:
                leaves_s = max(leaves_s, self._left_s[-1])
            self._left_s.append(leaves_s)
            return leaves_s - at_s
