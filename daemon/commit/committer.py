"""The background committer: pending changes to batches, batches to the service, outcomes to the journal."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from daemon.commit.accountlock import AccountLock
from daemon.commit.batching import Batch
from daemon.commit.bookkeeper import Bookkeeper, Settlement
from daemon.commit.flight import Current, Flight, order_of, stranded
from daemon.commit.lookup import filled_folders, look_up
from daemon.commit.pacing import poll_delay_s
from daemon.commit.planner import Planner
from daemon.commit.verdicts import Look, Retry, Unknown, Verdict, judge, judge_standing
from mountfs.errors import MountfsError, NotSignedIn, Offline, ServerFault, SessionLost, Transient
from mountfs.journal.journal import Journal
from mountfs.model.change import FINAL_STATES, Change, ChangeEvent, ChangeKind, ChangeState
from mountfs.model.pacing import Pacer, is_account_wide
from mountfs.ports import Backend, Clock, Done, Outcome, Running
from mountfs.spool.spool import Spool

LOG = logging.getLogger(__name__)

SETTLE_S = 0.25
"""Editors and rsync rename within milliseconds of writing."""
LOCK_RETRY_S = 0.25
"""How often the account's file lock is asked for while another process has it."""
JOB_FAULTS = 8
"""After so many failed questions in a row a job counts as lost: its batch is sent again."""


class Urgent(Protocol):
    """The part of ``mountfs.upload.urgency`` that is needed here."""

    @property
    def is_pressing(self) -> bool: ...

    def watch(self, bell: Callable[[], None]) -> None: ...


def _silence() -> None:
    """The bell before the assembly hangs up its own."""


