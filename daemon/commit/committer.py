"""The background committer: pending changes to batches, batches to the service, outcomes to the journal."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from daemon.commit.accountlock import AccountLock, NoLock
from daemon.commit.batching import Batch
from daemon.commit.bookkeeper import Bookkeeper, Settlement
from daemon.commit.flight import Current, Flight, order_of, stranded
from daemon.commit.lookup import filled_folders
from daemon.commit.pilot import Pilot
from daemon.commit.planner import Planner
from mountfs.errors import MountfsError, Offline
from mountfs.journal.journal import Journal
from mountfs.model.change import FINAL_STATES, Change, ChangeEvent, ChangeKind, ChangeState
from mountfs.model.pacing import is_account_wide
from mountfs.model.settling import SETTLE_S
from mountfs.ports import Backend, Clock
from mountfs.spool.spool import Spool

LOCK_RETRY_S = 0.25
"""How often the account's file lock is asked for while another process has it."""


class Urgent(Protocol):
    """The part of ``mountfs.upload.urgency`` that is needed here."""

    @property
    def is_pressing(self) -> bool: ...

    def watch(self, bell: Callable[[], None]) -> None: ...


def _silence() -> None:
    """The bell before the assembly hangs up its own."""


class Committer:
    """``limits.batches_at_once`` threads call ``step``; ``bell`` is set by the assembly, wakes them, and
    may ring under the lock.

    A batch is marked COMMITTING before it is sent, so that what may have taken effect is never renamed
    or replaced under the service's hands; it leaves that state only with an answer. Batches in flight
    never overlap: what is COMMITTING blocks whatever touches its paths.
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
        limits = backend.limits
        self.bell: Callable[[], None] = _silence
        self._journal = journal
        self._backend = backend
        self._spool = spool
        self._clock = clock
        self._urgency = urgency
        self._is_alone = limits.batches_at_once == 1
        self._lock = AccountLock(lock_path) if self._is_alone else NoLock()
        self._planner = Planner(journal, limits, clock, settle_s)
        self._books = Bookkeeper(journal, settlement, clock, limits.names, host)
        self._pilot = Pilot(journal, backend, clock, self._planner, self._books)
        self._flights: list[Flight] = []
        self._is_recovering = True
        journal.watch(self._changed)
        urgency.watch(self._ring)

    # For status

    @property
    def current(self) -> tuple[Current, ...]:
        """The batches under way, the oldest first."""
        with self._journal.lock:
            return tuple(flight.current for flight in self._flights)

    @property
    def is_offline(self) -> bool:
        """Whether the far side did not answer the last time."""
        return isinstance(self._pilot.account.error, Offline)

    @property
    def last_error(self) -> str | None:
        """What keeps changes from being committed, in one line, while something does."""
        with self._journal.lock:
            errors = [self._pilot.account.error, *(flight.pacer.error for flight in self._flights)]
        return next((str(error) for error in errors if error), self._pilot.last_error)

    # Working

    def step(self, now_s: float) -> float:
        """Does what is due of one batch under way, or sends the next one."""
        flight: Flight | None = None
        try:
            found = self._find(now_s)
            if not isinstance(found, Flight):
                return found
            flight = found
            if not self._is_alone:
                self.bell()  # the others take what else there is, and mind when it is due
            self._pilot.fly(flight)
        except BaseException:
            # Whatever it was, the journal knows which rows are under way. In one step: a worker that looked
            # for them in between would find that this flight still has them.
            with self._journal.lock:
                if flight is not None:
                    flight.is_over = True
                self._land(flight)
                self._is_recovering = True
            raise
        return self._land(flight)

    def close(self) -> None:
        """Lets go of the account's lock; what is under way is taken up by the next process."""
        with self._journal.lock:
            self._flights.clear()
        self._lock.release()

    def _find(self, now_s: float) -> Flight | float:
        """A flight to get on with, for the calling thread alone, or when to look again."""
        due_s = math.inf
        with self._journal.lock:
            if self._pilot.account.ready_s > now_s:
                return self._pilot.account.ready_s
            if self._is_recovering and not self._recover():
                return now_s + LOCK_RETRY_S
            for flight in self._flights:
                if not flight.is_busy and flight.due_s <= now_s:
                    flight.is_busy = True
                    return flight
                due_s = min(due_s, math.inf if flight.is_busy else flight.due_s)
            if self._is_alone and self._flights:
                return due_s
        found = self._take_off(now_s)
        return found if isinstance(found, Flight) else min(due_s, found)

    def _land(self, flight: Flight | None) -> float:
        """The calling thread is done with *flight* for now; when to step again."""
        with self._journal.lock:
            if flight is not None:
                flight.is_busy = False
                if flight.is_over and flight in self._flights:
                    self._flights.remove(flight)
            if not self._flights:
                self._lock.release()
            due_s = self._flights[0].due_s if self._is_alone and self._flights else -math.inf
            return max(self._clock.now_s(), self._pilot.account.ready_s, due_s)

    # What to send

    def _take_off(self, now_s: float) -> Flight | float:
        """The next flight, or when to look again."""
        batch = self._planner.plan(now_s, is_hurried=self._urgency.is_pressing)
        if not isinstance(batch, Batch):
            return batch
        if not self._lock.try_take():
            return now_s + LOCK_RETRY_S
        filled = self._look_into(batch, now_s)
        flight = None if filled is None else self._mark(batch, filled)
        if flight is None:
            self._lock.release()
            return max(now_s, self._pilot.account.ready_s)
        return flight

    def _look_into(self, batch: Batch, now_s: float) -> set[int] | None:
        """Which folders that *batch* removes are not empty on the far side; None: that cannot be told. Where
        the service spares those by itself nobody looks."""
        deletes = batch.changes if batch.kind is ChangeKind.DELETE else ()
        folders = [change for change in deletes if change.is_folder]
        if not folders or not self._backend.limits.deletes_recursively:
            return set()
        trouble: MountfsError
        self._planner.hold(batch.changes)
        if not self._is_alone:
            self.bell()
        try:
            return filled_folders(self._backend, folders)
        except MountfsError as error:
            trouble = error
        finally:
            self._planner.let_go(batch.changes)
        self._pilot.last_error = str(trouble)
        if self._is_alone or is_account_wide(trouble):
            self._pilot.slow_down(trouble, now_s)
            return None
        for folder in folders:
            self._planner.hold_back(folder, trouble)
        with self._journal.transaction():
            for folder in folders:
                now = self._journal.get(folder.id)
                if now is not None and _is_as_planned(now, folder):
                    self._journal.amend(now, attempts=now.attempts + 1, error=str(trouble))
        return None

    def _recover(self) -> bool:
        """Takes up what a former process, or a step that broke off, left under way; False: somebody else
        has the account's lock."""
        if self._is_alone and self._flights:
            return True
        flying = {row.id for flight in self._flights for row in flight.rows}
        rows = [row for row in self._journal.live() if row.state in _UNDER_WAY and row.id not in flying]
        if rows and not self._lock.try_take():
            return False
        for row in rows:
            if row.state is ChangeState.CONFLICTED:
                self._books.rename_conflicted(row)
        sent = [row for row in rows if row.state is ChangeState.COMMITTING]
        found = stranded(sent, self._backend.limits)
        # Where one flies at a time, the others wait for its end.
        for job, batch in found[:1] if self._is_alone else found:
            flight = self._flight_of(list(batch.changes), list(batch.carried))
            flight.job, flight.is_uncertain = job, job is None
        self._is_recovering = self._is_alone and bool(found)
        if not self._flights:
            self._lock.release()
        return True

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

        with self._journal.lock:
            with self._journal.transaction():
                # By id, so that the next process puts the orders into the same positions.
                changes = [row for row in map(send, sorted(batch.changes, key=lambda row: row.id)) if row]
                carried = [row for row in map(send, batch.carried) if row] if changes else []
            if not changes:
                return None
            flight = self._flight_of(changes, carried)
            flight.is_busy = True
            return flight

    def _flight_of(self, changes: list[Change], carried: list[Change]) -> Flight:
        limits = self._backend.limits
        orders = tuple(order_of(change, self._journal, self._spool, limits) for change in changes)
        flight = Flight(changes[0].kind, tuple(changes), tuple(carried), orders, self._clock.now_s())
        self._flights.append(flight)
        return flight

    # Bells

    def _changed(self, before: Change | None, after: Change | None) -> None:
        """The journal's listener: rings for what may be ready, or may make others ready."""
        self._planner.note_change()
        is_ready = after is not None and after.state is ChangeState.UPLOADED
        if is_ready or (before is not None and _is_out_of_the_way(before, after)):
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


def _is_out_of_the_way(before: Change, after: Change | None) -> bool:
    """Whether others that waited for a change need not do so any more."""
    if before.state in FINAL_STATES:
        return False
    if after is None or after.state in _FREEING:
        return True
    # What is under way is waited for by earlier changes too; what has no name yet may be given another one.
    has_landed = before.state is ChangeState.COMMITTING and after.state is not ChangeState.COMMITTING
    return has_landed or before.seq != after.seq or before.paths != after.paths


_UNDER_WAY = frozenset({ChangeState.COMMITTING, ChangeState.CONFLICTED})
_FREEING = FINAL_STATES | {ChangeState.FAILED}
