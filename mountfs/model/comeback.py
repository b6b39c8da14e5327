"""What waits out its pace because the service was away, once the service answers somebody else."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

from mountfs.errors import NotSignedIn, Offline
from mountfs.model.pacing import Pace, Pacer, grown_s

VAIN = Pace(first_s=5.0, longest_s=300.0)
"""Between tries that answers to others brought forward, while all of them fail. A network may let some calls
through and keep others: uploads that it keeps are tried little more often than by their own pace."""


class Comeback:
    """Tells when *pacer* need not be waited for. Not thread-safe: called as *pacer* is."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._tries = 0
        """Since the trouble began."""
        self._next_s = -math.inf

    @property
    def is_awaited(self) -> bool:
        """Whether anything has failed. To be asked at each answer, by any thread: that nothing has ends the
        trouble, and the next one begins with a first try."""
        if self._pacer.failures:
            return True
        self._tries = 0
        return False

    def is_seen(self, now_s: float) -> bool:
        """The service has just answered some other call: whether what failed is to be tried now. It is not
        where it may be tried anyway, or failed by something else than that nobody answered, or that the
        credentials were refused."""
        pacer = self._pacer
        if not self.is_awaited or not isinstance(pacer.error, Offline | NotSignedIn):
            return False
        if now_s >= pacer.ready_s:
            return False
        if self._tries and now_s < self._next_s:
            return False
        self._tries += 1
        self._next_s = now_s + grown_s(self._tries, VAIN)
        return True

    def answered(
        self, lock: AbstractContextManager[object], now_s: Callable[[], float], wake: Callable[[], None]
    ) -> None:
        """The service has answered some other call: *pacer* lets the next try go if that ``is_seen``, and who
        makes it is woken. Any thread. *lock*: under which the others are called."""
        if not self.is_awaited:
            return
        with lock:
            is_seen = self.is_seen(at_s := now_s())
            if is_seen:
                self._pacer.ready_s = at_s
        if is_seen:
            wake()
