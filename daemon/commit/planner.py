"""What to send next, and what to leave alone for a while."""

from __future__ import annotations

import math

from daemon.commit.batching import Batch, Moment, choose, first_seen, survey
from mountfs.errors import MountfsError, Transient
from mountfs.journal.journal import Journal
from mountfs.model.change import Change, ChangeKind
from mountfs.model.pacing import delay_s
from mountfs.ports import BackendLimits, Clock

LOOK_EVERY_S = 0.05
"""The journal is not looked through more often, however fast it changes."""
LOOK_SHARE = 9.0
"""And at most a tenth of the time is spent with looking through it."""


class Planner:
    """The memory behind ``batching``: since when changes are ready, which are held back, how much fits."""

    def __init__(self, journal: Journal, limits: BackendLimits, clock: Clock, settle_s: float) -> None:
        self._journal = journal
        self._limits = limits
        self._clock = clock
        self._settle_s = settle_s
        self._held_until_s: dict[int, float] = {}
        self._ready_since_s: dict[int, float] = {}
        self._caps: dict[ChangeKind, int] = {}
        self._next_look_s = -math.inf
        self._due_s = -math.inf
        self._is_changed = True

    def note_change(self) -> None:
        """The journal changed since the last plan. Any thread."""
        self._is_changed = True

    def plan(self, now_s: float, *, is_hurried: bool) -> Batch | float:
        """The next batch, or when to ask again."""
        if not is_hurried and now_s < self._due_s and not self._is_changed:
            return self._due_s
        if not is_hurried and now_s < self._next_look_s:
            return self._next_look_s
        self._is_changed = False  # before looking, or a change meanwhile is overlooked
        moment = Moment(now_s, self._clock.wall_ns(), self._settle_s, is_hurried)
        self._held_until_s = {id_: until_s for id_, until_s in self._held_until_s.items() if until_s > now_s}
        found = survey(self._journal.live(), self._limits, moment, self._held_until_s)
        self._ready_since_s = first_seen(found.ready, self._ready_since_s, now_s)
        batch = choose(found, self._ready_since_s, self._limits, self._caps, moment)
        spent_s = self._clock.now_s() - now_s
        self._next_look_s = now_s + max(LOOK_EVERY_S, spent_s * LOOK_SHARE)
        if isinstance(batch, Batch):
            self._due_s = -math.inf
            return batch
        self._due_s = max(batch, self._next_look_s)
        return self._due_s

    def hold_back(self, change: Change, error: MountfsError) -> None:
        """*change* failed for now: it has to wait, alone."""
        retry_after_s = error.retry_after_s if isinstance(error, Transient) else None
        wait_s = delay_s(change.attempts + 1, retry_after_s, self._clock.jitter())
        self._held_until_s[change.id] = self._clock.now_s() + wait_s

    def was_refused(self, kind: ChangeKind, entries: int) -> None:
        """A batch was refused as a whole: the next ones are half as large."""
        self._caps[kind] = max(1, entries // 2)

    def was_accepted(self, kind: ChangeKind, entries: int) -> None:
        """A batch went through: after a refusal the next ones may be larger again."""
        if entries >= self._caps.get(kind, math.inf):
            self._caps[kind] *= 2
