"""When the upload session of a large file may begin, where it is bound to the file's place."""

from __future__ import annotations

import math
from collections.abc import Callable

from mountfs.model.change import Change
from mountfs.model.settling import age_s, settle_s
from mountfs.ports import Clock
from mountfs.upload.urgency import Urgency


class Turns:
    """A session for one path and base begins only when its commit could follow at once: its name has
    settled, and nothing earlier is pending on that path, above it or below it. Else what comes first may
    make, move or remove what the session was begun for, and every byte would travel twice."""

    def __init__(
        self, clock: Clock, urgency: Urgency, usual_settle_s: float, is_blocked: Callable[[Change], bool]
    ) -> None:
        self._clock = clock
        self._urgency = urgency
        self._usual_settle_s = usual_settle_s
        self._is_blocked = is_blocked

    def due_s(self, change: Change, now_s: float) -> float:
        """When the turn of *change* comes; ``math.inf``: when something happens. Under the account's lock."""
        if self._is_blocked(change):
            return math.inf
        quiet_s = settle_s(change, self._usual_settle_s, is_hurried=self._urgency.is_pressing)
        return now_s + max(0.0, quiet_s - age_s(change, self._clock.wall_ns()))


def never_blocked(change: Change) -> bool:  # noqa: ARG001 - one of many answers
    """For those who have no order to keep."""
    return False
