"""Where a backend's bearer token comes from: written down, or refreshed before it expires."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from mountfs.errors import MountfsError, NotSignedIn, Offline, Throttled, Transient, Unreachable
from mountfs.model.pacing import PROBES, Pacer
from mountfs.ports import Clock

REFRESH_AHEAD_S = 300.0
"""How long before its expiry a token is replaced; what Dropbox's own SDK does."""
SHORTEST_LIFE_S = 60.0
"""A token that is said to live for less is used for so long all the same: each call would cost a refresh. One
that has expired is refused, and replaced then."""


class Tokens(Protocol):
    """A source of bearer tokens, for any thread."""

    def current(self) -> str:
        """A token that is good for the next request. NotSignedIn, Transient."""

    def refused(self, token: str) -> str:
        """Another token, after the service said that *token* has expired. NotSignedIn, Transient."""

    def close(self) -> None:
        """The mount ends: what is asked for a token just now ends soon, and there is no new one."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A fresh access token and its life from now on."""

    access_token: str
    expires_in_s: float


class StaticToken:
    """A token from the configuration; once refused there is no other."""

    def __init__(self, token: str) -> None:
        self._token = token

    def current(self) -> str:
        return self._token

    def refused(self, token: str) -> str:
        if token != self._token:
            return self._token
        raise NotSignedIn("the access_token is not accepted (any more), and nothing renews it")

    def close(self) -> None:
        """Nobody is asked."""


class RefreshedToken:
    """Tokens from a refresh token, one refresh at a time.

    *refresh* makes the HTTP call, raises NotSignedIn or Transient, and is called without any lock
    held. A token that is still good is handed out while its successor is being fetched, and kept
    when that fails for the moment; one that was refused is not. A refresh that failed is not tried
    again before its time: our own growing delay, or what the service says if that is longer. Until
    then everybody gets the last failure.
    """

    def __init__(
        self, refresh: Callable[[], Grant], clock: Clock, end: Callable[[], None] = lambda: None
    ) -> None:
        """*end*: has a refresh that runs end soon, and all others at once."""
        self._end = end
        self._refresh = refresh
        self._clock = clock
        self._lock = Lock()
        self._token: str | None = None
        self._expires_s = 0.0
        self._renews_s = 0.0
        """From when on a successor is fetched: well before it expires, if it lives for long enough."""
        self._failing = Pacer()
        self._refused = Pacer(PROBES)
        """Paces a refresh token that is not accepted."""
        self._running: Future[str] | None = None

    def current(self) -> str:
        with self._lock:
            token, now_s = self._token, self._clock.now_s()
            is_expired, is_old = now_s >= self._expires_s, now_s >= self._renews_s
            is_busy = self._running is not None
        if token is None or is_expired:
            return self._fetch(token)
        if not is_old or is_busy:
            return token
        try:
            return self._fetch(token)
        except Transient:
            return token

    def refused(self, token: str) -> str:
        with self._lock:
            if token == self._token:
                self._expires_s = -math.inf
        return self._fetch(token)

    def close(self) -> None:
        self._end()

    def _fetch(self, stale: str | None) -> str:
        """The successor of *stale*: at hand already, awaited from the running refresh, or fetched."""
        with self._lock:
            if self._token is not None and self._token != stale:
                return self._token
            running = self._running
            if running is None:
                self._check()
            mine: Future[str] | None = None
            if running is None:
                mine = self._running = Future()
        if running is not None:
            return running.result()
        assert mine is not None
        started_s = self._clock.now_s()
        try:
            grant = self._refresh()
        except BaseException as error:
            with self._lock:
                self._running = None
                if isinstance(error, MountfsError):
                    pacer = self._refused if isinstance(error, NotSignedIn) else self._failing
                    now_s, jitter = self._clock.now_s(), self._clock.jitter()
                    pacer.failed(error, started_s=started_s, now_s=now_s, jitter=jitter)
            mine.set_exception(error)
            raise
        with self._lock:
            life_s = max(grant.expires_in_s, SHORTEST_LIFE_S)
            self._token = grant.access_token
            self._expires_s = self._clock.now_s() + life_s
            self._renews_s = self._expires_s - min(REFRESH_AHEAD_S, life_s / 2.0)
            self._running = None
            self._failing.succeeded()
            self._refused.succeeded()
        mine.set_result(grant.access_token)
        return grant.access_token

    def _check(self) -> None:
        """The last failure once more, while it is too soon for another refresh. Under the lock."""
        for pacer in (self._refused, self._failing):
            error, left_s = pacer.error, pacer.ready_s - self._clock.now_s()
            if error is None or left_s <= 0:
                continue
            if not isinstance(error, Transient):
                raise type(error)(str(error))
            # Nothing is sent, so the call that needs the token takes no effect.
            kind = Unreachable if isinstance(error, Offline) else Throttled
            raise kind(f"no token for {left_s:.0f} s: {error}", left_s)
