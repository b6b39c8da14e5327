"""How long a job of which nothing is heard may still run, and when to look again what it did."""

from __future__ import annotations

from mountfs.errors import Busy, Throttled
from mountfs.model.pacing import Pace, grown_s
from mountfs.ports import Outcome

LOOKS = Pace(first_s=0.5, longest_s=8.0)
"""At the targets of a job of which nothing is heard."""
JOB_ENDS_S = 4.0
"""A batch whose reply was lost is sent again only when it is this old and a look found nothing new: its first
launch may still be running, and an account runs one job at a time. The figures below make it longer."""
ENTRY_ENDS_S = 0.02
"""So much longer for each entry: a batch of 1000 takes seconds to minutes."""
MOST_DOUBLINGS = 3
"""How often the time doubles while replies to launches are lost one after the other."""
LONGEST_JOB_S = 60.0
"""No job is thought to take longer, whatever was seen."""


class Patience:
    """How long a job may run, learned from how long others took lately and whether the service answers at
    all.

    Where several batches run at once, sending one again disturbs no other, and the time is 0.
    """

    def __init__(self, *, is_alone: bool) -> None:
        """*is_alone*: one batch runs at a time, so that a job whose reply was lost keeps the next one
        waiting."""
        self._is_alone = is_alone
        self._unanswered = 0
        """Launches in a row whose replies were lost and that are not seen to have taken effect."""
        self._job_s = 0.0
        """How long the longest job took lately."""

    def answered(self) -> None:
        """A reply came, or something that was sent is seen to have taken effect."""
        self._unanswered = 0

    def unanswered(self) -> None:
        """The reply to one more launch was lost."""
        self._unanswered += 1

    def job_took(self, seconds: float) -> None:
        self._job_s = min(LONGEST_JOB_S, max(seconds, 0.9 * self._job_s))

    def is_behind_itself(self, outcome: Outcome) -> bool:
        """Whether what the service is busy with may be an earlier launch whose reply was lost."""
        return self._is_alone and self._unanswered > 0 and isinstance(outcome, Busy | Throttled)

    def ends_in_s(self, entries: int) -> float:
        """Seconds after which a job of *entries*, of which nothing is heard or seen, must have ended."""
        if not self._is_alone:
            return 0.0
        usual_s = max(JOB_ENDS_S + ENTRY_ENDS_S * entries, 2.0 * self._job_s)
        return usual_s * 2.0 ** min(self._unanswered, MOST_DOUBLINGS)

    def look_delay_s(self, looks: int) -> float:
        """Seconds until the next look, after *looks* of them."""
        return grown_s(looks + 1, LOOKS) if self._is_alone else 0.0
