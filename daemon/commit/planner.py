"""What to send next, and what to leave alone for a while."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from threading import Lock

from daemon.commit.batching import Batch, Moment, choose, choose_several, first_seen, survey
from mountfs.errors import MountfsError, Transient
from mountfs.journal.journal import Journal
from mountfs.model.change import Change, ChangeKind
from mountfs.model.pacing import delay_s
from mountfs.ports import BackendLimits, Clock

LOOK_EVERY_S = 0.05
"""The journal is not looked through more often, however fast it changes."""
LOOK_SHARE = 9.0
"""And at most a tenth of the time is spent with looking through it."""
LONGEST_REST_S = 5.0
"""However long a look took: the machine may have stood still in the midst of it."""
PLANNED_AHEAD = 8
"""So many batches for each that may be sent at once come from one look: of thousands of small files, a
few every second, not one for each look."""


class Planner:
    """The memory behind ``batching``: since when changes are ready, which are held back, how much fits.

    Any thread may call any method. Its lock may be held while the account's is taken, never the reverse.
    """

    def __init__(self, journal: Journal, limits: BackendLimits, clock: Clock, settle_s: float) -> None:
        self._journal = journal
        self._limits = limits
        self._clock = clock
        self._settle_s = settle_s
        self._lock = Lock()
        self._held_until_s: dict[int, float] = {}
        self._ready_since_s: dict[int, float] = {}
        self._caps: dict[ChangeKind, int] = {}
        self._ahead: deque[Batch] = deque()
        self._next_look_s = -math.inf
        self._next_hurried_look_s = -math.inf
        self._due_s = -math.inf
        self._is_changed = True

    def note_change(self) -> None:
        """The journal changed since the last plan. Takes no lock: under the account's."""
        self._is_changed = True

    def plan(self, now_s: float, *, is_hurried: bool) -> Batch | float:
        """The next batch, or when to ask again. Its changes may have moved on since they were looked at."""
        with self._lock:
            if self._ahead:
                return self._ahead.popleft()
            if not is_hurried and now_s < self._due_s and not self._is_changed:
                return self._due_s
            next_look_s = self._next_hurried_look_s if is_hurried else self._next_look_s
            # Where batches go side by side, each look in vain would be made by each of their threads.
            if now_s < next_look_s and (not is_hurried or self._limits.batches_at_once > 1):
                return next_look_s
            return self._look(is_hurried)

    def _look(self, is_hurried: bool) -> Batch | float:
        self._is_changed = False  # before looking, or a change meanwhile is overlooked
        with self._journal.lock:
            now_s = self._clock.now_s()  # who had to wait for the lock has not looked yet
            rows = self._journal.live()
        moment = Moment(now_s, self._clock.wall_ns(), self._settle_s, is_hurried)
        self._held_until_s = {id_: until_s for id_, until_s in self._held_until_s.items() if until_s > now_s}
        found = survey(rows, self._limits, moment, self._held_until_s)
        self._ready_since_s = first_seen(found.ready, self._ready_since_s, now_s)
        chosen: Batch | list[Batch] | float
        if self._limits.batches_at_once == 1:
            chosen = choose(found, self._ready_since_s, self._limits, self._caps, moment)
        else:
            most = self._limits.batches_at_once * PLANNED_AHEAD
            chosen = choose_several(found, self._ready_since_s, self._limits, self._caps, moment, most)
        ended_s = self._clock.now_s()
        self._next_hurried_look_s = ended_s + min((ended_s - now_s) * LOOK_SHARE, LONGEST_REST_S)
        self._next_look_s = max(self._next_hurried_look_s, now_s + LOOK_EVERY_S)
        if isinstance(chosen, float):
            self._due_s = max(chosen, self._next_look_s)
            return self._due_s
        self._due_s = -math.inf
        if isinstance(chosen, Batch):
            return chosen
        self._ahead.extend(chosen)
        return self._ahead.popleft()

    def hold(self, changes: Iterable[Change]) -> None:
        """Somebody is about to send *changes*: they are nobody else's until ``let_go``."""
        with self._lock:
            self._held_until_s |= {change.id: math.inf for change in changes}

    def let_go(self, changes: Iterable[Change]) -> None:
        """Undoes ``hold``."""
        with self._lock:
            for change in changes:
                self._held_until_s.pop(change.id, None)
            self._is_changed = True

    def hold_back(self, change: Change, error: MountfsError) -> None:
        """*change* failed for now: it has to wait, alone."""
        retry_after_s = error.retry_after_s if isinstance(error, Transient) else None
        wait_s = delay_s(change.attempts + 1, retry_after_s, self._clock.jitter())
        with self._lock:
            self._held_until_s[change.id] = self._clock.now_s() + wait_s

    def was_refused(self, kind: ChangeKind, entries: int) -> None:
        """A batch was refused as a whole: the next ones are half as large."""
        with self._lock:
            self._caps[kind] = max(1, entries // 2)

    def was_accepted(self, kind: ChangeKind, entries: int) -> None:
        """A batch went through: after a refusal the next ones may be larger again."""
        with self._lock:
            if entries >= self._caps.get(kind, math.inf):
                self._caps[kind] *= 2
