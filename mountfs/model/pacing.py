"""When to try again."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mountfs.errors import MountfsError, NotSignedIn, Offline, Throttled, Transient

FIRST_DELAY_S = 0.25
"""Soon enough that a dropped connection goes unnoticed."""
LONGEST_DELAY_S = 30.0
"""A far side that comes back is found within this time; a call every half minute disturbs nobody."""
LONGEST_ASKED_S = 300.0
"""The longest pause that is granted to a service which asks for one (``Retry-After``). One wrong header would
otherwise keep a mount away from its account until the mount is restarted."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The first delay, and the bound up to which each is twice the one before."""

    first_s: float = FIRST_DELAY_S
    longest_s: float = LONGEST_DELAY_S


USUAL = Pace()
PROBES = Pace(first_s=1.0, longest_s=120.0)
"""Of what is not likely to be over soon, such as credentials that are refused. A refusal by mistake ends
within moments; a real one lasts for hours, and a probe every two minutes disturbs nobody."""
ALONE = Pace(first_s=2.5, longest_s=300.0)
"""Of what fails alone, while the service takes other things. Each try costs them time, and is likely to be in
vain: ten times the usual."""


def grown_s(tries: int, pace: Pace) -> float:
    """The delay after *tries* in a row, 1 for the first: of *pace*, without chance."""
    return min(pace.longest_s, pace.first_s * 2.0 ** min(max(tries, 1) - 1, 16))


def delay_s(failures: int, retry_after_s: float | None, jitter: float, pace: Pace = USUAL) -> float:
    """Seconds until the next attempt after *failures* in a row; *jitter* is drawn from [0, 1) by the caller.

    Half of the doubling delay is certain, half is chance. A service that asks for a longer pause gets it, up
    to LONGEST_ASKED_S; one that asks for a shorter one does not: ``Retry-After: 0`` is no leave to hammer.
    """
    own_s = grown_s(failures, pace) * (1.0 + jitter) / 2.0
    return own_s if retry_after_s is None else max(own_s, min(retry_after_s, LONGEST_ASKED_S))


def is_account_wide(error: MountfsError) -> bool:
    """Whether every other call of the account would fail the same way."""
    return isinstance(error, Offline | Throttled | NotSignedIn)


NEVER_S = -math.inf
"""One float for all: each pending file has a pacer."""


class Pacer:
    """When one thing may be tried again; not thread-safe, its owner locks."""

    __slots__ = ("_failed_s", "error", "failures", "pace", "ready_s")

    def __init__(self, pace: Pace = USUAL) -> None:
        self.pace = pace
        """Of the failures to come."""
        self.failures = 0
        self.ready_s = NEVER_S
        """Not to be tried before this time."""
        self.error: MountfsError | None = None
        """The last failure, until it works again."""
        self._failed_s = NEVER_S

    def failed(self, error: MountfsError, *, started_s: float, now_s: float, jitter: float) -> None:
        """An attempt begun at *started_s* failed. Attempts that ran side by side count as one failure."""
        self.error = error.bare()
        retry_after_s = error.retry_after_s if isinstance(error, Transient) else None
        if started_s >= self._failed_s or not self.failures:
            self.failures += 1
        elif retry_after_s is None:
            return
        self._failed_s = now_s
        self.ready_s = max(self.ready_s, now_s + delay_s(self.failures, retry_after_s, jitter, self.pace))

    def succeeded(self, started_s: float = math.inf) -> None:
        """It works: the next failure is the first one again. An attempt begun at *started_s* says nothing
        about the time after a failure that was noted since: what the service wants then, stands."""
        if started_s < self._failed_s:
            return
        self.failures = 0
        self.ready_s = NEVER_S
        self.error = None
