"""What a flight needs on its way: it is sent, asked after, judged by its reply, and booked."""

from __future__ import annotations

import logging

from daemon.commit.bookkeeper import Bookkeeper
from daemon.commit.flight import Flight
from daemon.commit.lookup import look_up
from daemon.commit.pacing import poll_delay_s
from daemon.commit.planner import Planner
from daemon.commit.verdicts import Acknowledge, Look, Retry, Unknown, Verdict, judge, judge_standing
from mountfs.errors import MountfsError, NotSignedIn, Offline, ServerFault, SessionLost, Transient
from mountfs.journal.journal import Journal
from mountfs.model.change import Change
from mountfs.model.pacing import Pacer, is_account_wide
from mountfs.ports import Backend, Clock, Outcome, Running

LOG = logging.getLogger(__name__)

JOB_FAULTS = 8
"""After so many failed questions in a row a job counts as lost: its batch is sent again."""


class Pilot:
    """Each call of ``fly`` makes at most one request of the flight's own; several flights at once may
    be flown by as many threads. ``account`` paces all of them, under the journal's lock."""

    def __init__(
        self, journal: Journal, backend: Backend, clock: Clock, planner: Planner, books: Bookkeeper
    ) -> None:
        self.account = Pacer()
        self.last_error: str | None = None
        """Why something was not committed, until the next reply."""
        self._journal = journal
        self._backend = backend
        self._clock = clock
        self._planner = planner
        self._books = books
        self._is_alone = backend.limits.batches_at_once == 1

    def fly(self, flight: Flight) -> None:
        """Gets *flight* on: afterwards it is over, or due again."""
        started_s = self._clock.now_s()
        try:
            if flight.job is None:
                launch = self._backend.submit(flight.orders)
            else:
                launch = self._backend.poll(flight.job, flight.orders)
        except MountfsError as error:
            self._interrupted(flight, error, started_s)
            return
        with self._journal.lock:
            self.account.succeeded(started_s)
            self.last_error = None
        flight.pacer.succeeded()
        if isinstance(launch, Running):
            self._wait_for(flight, launch)
        else:
            self._conclude(flight, launch.outcomes, started_s, launch.unused_sessions)

    def slow_down(self, error: MountfsError, started_s: float, flight: Flight | None = None) -> None:
        """Paces the account, or only *flight* where the others may well get through."""
        now_s, jitter = self._clock.now_s(), self._clock.jitter()
        if flight is None or self._is_alone or is_account_wide(error):
            with self._journal.lock:
                self.account.failed(error, started_s=started_s, now_s=now_s, jitter=jitter)
        else:
            flight.pacer.failed(error, started_s=started_s, now_s=now_s, jitter=jitter)
            flight.due_s = flight.pacer.ready_s

    # Replies

    def _wait_for(self, flight: Flight, running: Running) -> None:
        if running.job != flight.job:
            flight.job, flight.polls = running.job, 0
            with self._journal.transaction():
                for row in flight.rows:
                    now = self._journal.get(row.id)
                    if now is not None:
                        self._journal.amend(now, job=running.job)
        flight.faults = 0
        flight.due_s = self._clock.now_s() + poll_delay_s(flight.polls, running.retry_after_s)
        flight.polls += 1

    def _conclude(
        self, flight: Flight, outcomes: tuple[Outcome, ...], started_s: float, unused: tuple[str, ...] = ()
    ) -> None:
        verdicts, found = self._judge(flight, outcomes)
        self._pace(flight, verdicts, started_s)
        # What was found to stand there may be the work of somebody else, or of a commit whose reply was lost.
        unused += tuple(change.session for change in found if change.session is not None)
        self._books.book(verdicts, flight.carried, unused)
        self._planner.was_accepted(flight.kind, len(flight.changes))
        left = {change.id for change, verdict in verdicts if isinstance(verdict, Unknown)}
        if left:
            flight.keep(left, self._journal)
        else:
            flight.is_over = True

    def _judge(
        self, flight: Flight, outcomes: tuple[Outcome, ...]
    ) -> tuple[list[tuple[Change, Verdict]], list[Change]]:
        """A verdict for each change, and which of them were found done where the outcome left it open."""
        is_uncertain = flight.is_uncertain
        judged = [
            (change, judge(change, outcome, is_uncertain=is_uncertain))
            for change, outcome in zip(flight.changes, outcomes, strict=True)
        ]
        standing = look_up(self._backend, (change for change, verdict in judged if isinstance(verdict, Look)))
        verdicts: list[tuple[Change, Verdict]] = []
        found: list[Change] = []
        for change, verdict in judged:
            if not isinstance(verdict, Look):
                verdicts.append((change, verdict))
                continue
            seen = standing[change.id]
            if isinstance(seen, MountfsError):
                verdicts.append((change, Unknown(seen)))
            else:
                settled = judge_standing(change, verdict.error, seen, is_uncertain=is_uncertain)
                verdicts.append((change, settled))
                if isinstance(settled, Acknowledge):
                    found.append(change)
        return verdicts, found

    def _pace(self, flight: Flight, verdicts: list[tuple[Change, Verdict]], started_s: float) -> None:
        """Holds single changes back after a failure, or everything where all would fail."""
        for change, verdict in verdicts:
            if isinstance(verdict, Retry | Unknown):
                self.last_error = str(verdict.error)
                if isinstance(verdict, Unknown) or is_account_wide(verdict.error):
                    self.slow_down(verdict.error, started_s, flight)
                else:
                    self._planner.hold_back(change, verdict.error)

    # Trouble

    def _interrupted(self, flight: Flight, error: MountfsError, started_s: float) -> None:
        """The request as a whole failed."""
        self.last_error = str(error)
        if flight.job is not None:
            self._unanswered(flight, error, started_s)
            return
        is_definite = not isinstance(error, Offline | ServerFault)
        if isinstance(error, Transient | NotSignedIn):
            flight.is_uncertain = flight.is_uncertain or not is_definite
            if not flight.is_uncertain and not self._is_alone and not is_account_wide(error):
                # Its changes are held back, as each of them would be by its own outcome.
                self._conclude(flight, (error,) * len(flight.changes), started_s)
                return
            self.slow_down(error, started_s, flight)
            if flight.is_uncertain:
                return
        elif len(flight.changes) == 1:
            self._conclude(flight, (error,), started_s)
            return
        else:
            # Too big, or one entry poisons the others: smaller batches show which.
            LOG.info("a batch of %d is split: %s", len(flight.changes), error)
            self._planner.was_refused(flight.kind, len(flight.changes))
        self._books.take_back(flight.rows, error)
        flight.is_over = True

    def _unanswered(self, flight: Flight, error: MountfsError, started_s: float) -> None:
        """The question after a job failed; the job itself may be fine."""
        if not is_account_wide(error):
            flight.faults += 1
        if isinstance(error, SessionLost) or flight.faults >= JOB_FAULTS:
            flight.job, flight.is_uncertain, flight.faults = None, True, 0
            if isinstance(error, SessionLost):
                flight.due_s = self._clock.now_s()
                return
        self.slow_down(error, started_s, flight)
