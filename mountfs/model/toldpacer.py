"""A pacer that tells the log when trouble begins, and when it is over."""

from __future__ import annotations

import logging
import math

from mountfs.errors import MountfsError
from mountfs.model.pacing import Pacer

LOG = logging.getLogger(__name__)

TOLD_AT = 3
"""Failures in a row before anything is said: a dropped connection or one busy moment is no news."""


class ToldPacer(Pacer):
    """*what* is said to fail, and to go on, in one line each. Not thread-safe, its owner locks."""

    __slots__ = ("_is_told", "_what")

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what
        self._is_told = False

    def failed(self, error: MountfsError, *, started_s: float, now_s: float, jitter: float) -> None:
        super().failed(error, started_s=started_s, now_s=now_s, jitter=jitter)
        if self.failures >= TOLD_AT and not self._is_told:
            self._is_told = True
            LOG.warning("%s: trouble, tried again until it is over: %s", self._what, error)

    def succeeded(self, started_s: float = math.inf) -> None:
        super().succeeded(started_s)
        if self._is_told and not self.failures:
            self._is_told = False
            LOG.info("%s: the trouble is over", self._what)
