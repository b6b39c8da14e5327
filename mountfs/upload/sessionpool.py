"""Empty sessions taken ahead, so that one call serves many packs."""

from __future__ import annotations

from collections import deque

MOST_AT_ONCE = 1000
"""Most sessions the service starts in one call (``start_batch``)."""
FIRST_AT_ONCE = 128
KEPT_S = 3600.0
"""Far below the days a session lives, and long enough for any copy that goes on."""


class SessionPool:
    """Tokens of empty sessions, oldest first; not thread-safe, its owner locks."""

    __slots__ = ("_ask", "_kept")

    def __init__(self) -> None:
        self._kept: deque[tuple[str, float]] = deque()
        self._ask = FIRST_AT_ONCE

    def take(self, count: int, now_s: float) -> list[str]:
        """At most *count* tokens; those kept for too long are dropped (they expire by themselves)."""
        while self._kept and self._kept[0][1] + KEPT_S <= now_s:
            self._kept.popleft()
            self._ask = FIRST_AT_ONCE
        return [self._kept.popleft()[0] for _ in range(min(count, len(self._kept)))]

    def to_ask(self, missing: int) -> int:
        """How many to ask the service for when *missing* are needed: each time twice as many."""
        ask = min(MOST_AT_ONCE, max(self._ask, missing))
        self._ask = min(MOST_AT_ONCE, ask * 2)
        return max(missing, ask)

    def add(self, tokens: list[str], now_s: float) -> None:
        """Keeps fresh tokens for later."""
        self._kept.extend((token, now_s) for token in tokens)

    def clear(self) -> None:
        """One of the sessions was found gone: the others are as old, and are dropped."""
        self._kept.clear()
