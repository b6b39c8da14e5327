"""One line in the log when trouble begins, and one when it is over."""

from __future__ import annotations

import logging

LOG = logging.getLogger("mountfs.trouble")


class TroubleLog:
    """*what* goes wrong. Logged after *patience* failures in a row: one dropped connection, or one busy
    moment, is no news. Not thread-safe, its owner locks."""

    __slots__ = ("_failures", "_patience", "_what")

    def __init__(self, what: str, patience: int = 3) -> None:
        self._what = what
        self._patience = patience
        self._failures = 0

    def failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures == self._patience:
            LOG.warning("%s: trouble, tried again until it is over: %s", self._what, error)

    def succeeded(self) -> None:
        if self._failures >= self._patience:
            LOG.info("%s: the trouble is over", self._what)
        self._failures = 0
