"""How long a job of which nothing is heard may still run, and when to look again what it did."""

from __future__ import annotations

from mountfs.errors import Busy, Throttled
from mountfs.model.pacing import Pace, grown_s
from mountfs.ports import Outcome

LOOKS = Pace(first_s=0.5, longest_s=8.0)
"""At the targets of a job of which nothing is heard."""
JOB_ENDS_S = 4.0
"""A batch of which nothing was heard is sent again only when it is this old and a look found nothing new:
until then its first job may still run, and the jobs of an account are serial. The rest makes it longer."""
ENTRY_ENDS_S = 0.02
"""So much longer for each entry: a batch of 1000 takes seconds to minutes."""
MOST_DOUBLINGS = 3
"""How often that doubles while launches in a row are not answered."""
LONGEST_JOB_S = 60.0
"""No job is thought to take longer, whatever was seen."""


class Patience:
    """Learned from what the service does: how long its jobs took lately, and whether it answers at all.

    Where several batches run at once a second try disturbs nobody, and there is no patience: 0 seconds.
    """

    def __init__(self, *, is_alone: bool) -> None:
        """*is_alone*: one batch runs at a time, so that a job nobody hears of keeps the next one waiting."""
        self._is_alone = is_alone
        self._unanswered = 0
        """Launches in a row of which nothing was heard, and nothing seen."""
        self._job_s = 0.0
        """How long the longest job took lately."""

    def answered(self) -> None:
        """A reply came, or something that was sent is seen to have taken effect."""
        self._unanswered = 0

    def unanswered(self) -> None:
        """One more launch of which nothing was heard."""
        self._unanswered += 1

    def job_took(self, seconds: float) -> None:
        self._job_s = min(LONGEST_JOB_S, max(seconds, 0.9 * self._job_s))

    def is_behind_itself(self, outcome: Outcome) -> bool:
        """Whether what keeps a launch from being carried out may be an earlier one that was not answered."""
        return self._is_alone and self._unanswered > 0 and isinstance(outcome, Busy | Throttled)

    def ends_in_s(self, entries: int) -> float:
        """Seconds after which a job of *entries* of which nothing is heard or seen has ended, as far as jobs
        are known."""
        if not self._is_alone:
            return 0.0
        usual_s = max(JOB_ENDS_S + ENTRY_ENDS_S * entries, 2.0 * self._job_s)
        return usual_s * 2.0 ** min(self._unanswered, MOST_DOUBLINGS)

    def look_delay_s(self, looks: int) -> float:
        """Seconds until the next look, after *looks* of them."""
        return grown_s(looks + 1, LOOKS) if self._is_alone else 0.0
