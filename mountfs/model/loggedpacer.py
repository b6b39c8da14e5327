"""A pacer that logs when trouble begins, and when it is over."""

from __future__ import annotations

import math

from mountfs.errors import MountfsError
from mountfs.model.pacing import USUAL, Pace, Pacer
from mountfs.model.troublelog import TroubleLog


class LoggedPacer(Pacer):
    """Logs one line when *what* begins to fail, and one when it works again. Not thread-safe, its owner
    locks."""

    __slots__ = ("_trouble_log",)

    def __init__(self, what: str, pace: Pace = USUAL) -> None:
        super().__init__(pace)
        self._trouble_log = TroubleLog(what)

    def failed(self, error: MountfsError, *, started_s: float, now_s: float, jitter: float) -> None:
        before = self.failures
        super().failed(error, started_s=started_s, now_s=now_s, jitter=jitter)
        if self.failures > before:
            self._trouble_log.failed(error)

    def succeeded(self, started_s: float = math.inf) -> None:
        super().succeeded(started_s)
        if not self.failures:
            self._trouble_log.succeeded()
