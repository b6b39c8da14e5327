"""What the service says about waiting, and the gate that keeps every caller to it."""

from __future__ import annotations

import threading
from email.utils import parsedate_to_datetime

from mountfs.errors import Throttled

LONGEST_WAIT_S = 2.0
"""A caller waits this long inside a call; for anything longer it is told to come back."""


def retry_after_s(header: str | None, wall_s: float) -> float | None:
    """Seconds to wait by a ``Retry-After`` header: a number or a date (RFC 9110, 10.2.3).

    *wall_s* is the time of day. None without a header, or when it says nothing we understand.
    """
    if header is None:
        return None
    text = header.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - wall_s
        except (ValueError, OverflowError):
            return None
    # Neither "nan" nor "inf" is a time to wait.
    return max(0.0, seconds) if abs(seconds) < float("inf") else None


class Gate:
    """Shut for the whole account while the service wants to be left alone.

    Refused requests count against Dropbox's limit as well, so one caller's 429 must hold back all.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opens_s = 0.0

    def shut(self, until_s: float) -> None:
        """Nothing passes before *until_s* on the monotonic clock."""
        with self._lock:
            self._opens_s = max(self._opens_s, until_s)

    @property
    def opens_s(self) -> float:
        """When it opens, or opened, on the monotonic clock."""
        with self._lock:
            return self._opens_s

    def wait_s(self, now_s: float) -> float:
        """How long a call at *now_s* has to wait; Throttled when that is more than LONGEST_WAIT_S."""
        with self._lock:
            left_s = self._opens_s - now_s
        if left_s > LONGEST_WAIT_S:
            raise Throttled(f"the service wants no requests for {left_s:.0f} s", left_s)
        return max(0.0, left_s)