class Committer:
    """One thread calls ``step``; ``bell`` is set by the assembly, wakes it, and may ring under the lock.

    A batch is marked COMMITTING before it is sent, so that what may have taken effect is never renamed
    or replaced under the service's hands; it leaves that state only with an answer.
    """

    def __init__(
        self,
        journal: Journal,
        settlement: Settlement,
        backend: Backend,
        spool: Spool,
        *,
        clock: Clock,
        urgency: Urgent,
        lock_path: Path,
        host: str,
        settle_s: float = SETTLE_S,
    ) -> None:
        self.bell: Callable[[], None] = _silence
        self._journal = journal
        self._backend = backend
        self._spool = spool
        self._clock = clock
        self._urgency = urgency
        self._lock = AccountLock(lock_path)
        self._planner = Planner(journal, backend.limits, clock, settle_s)
        self._books = Bookkeeper(journal, settlement, clock, backend.limits.names, host)
        self._flight: Flight | None = None
        self._is_recovering = True
        self._pacer = Pacer()
        self._last_error: str | None = None
        journal.watch(self._changed)
        urgency.watch(self._ring)

    # For status

    @property
    def current(self) -> Current | None:
        """The batch under way."""
        flight = self._flight
        return None if flight is None else flight.current

    @property
    def is_offline(self) -> bool:
        """Whether the far side did not answer the last time."""
        return isinstance(self._pacer.error, Offline)

    @property
    def last_error(self) -> str | None:
        """What keeps changes from being committed, in one line, while something does."""
        return self._last_error

    # Working

    def step(self, now_s: float) -> float:
        """Does what is due of the batch under way, or sends the next one."""
        if self._pacer.ready_s > now_s:
            return self._pacer.ready_s
        try:
            if self._flight is None:
                due_s = self._take_off(now_s)
                if due_s is not None:
                    return due_s
            return self._fly(now_s)
        except BaseException:
            # Whatever it was, the journal knows which rows are under way.
            self._end_flight()
            self._is_recovering = True
            raise

    def close(self) -> None:
        """Lets go of the account's lock; what is under way is taken up by the next process."""
        self._end_flight()

    def _take_off(self, now_s: float) -> float | None:
        """Finds the next flight; None when there is one, else when to look again."""
        if self._is_recovering:
            return self._recover(now_s)
        batch = self._planner.plan(now_s, is_hurried=self._urgency.is_pressing)
        if not isinstance(batch, Batch):
            return batch
        if not self._lock.try_take():
            return now_s + LOCK_RETRY_S
        try:
            filled = filled_folders(self._backend, batch.changes)
        except MountfsError as error:
            self._last_error = str(error)
            self._slow_down(error, now_s)
            self._lock.release()
            return self._pacer.ready_s
        self._flight = self._mark(batch, filled)
        if self._flight is None:
            self._lock.release()
            return now_s
        return None

    def _recover(self, now_s: float) -> float | None:
        """Takes up what a former process left under way."""
        rows = [row for row in self._journal.live() if row.state in _UNDER_WAY]
        if rows and not self._lock.try_take():
            return now_s + LOCK_RETRY_S
        for row in rows:
            if row.state is ChangeState.CONFLICTED:
                self._books.rename_conflicted(row)
        found = stranded(row for row in rows if row.state is ChangeState.COMMITTING)
        if found is None:
            self._lock.release()
            self._is_recovering = False
            return now_s
        changes, carried = found
        self._flight = self._flight_of(changes, carried)
        self._flight.job = changes[0].job
        self._flight.is_uncertain = changes[0].job is None
        return None

    def _mark(self, batch: Batch, filled: set[int]) -> Flight | None:
        """Makes rows COMMITTING that still are as they were planned; None when none is."""

        def send(planned: Change) -> Change | None:
            now = self._journal.get(planned.id)
            if now is None or not _is_as_planned(now, planned):
                return None
            if now.id in filled or _is_blind(now):
                self._books.give_up_delete(now)
                return None
            return self._journal.advance(now, ChangeEvent.COMMIT_SENT, job=None)

        with self._journal.transaction():
            # By id, so that the next process puts the orders into the same positions.
            changes = [row for row in map(send, sorted(batch.changes, key=lambda row: row.id)) if row]
            carried = [row for row in map(send, batch.carried) if row] if changes else []
        return self._flight_of(changes, carried) if changes else None

    def _flight_of(self, changes: list[Change], carried: list[Change]) -> Flight:
        limits = self._backend.limits
        orders = tuple(order_of(change, self._journal, self._spool, limits) for change in changes)
        return Flight(changes[0].kind, tuple(changes), tuple(carried), orders, self._clock.now_s())

    # Under way

    def _fly(self, now_s: float) -> float:
        flight = self._flight
        assert flight is not None
        if flight.due_s > now_s:
            return flight.due_s
        if not self._lock.try_take():
            return now_s + LOCK_RETRY_S
        try:
            if flight.job is None:
                launch = self._backend.submit(flight.orders)
            else:
                launch = self._backend.poll(flight.job, flight.orders)
        except MountfsError as error:
            return self._interrupted(flight, error, now_s)
        self._pacer.succeeded()
        self._last_error = None
        if isinstance(launch, Running):
            return self._wait_for(flight, launch)
        return self._conclude(flight, launch, now_s)

    def _wait_for(self, flight: Flight, running: Running) -> float:
        if running.job != flight.job:
            flight.job, flight.polls = running.job, 0
            with self._journal.transaction():
                for row in (*flight.changes, *flight.carried):
                    now = self._journal.get(row.id)
                    if now is not None:
                        self._journal.amend(now, job=running.job)
        flight.faults = 0
        flight.due_s = self._clock.now_s() + poll_delay_s(flight.polls, running.retry_after_s)
        flight.polls += 1
        return flight.due_s

    def _conclude(self, flight: Flight, done: Done, now_s: float) -> float:
        verdicts = self._judge(flight, done.outcomes)
        self._pace(verdicts, now_s)
        self._books.book(verdicts, flight.carried)
        left = [change for change, verdict in verdicts if isinstance(verdict, Unknown)]
        self._planner.was_accepted(flight.kind, len(flight.changes))
        self._end_flight()
        # Those of unknown fate are still COMMITTING: they are found there, and sent again before others.
        self._is_recovering = bool(left) or self._is_recovering
        return self._pacer.ready_s if left else self._clock.now_s()

    def _judge(self, flight: Flight, outcomes: tuple[Outcome, ...]) -> list[tuple[Change, Verdict]]:
        judged = [
            (change, judge(change, outcome, is_uncertain=flight.is_uncertain))
            for change, outcome in zip(flight.changes, outcomes, strict=True)
        ]
        standing = look_up(self._backend, (change for change, verdict in judged if isinstance(verdict, Look)))
        verdicts: list[tuple[Change, Verdict]] = []
        for change, verdict in judged:
            if not isinstance(verdict, Look):
                verdicts.append((change, verdict))
                continue
            seen = standing[change.id]
            if isinstance(seen, MountfsError):
                verdicts.append((change, Unknown(seen)))
            else:
                is_uncertain = flight.is_uncertain
                settled = judge_standing(change, verdict.error, seen, is_uncertain=is_uncertain)
                verdicts.append((change, settled))
        return verdicts

    # Trouble

    def _interrupted(self, flight: Flight, error: MountfsError, now_s: float) -> float:
        """The request as a whole failed."""
        self._last_error = str(error)
        if flight.job is not None:
            return self._unanswered(flight, error)
        is_definite = not isinstance(error, Offline | ServerFault)
        if isinstance(error, Transient | NotSignedIn):
            self._slow_down(error, now_s)
            flight.is_uncertain = flight.is_uncertain or not is_definite
            if flight.is_uncertain:
                return self._pacer.ready_s
        elif len(flight.changes) == 1:
            return self._conclude(flight, Done((error,)), now_s)
        else:
            # Too big, or one entry poisons the others: smaller batches show which.
            LOG.info("a batch of %d is split: %s", len(flight.changes), error)
            self._planner.was_refused(flight.kind, len(flight.changes))
        with self._journal.transaction():
            for row in (*flight.changes, *flight.carried):
                now = self._journal.get(row.id)
                if now is not None:
                    self._journal.advance(now, ChangeEvent.RETRY, job=None, error=str(error))
        self._end_flight()
        return max(self._clock.now_s(), self._pacer.ready_s)

    def _unanswered(self, flight: Flight, error: MountfsError) -> float:
        """The question after a job failed; the job itself may be fine."""
        if not is_account_wide(error):
            flight.faults += 1
        if isinstance(error, SessionLost) or flight.faults >= JOB_FAULTS:
            flight.job, flight.is_uncertain, flight.faults = None, True, 0
            if isinstance(error, SessionLost):
                return self._clock.now_s()
        self._slow_down(error, self._clock.now_s())
        return self._pacer.ready_s

    def _pace(self, verdicts: list[tuple[Change, Verdict]], now_s: float) -> None:
        """Holds single changes back after a failure, or everything where all would fail."""
        for change, verdict in verdicts:
            if isinstance(verdict, Retry | Unknown):
                self._last_error = str(verdict.error)
                if isinstance(verdict, Unknown) or is_account_wide(verdict.error):
                    self._slow_down(verdict.error, now_s)
                else:
                    self._planner.hold_back(change, verdict.error)

    def _slow_down(self, error: MountfsError, started_s: float) -> None:
        now_s = self._clock.now_s()
        self._pacer.failed(error, started_s=started_s, now_s=now_s, jitter=self._clock.jitter())

    def _end_flight(self) -> None:
        self._flight = None
        self._lock.release()

    # Bells

    def _changed(self, before: Change | None, after: Change | None) -> None:
        """The journal's listener: rings for what may be ready, or may make others ready."""
        self._planner.note_change()
        is_freed = before is not None and before.state not in FINAL_STATES
        if after is None or after.state in _FREEING:
            if is_freed:
                self.bell()
        elif after.state is ChangeState.UPLOADED:
            self.bell()

    def _ring(self) -> None:
        self.bell()


def _is_as_planned(now: Change, planned: Change) -> bool:
    return (
        now.state is planned.state
        and now.kind is planned.kind
        and now.seq == planned.seq
        and now.path == planned.path
        and now.source == planned.source
    )


def _is_blind(row: Change) -> bool:
    """Whether it would remove a file whatever revision that has."""
    return row.kind is ChangeKind.DELETE and not row.is_folder and row.base_revision is None


_UNDER_WAY = frozenset({ChangeState.COMMITTING, ChangeState.CONFLICTED})
_FREEING = FINAL_STATES | {ChangeState.FAILED}
