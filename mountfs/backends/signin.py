"""Credentials that the service refuses: remembered, so that not every call asks it again."""

from __future__ import annotations

import threading

from mountfs.errors import NotSignedIn
from mountfs.model.pacing import PROBES, Pacer
from mountfs.ports import Clock

PROBE_S = 60.0
"""While one call tries the credentials again no other does, for as long as a reply may take."""


class SignIn:
    """Remembers the token that was refused. Another token, and now and then a probe, may pass. Any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._refused: str | None = None
        self._pacer = Pacer(PROBES)
        self._probe_ends_s = 0.0

    def check(self, token: str) -> None:
        """NotSignedIn, as the service said it last, while *token* is refused and no probe is due."""
        with self._lock:
            error = self._pacer.error
            if error is None or token != self._refused:
                return
            now_s = self._clock.now_s()
            if now_s < max(self._pacer.ready_s, self._probe_ends_s):
                raise NotSignedIn(str(error))
            self._probe_ends_s = now_s + PROBE_S

    def refused(self, token: str, error: NotSignedIn, started_s: float) -> None:
        """A call with *token* that began at *started_s* was refused."""
        with self._lock:
            self._refused = token
            self._probe_ends_s = 0.0
            now_s, jitter = self._clock.now_s(), self._clock.jitter()
            self._pacer.failed(error, started_s=started_s, now_s=now_s, jitter=jitter)

    def undecided(self) -> None:
        """A probe ended without the service's word on the credentials: the next call is one."""
        with self._lock:
            self._probe_ends_s = 0.0

    def accepted(self, started_s: float) -> None:
        """A call that began at *started_s* was not refused."""
        if self._pacer.error is None:
            return
        with self._lock:
            self._probe_ends_s = 0.0
            self._pacer.succeeded(started_s)
