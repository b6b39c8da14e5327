"""How long a job takes: a fixed time and a time for each entry, learned from the jobs that ended."""

from __future__ import annotations

FIRST_GUESS_S = 0.5
"""The fixed time, before any job has ended."""
GUESSED_ENTRY_S = 0.002
"""The time for an entry, as long as all jobs had the same number of entries."""
GUESS_SPREAD = 50.0
"""How much GUESSED_ENTRY_S counts: as much as jobs whose sizes spread by so many entries."""
DECAY = 0.8
"""A job's weight is multiplied by this with each later job: after ten jobs it has a tenth."""
LEAST_S = 0.05
"""No figure of this module is less."""


class JobCost:
    """Fits a line to (entries, seconds) of jobs by weighted least squares; recent jobs weigh more.

    The line's value at 0 entries is the fixed time, its slope the time for an entry. Jobs that all have the
    same size tell no slope, so GUESSED_ENTRY_S is part of the fit, with the weight that GUESS_SPREAD gives
    it.
    """

    def __init__(self) -> None:
        self._weight = 0.0
        self._entries = 0.0
        self._seconds = FIRST_GUESS_S
        """Sum of the weights; weighted means of entries and seconds."""
        self._spread = 0.0
        self._common = 0.0
        """Weighted sums of (entries - mean)^2 and of (entries - mean) * (seconds - mean)."""

    @property
    def fixed_s(self) -> float:
        """Seconds that a job takes besides those for its entries."""
        return max(LEAST_S, self._seconds - self._entry_s * self._entries)

    def expected_s(self, entries: int) -> float:
        """Seconds that a job of *entries* will take."""
        return max(LEAST_S, self._seconds + self._entry_s * (entries - self._entries))

    @property
    def _entry_s(self) -> float:
        guess = GUESS_SPREAD**2
        return max(0.0, (self._common + guess * GUESSED_ENTRY_S) / (self._spread + guess))

    def took(self, entries: int, seconds: float, ran_s: float | None = None) -> None:
        """A job of *entries* was over when it was looked at *seconds* after it was accepted.

        *ran_s*: seconds after which it was last seen running; None: it is known to have just ended. A job
        whose first poll finds it ended may have ended long before. Taken for as long as until that poll, the
        next one would be polled as late: one slow job would delay twenty.
        """
        if ran_s is not None:
            seconds = (ran_s + seconds) / 2.0
        kept = self._weight * DECAY
        self._weight = kept + 1.0
        off, off_s = entries - self._entries, seconds - self._seconds
        share = kept / self._weight
        self._spread = self._spread * DECAY + share * off * off
        self._common = self._common * DECAY + share * off * off_s
        self._entries += off / self._weight
        self._seconds += off_s / self._weight
