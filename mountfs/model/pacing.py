"""When to try again."""

from __future__ import annotations

import math

from mountfs.errors import MountfsError, NotSignedIn, Offline, Throttled, Transient

FIRST_DELAY_S = 0.25
"""Soon enough that a dropped connection goes unnoticed."""
LONGEST_DELAY_S = 30.0
"""A far side that comes back is found within this time; a call every half minute disturbs nobody."""


def delay_s(failures: int, retry_after_s: float | None, jitter: float) -> float:
    """Seconds until the next attempt after *failures* in a row; *jitter* is drawn from [0, 1) by the caller.

    Half of the doubling delay is certain, half is chance. The service has the last word.
    """
    if retry_after_s is not None:
        return max(0.0, retry_after_s)
    longest_s = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(max(failures, 1) - 1, 16))
    return longest_s * (1.0 + jitter) / 2.0


def is_account_wide(error: MountfsError) -> bool:
    """Whether every other call of the account would fail the same way."""
    return isinstance(error, Offline | Throttled | NotSignedIn)


class Pacer:
    """When one thing may be tried again; not thread-safe, its owner locks."""

    __slots__ = ("_failed_s", "error", "failures", "ready_s")

    def __init__(self) -> None:
        self.failures = 0
        self.ready_s = -math.inf
        """Not to be tried before this time."""
        self.error: MountfsError | None = None
        """The last failure, until it works again."""
        self._failed_s = -math.inf

    def failed(self, error: MountfsError, *, started_s: float, now_s: float, jitter: float) -> None:
        """An attempt begun at *started_s* failed. Attempts that ran side by side count as one failure."""
        self.error = error
        retry_after_s = error.retry_after_s if isinstance(error, Transient) else None
        if started_s >= self._failed_s or not self.failures:
            self.failures += 1
        elif retry_after_s is None:
            return
        self._failed_s = now_s
        self.ready_s = max(self.ready_s, now_s + delay_s(self.failures, retry_after_s, jitter))

    def succeeded(self, started_s: float = math.inf) -> None:
        """It works: the next failure is the first one again. An attempt begun at *started_s* says nothing
        about the time after a failure that was noted since: what the service wants then, stands."""
        if started_s < self._failed_s:
            return
        self.failures = 0
        self.ready_s = -math.inf
        self.error = None
