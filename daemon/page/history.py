"""The last hour of a mount, for plots: how fast bytes went up, and how much was pending."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from daemon.control.status import Transfer

EVERY_S = 10.0
KEPT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Point:
    """How it was at one moment; *at_s* on the monotonic clock."""

    at_s: float
    bytes_per_s: float
    pending: int
    pending_bytes: int


class History:
    """A point every EVERY_S. One thread notes, any reads."""

    def __init__(self) -> None:
        self._points: deque[Point] = deque(maxlen=int(KEPT_S / EVERY_S) + 1)
        self._next_s = -math.inf

    def is_due(self, now_s: float) -> bool:
        return now_s >= self._next_s

    def note(self, transfer: Transfer, now_s: float) -> None:
        self._next_s = now_s + EVERY_S
        left = transfer.left
        self._points.append(Point(now_s, transfer.bytes_per_s, left.count, left.size_bytes))

    def told(self, now_s: float) -> list[list[float]]:
        """``[age_s, bytes_per_s, pending, pending_bytes]`` of each point, the oldest first."""
        points = tuple(self._points)
        return [
            [round(now_s - each.at_s, 1), round(each.bytes_per_s), each.pending, each.pending_bytes]
            for each in points
        ]
