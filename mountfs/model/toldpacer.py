"""A pacer that tells the log when trouble begins, and when it is over."""

from __future__ import annotations

import math

from mountfs.errors import MountfsError
from mountfs.model.pacing import USUAL, Pace, Pacer
from mountfs.model.told import Told


class ToldPacer(Pacer):
    """*what* is said to fail, and to go on, in one line each. Not thread-safe, its owner locks."""

    __slots__ = ("_told",)

    def __init__(self, what: str, pace: Pace = USUAL) -> None:
        super().__init__(pace)
        self._told = Told(what)

    def failed(self, error: MountfsError, *, started_s: float, now_s: float, jitter: float) -> None:
        before = self.failures
        super().failed(error, started_s=started_s, now_s=now_s, jitter=jitter)
        if self.failures > before:
            self._told.failed(error)

    def succeeded(self, started_s: float = math.inf) -> None:
        super().succeeded(started_s)
        if not self.failures:
            self._told.succeeded()
