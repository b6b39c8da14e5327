"""Where a backend's bearer token comes from: written down, or refreshed before it expires."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from mountfs.errors import NotSignedIn, Throttled, Transient

REFRESH_AHEAD_S = 300.0
"""How long before its expiry a token is replaced; what Dropbox's own SDK does."""


class Tokens(Protocol):
    """A source of bearer tokens, for any thread."""

    def current(self) -> str:
        """A token that is good for the next request. NotSignedIn, Transient."""

    def refused(self, token: str) -> str:
        """Another token, after the service said that *token* has expired. NotSignedIn, Transient."""


class Clock(Protocol):
    """The part of ``mountfs.ports.Clock`` that is needed here."""

    def now_s(self) -> float: ...


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
        raise NotSignedIn(
            "the access_token is not accepted (any more): write a new one into the configuration, or use a "
            "refresh_token instead"
        )


class RefreshedToken:
    """Tokens from a refresh token, one refresh at a time.

    *refresh* makes the HTTP call, raises NotSignedIn or Transient, and is called without any lock
    held. A token that is still good is handed out while its successor is being fetched, and kept
    when that fails for the moment; one that was refused is not. When the service says how long it
    wants no refresh, none is tried for that long.
    """

    def __init__(self, refresh: Callable[[], Grant], clock: Clock) -> None:
        self._refresh = refresh
        self._clock = clock
        self._lock = Lock()
        self._token: str | None = None
        self._expires_s = 0.0
        self._not_before_s = -math.inf
        self._running: Future[str] | None = None

    def current(self) -> str:
        with self._lock:
            token, left_s = self._token, self._expires_s - self._clock.now_s()
            is_busy = self._running is not None
        if token is None or left_s <= 0:
            return self._fetch(token)
        if left_s > REFRESH_AHEAD_S or is_busy:
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

    def _fetch(self, stale: str | None) -> str:
        """The successor of *stale*: at hand already, awaited from the running refresh, or fetched."""
        with self._lock:
            if self._token is not None and self._token != stale:
                return self._token
            running = self._running
            held_back_s = self._not_before_s - self._clock.now_s()
            if running is None and held_back_s > 0:
                raise Throttled(f"the service gives out no tokens for {held_back_s:.0f} s", held_back_s)
            mine: Future[str] | None = None
            if running is None:
                mine = self._running = Future()
        if running is not None:
            return running.result()
        assert mine is not None
        try:
            grant = self._refresh()
        except BaseException as error:
            with self._lock:
                self._running = None
                if isinstance(error, Transient) and error.retry_after_s is not None:
                    self._not_before_s = self._clock.now_s() + error.retry_after_s
            mine.set_exception(error)
            raise
        with self._lock:
            self._token = grant.access_token
            self._expires_s = self._clock.now_s() + grant.expires_in_s
            self._running = None
        mine.set_result(grant.access_token)
        return grant.access_token
