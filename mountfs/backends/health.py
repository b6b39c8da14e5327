"""What is wrong with a service while it lasts: for ``status``, and for the log when it begins and ends."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from mountfs.errors import MountfsError, NotSignedIn, Offline, Throttled
from mountfs.ports import Clock

LOG = logging.getLogger(__name__)

KEPT_S = 60.0
"""A first failure counts so long when nobody asks again."""
LONGEST_PAUSE_S = 300.0
"""Nobody who tries again waits longer for it (``mountfs.model.pacing``)."""
LASTING_S = 10.0
"""A failure that is over sooner gets no line in the log: retries make up for it."""


@dataclass(slots=True)
class _Failing:
    """A route whose last call failed."""

    error: MountfsError
    host: str
    since_s: float
    until_s: float


class Health:
    """The routes that fail just now. Any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failing: dict[str, _Failing] = {}
        self._told: str | None = None
        """The trouble that the log was told of, until it is told of its end."""
        self._was_signed_in = False

    def failed(self, route: str, error: MountfsError, host: str = "") -> None:
        """A call of *route* failed; its time to come back, if it has one, is part of the trouble."""
        now_s = self._clock.now_s()
        with self._lock:
            self._forget(now_s)
            before = self._failing.get(route)
            since_s = now_s if before is None else before.since_s
            # Each pause is twice the one before, less chance: no more than twice all that has passed.
            pause_s = min(LONGEST_PAUSE_S, 2 * (now_s - since_s))
            until_s = now_s + KEPT_S + pause_s + (getattr(error, "retry_after_s", None) or 0.0)
            self._failing[route] = _Failing(error.bare(), host, since_s, until_s)
            # Credentials that never worked end a start, which says so itself.
            is_sudden = isinstance(error, NotSignedIn) and self._was_signed_in
            if is_sudden or now_s - since_s >= LASTING_S:
                self._tell(error)

    def worked(self, route: str, host: str = "") -> None:
        """A call of *route* was answered: its host is there. If it was away, others that were away as well
        are taken to be there again until a call to them says otherwise: nobody may make one for long."""
        if not self._failing and self._told is None:
            return
        with self._lock:
            away = {
                name: each.host for name, each in self._failing.items() if isinstance(each.error, Offline)
            }
            if host in away.values():
                for name in away:
                    del self._failing[name]
            self._failing.pop(route, None)
            self._forget(self._clock.now_s())

    def signed_in(self) -> None:
        """The credentials were taken: from here on it is news when they are not."""
        self._was_signed_in = True

    def trouble(self) -> MountfsError | None:
        """The gravest of what fails: refused credentials, no answer, too many calls; else the newest."""
        with self._lock:
            self._forget(self._clock.now_s())
            failing = sorted(self._failing.values(), key=lambda each: each.until_s, reverse=True)
        for kind in (NotSignedIn, Offline, Throttled, MountfsError):
            for each in failing:
                if isinstance(each.error, kind):
                    return each.error
        return None

    def _forget(self, now_s: float) -> None:
        """Drops what nobody asked for again. Under the lock."""
        for route, failing in list(self._failing.items()):
            # Nobody presents refused credentials again before a probe is due: they last until they work.
            if now_s >= failing.until_s and not isinstance(failing.error, NotSignedIn):
                del self._failing[route]
        if not self._failing and self._told is not None:
            LOG.warning("the service works again; it was: %s", self._told)
            self._told = None

    def _tell(self, error: MountfsError) -> None:
        if self._told is None:
            self._told = str(error)
            LOG.warning("trouble with the service: %s", error)
