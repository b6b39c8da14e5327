"""What a job costs the service whatever is in it: learned from how long jobs of different sizes took."""

from __future__ import annotations

FIRST_GUESS_S = 0.5
"""The fixed part of a job before any has ended."""
GUESSED_ENTRY_S = 0.002
"""What an entry adds, as long as all jobs were of one size."""
DIFFERS = 50.0
"""Jobs whose sizes are so many entries apart say as much about what an entry adds as the guess does."""
KEPT = 0.8
"""What each further job leaves of the weight of those before it: after ten jobs a tenth."""
LEAST_S = 0.05


class JobCost:
    """The line through (entries, seconds) of the jobs that ended lately, by least squares.

    Where they are all of one size the data leave its slope open: a guess counts as much as jobs that are
    ``DIFFERS`` entries apart.
    """

    def __init__(self) -> None:
        self._weight = 0.0
        self._entries = 0.0
        self._seconds = FIRST_GUESS_S
        """Means, weighted."""
        self._spread = 0.0
        self._common = 0.0
        """Weighted sums of (entries - mean)^2 and of (entries - mean) * (seconds - mean)."""

    @property
    def fixed_s(self) -> float:
        """Seconds that a job takes however few entries it has."""
        return max(LEAST_S, self._seconds - self._entry_s * self._entries)

    def expected_s(self, entries: int) -> float:
        """Seconds that a job of *entries* takes, if it is like those before it."""
        return max(LEAST_S, self._seconds + self._entry_s * (entries - self._entries))

    @property
    def _entry_s(self) -> float:
        guess = DIFFERS**2
        return max(0.0, (self._common + guess * GUESSED_ENTRY_S) / (self._spread + guess))

    def took(self, entries: int, seconds: float) -> None:
        """A job of *entries* ended *seconds* after it was sent."""
        kept = self._weight * KEPT
        self._weight = kept + 1.0
        off, off_s = entries - self._entries, seconds - self._seconds
        share = kept / self._weight
        self._spread = self._spread * KEPT + share * off * off
        self._common = self._common * KEPT + share * off * off_s
        self._entries += off / self._weight
        self._seconds += off_s / self._weight
