"""What the service says about waiting, and the gate that keeps every caller to it."""

from __future__ import annotations

import threading

from mountfs.backends.servicetime import http_date_s
from mountfs.errors import ServerFault, Throttled, Transient
from mountfs.model.pacing import LONGEST_ASKED_S, Pacer

LONGEST_WAIT_S = 2.0
"""A caller waits this long inside a call; for anything longer it is told to come back."""


def retry_after_s(header: str | None, wall_s: float) -> float | None:
    """Seconds to wait by a ``Retry-After`` header: a number or a date (RFC 9110, 10.2.3).

    *wall_s* is the time of day. None without a header, or when it says nothing we understand. Never more than
    LONGEST_ASKED_S: after that the service is asked once more, whatever it said.
    """
    if header is None:
        return None
    text = header.strip()
    try:
        seconds = float(text)
    except ValueError:
        named_s = http_date_s(text)
        if named_s is None:
            return None
        seconds = named_s - wall_s
    # Neither "nan" nor "inf" is a time to wait.
    return bounded_s(seconds) if abs(seconds) < float("inf") else None


def bounded_s(stated_s: float) -> float:
    """A pause that a reply asks for, as far as it is granted: a past time is none, a day is five minutes."""
    return min(max(0.0, stated_s), LONGEST_ASKED_S)


class Gate:
    """Shut for the whole account while the service wants to be left alone; for a route while it is refused.

    Refused requests count against Dropbox's limit as well, so one caller's 429 must hold back all. The gate
    is shut for as long as the service asks, and for at least a delay of our own, which doubles with each
    refusal in a row. A 503 without a time says nothing about other routes: that route alone is held back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opens_s = 0.0
        self._account = Pacer()
        self._routes: dict[str, Pacer] = {}

    def shut(self, until_s: float) -> None:
        """Nothing passes before *until_s* on the monotonic clock."""
        with self._lock:
            self._opens_s = max(self._opens_s, until_s)

    def throttled(
        self, route: str, error: Transient, *, started_s: float, now_s: float, jitter: float
    ) -> None:
        """A call of *route* that left at *started_s* was sent away: 429 (Throttled) or 503 (ServerFault)."""
        with self._lock:
            pacer = self._routes.setdefault(route, Pacer())
            pacer.failed(error, started_s=started_s, now_s=now_s, jitter=jitter)
            if not isinstance(error, ServerFault) or error.retry_after_s:
                self._account.failed(error, started_s=started_s, now_s=now_s, jitter=jitter)
                self._opens_s = max(self._opens_s, self._account.ready_s)

    def passed(self, route: str, started_s: float) -> None:
        """A call of *route* that left at *started_s* got an answer of its own."""
        with self._lock:
            self._account.succeeded(started_s)
            if route in self._routes:
                self._routes[route].succeeded(started_s)

    def opens_s(self, route: str) -> float:
        """When it opens for *route*, or opened, on the monotonic clock."""
        with self._lock:
            pacer = self._routes.get(route)
            return self._opens_s if pacer is None else max(self._opens_s, pacer.ready_s)

    def wait_s(self, route: str, now_s: float) -> float:
        """How long a call at *now_s* has to wait; Throttled when that is more than LONGEST_WAIT_S."""
        left_s = self.opens_s(route) - now_s
        if left_s > LONGEST_WAIT_S:
            raise Throttled(f"the service wants no requests for {left_s:.0f} s", left_s)
        return max(0.0, left_s)
