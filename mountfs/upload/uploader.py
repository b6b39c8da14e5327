"""The bytes of pending changes on their way up, by as many worker threads as there are."""

from __future__ import annotations

from collections.abc import Callable

from mountfs.errors import MountfsError, Offline
from mountfs.journal.journal import Journal
from mountfs.model.change import FINAL_STATES, Change, ChangeKind, ChangeState
from mountfs.model.names import is_local_only
from mountfs.model.settling import SETTLE_S
from mountfs.ports import Backend, Clock
from mountfs.upload.means import Lane, Means, SpoolBytes, Work
from mountfs.upload.packlane import PackLane
from mountfs.upload.sessionlane import SessionLane
from mountfs.upload.turns import Turns, never_blocked
from mountfs.upload.urgency import Urgency

_OUT_OF_THE_WAY = FINAL_STATES | {ChangeState.FAILED}


def _silence() -> None:
    """The bell before the assembly hangs up its own."""


class Uploader:
    """Takes SEALED changes to UPLOADED, and large files' bytes up while they are being written.

    What it knows is derived from the journal and guarded by its lock; a restart resumes where the
    journal says. ``bell`` is set by the assembly, wakes all workers, and may ring under the lock.
    """

    def __init__(
        self,
        journal: Journal,
        spool: SpoolBytes,
        backend: Backend,
        clock: Clock,
        urgency: Urgency,
        *,
        is_blocked: Callable[[Change], bool] = never_blocked,
        settle_s: float = SETTLE_S,
    ) -> None:
        """*is_blocked*: whether something earlier is pending where the file is to be."""
        self.bell: Callable[[], None] = _silence
        turns = Turns(clock, urgency, settle_s, is_blocked)
        self._means = Means(journal, spool, backend, clock, urgency, turns)
        self._packs = PackLane(self._means)
        self._sessions = SessionLane(self._means)
        self._lanes: list[Lane] = [self._packs, self._sessions]
        with journal.lock:
            for change in journal.live():
                self._look_locked(change)
            journal.watch(self._changed)
        urgency.watch(self._ring)

    # What happens to files

    def wrote(self, change_id: int, start: int, stop: int) -> None:
        """Bytes [start, stop) of an OPEN change were written, and it has at least ``session_min_bytes``;
        the first calls tell of everything written so far. Any thread."""
        with self._means.journal.lock:
            is_due = self._sessions.wrote_locked(change_id, start, stop)
        if is_due:
            self.bell()

    def truncated(self, change_id: int, size_bytes: int) -> None:
        """An OPEN change was cut, or grew, to *size_bytes*. Any thread."""
        with self._means.journal.lock:
            self._sessions.truncated_locked(change_id, size_bytes)

    # Working

    def step(self, now_s: float) -> float:
        """One unit of work (at most one request with a body), by any of several threads at once."""
        with self._means.journal.lock:
            work = self._claim_locked(now_s)
            if work is None:
                return self._due_locked(now_s)
            has_more = self._due_locked(now_s) <= now_s
        if has_more:
            self.bell()
        work()
        return now_s

    # For status

    @property
    def is_offline(self) -> bool:
        """Whether the far side did not answer the last time."""
        return isinstance(self._means.account.error, Offline)

    @property
    def last_error(self) -> str | None:
        """What keeps bytes from going up, in one line, while something does."""
        with self._means.journal.lock:
            error: MountfsError | None = (
                self._means.account.error or self._packs.trouble or self._sessions.trouble
            )
        return None if error is None else str(error)

    # Inside

    def _claim_locked(self, now_s: float) -> Work | None:
        """From the lane that was served less recently, so that neither starves the other."""
        if self._means.account.ready_s > now_s:
            return None
        for lane in self._lanes:
            work = lane.claim_locked(now_s)
            if work is not None:
                self._lanes.remove(lane)
                self._lanes.append(lane)
                return work
        return None

    def _due_locked(self, now_s: float) -> float:
        due_s = min(lane.due_locked(now_s) for lane in self._lanes)
        return max(due_s, self._means.account.ready_s)

    def _ring(self) -> None:
        self.bell()

    def _changed(self, before: Change | None, after: Change | None) -> None:
        """The journal's listener."""
        if after is not None and after.kind is ChangeKind.PUT and after.state is ChangeState.SEALED:
            is_news = before is None or before.state is not after.state or before.path is not after.path
            if is_news and self._look_locked(after):
                self.bell()
        elif after is not None and after.state is ChangeState.OPEN:
            if before is not None and before.path is not after.path:
                self.bell()
        elif before is not None and before.kind is ChangeKind.PUT:
            self._packs.remove_locked(before.id)
            self._sessions.remove_locked(before.id)
        if self._sessions.awaits_turn and before is not None and _frees(before, after):
            self.bell()

    def _look_locked(self, change: Change) -> bool:
        """Gives a whole file to its lane; whether a worker should look."""
        if change.kind is not ChangeKind.PUT or change.state is not ChangeState.SEALED:
            return False
        if is_local_only(change.path):
            self._packs.remove_locked(change.id)
            return False
        is_large = change.size_bytes >= self._means.limits.session_min_bytes
        if is_large or self._sessions.is_begun_locked(change.id):
            return self._sessions.add_locked(change)
        self._sessions.give_up_locked(change.id)
        return self._packs.add_locked(change)


def _frees(before: Change, after: Change | None) -> bool:
    """Whether others may have been waiting for this."""
    if after is None or after.state in _OUT_OF_THE_WAY:
        return True
    return (after.seq, after.path, after.source) != (before.seq, before.path, before.source)
