"""How fast bytes come, of all requests together."""

from __future__ import annotations

import math

MEMORY_S = 2.0
"""What came longer ago counts for half."""


class LinkRate:
    """Counts while requests are under way; under its owner's lock."""

    def __init__(self) -> None:
        self._under_way = 0
        self._since_s = 0.0
        self._came_bytes = 0.0
        self.bytes_s = 0.0
        """As it was last seen."""

    def began(self, now_s: float) -> None:
        if not self._under_way:
            self._since_s, self._came_bytes = now_s, 0.0
        self._under_way += 1

    def ended(self, now_s: float, came_bytes: int) -> None:
        """A request is over; 0 bytes: it failed."""
        self._under_way -= 1
        if not came_bytes:
            return
        self._came_bytes += came_bytes
        passed_s = now_s - self._since_s
        self.bytes_s = self._came_bytes / passed_s if passed_s > 0 else math.inf
        if passed_s > MEMORY_S:
            self._since_s = now_s - passed_s / 2
            self._came_bytes /= 2
