"""Carries one batch to its end: sends it, polls its job, and looks what stands there if a reply is lost."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from daemon.commit.arrivals import may_go
from daemon.commit.batch import Batch, sessions_of
from daemon.commit.batchbooks import BatchBooks
from daemon.commit.batchsizes import BatchSizes
from daemon.commit.heldback import HeldBack
from daemon.commit.jobcost import JobCost
from daemon.commit.lookup import filled_folders
from daemon.commit.patience import LOOKS, Patience
from daemon.commit.polling import JOB_FAULTS, longest_run_s, poll_delay_s
from daemon.commit.relisting import relist_lost_parents
from daemon.commit.replies import NOT_KNOWN_YET, Replies
from daemon.commit.troubles import Troubles
from daemon.commit.turn import Turn
from daemon.commit.verdicts import (
    Acknowledge,
    Overtaken,
    Unknown,
    leaves_open,
)
from mountfs.errors import (
    Internal,
    MountfsError,
    NotPassedOn,
    NotSignedIn,
    RequestTooBig,
    ServerFault,
    SessionLost,
    Transient,
)
from mountfs.model.order import OrderKind
from mountfs.model.pacing import is_account_wide
from mountfs.model.pausing import Pause, is_full
from mountfs.ports import Backend, Clock, Outcome, Running
from mountfs.tree.booking import Books
from mountfs.tree.listings import Listings
from mountfs.tree.node import Flight
from mountfs.tree.tree import Tree

LOG = logging.getLogger(__name__)


class Sender:
    """Each call of ``advance`` makes at most one request of the batch's own. Several threads may each advance
    a batch. ``troubles`` paces all of them."""

    def __init__(
        self,
        tree: Tree,
        listings: Listings,
        backend: Backend,
        books: Books,
        clock: Clock,
        *,
        pause: Pause,
        sizes: BatchSizes,
        turn: Turn,
    ) -> None:
        self._is_alone = backend.limits.batches_at_once == 1
        held_back = HeldBack(tree, clock)
        self.troubles = Troubles(tree, clock, pause, held_back, is_alone=self._is_alone)
        self._sizes = sizes
        self._turn = turn
        self._tree = tree
        self._listings = listings
        self._backend = backend
        self._clock = clock
        self._patience = Patience(is_alone=self._is_alone)
        self._cost = JobCost()
        self._replies = Replies(tree, backend, clock)
        self._books = BatchBooks(tree, listings, backend, books, held_back)

    @property
    def job_s(self) -> float:
        """What a job costs whatever is in it, in seconds."""
        return self._cost.fixed_s

    def advance(self, batch: Batch) -> None:
        """Does the next step of *batch*: afterwards the batch is over, or has a time when it is due again."""
        started_s = self._clock.now_s()
        if batch.is_uncertain:
            self._look(batch, started_s)
            return
        if batch.sent.job is None and not self._spare_filled_folders(batch, started_s):
            return
        if batch.sent.job is None and not batch.is_over and not self._turn.is_held:  # it was lost meanwhile
            self._books.take_back(batch)
        if batch.is_over:
            return
        try:
            if batch.sent.job is None:
                batch.is_launched, batch.sent_s = True, started_s
                batch.accepted_s = batch.ran_s = None
                launch = self._backend.submit(batch.orders)
            else:
                launch = self._backend.poll(batch.sent.job, batch.orders)
        except MountfsError as error:
            self._interrupted(batch, error, started_s)
            return
        self.troubles.succeeded(batch.kind, started_s)
        batch.pacer.succeeded()
        if isinstance(launch, Running):
            self._wait_for(batch, launch)
        else:
            self._conclude(batch, launch.outcomes, started_s, launch.unused_sessions)

    # Before it is sent

    def _spare_filled_folders(self, batch: Batch, started_s: float) -> bool:
        """Gives up the removal of folders that are not empty, where the service would remove their contents
        as well. False: the service does not tell now what is in them, and nothing was sent."""
        is_asked = batch.kind is OrderKind.DELETE and self._backend.limits.deletes_recursively
        folders = [flight for flight in batch.flights if is_asked and flight.node.is_folder]
        if not folders:
            return True
        try:
            filled = filled_folders(self._backend, folders)
        except MountfsError as error:
            self.troubles.tell(batch, error)
            self.troubles.slow_down(error, started_s, batch)
            self._books.take_back(batch)
            return False
        late: list[Flight] = []
        spared: list[Flight] = []
        for flight in filled:
            (late if may_go(self._tree, flight) else spared).append(flight)
        if spared:
            self._books.give_up_removals(batch, spared)
        if late:
            self._books.put_off(batch, late)
        for flight in late:
            self._listings.try_relist(flight.node)
        return True

    # Replies

    def _wait_for(self, batch: Batch, running: Running) -> None:
        longest_s = longest_run_s(is_alone=self._is_alone)
        if self._clock.now_s() - batch.since_s >= longest_s:
            told = f"the service is still at work on it after {longest_s / 60.0:.0f} min"
            self.troubles.tell(batch, ServerFault(told))
            self._wait_for_earlier_launch(batch)
            return
        if running.job != batch.sent.job:
            batch.sent.job = running.job
            with self._tree.transaction():
                self._tree.store.set_job(batch.sent.id, running.job)
        batch.faults = 0
        now_s, expected_s = self._clock.now_s(), self._cost.expected_s(len(batch.flights))
        batch.ran_s = now_s
        if batch.accepted_s is None:
            batch.accepted_s = batch.since_s if batch.sent_s is None else now_s
        taken_s = now_s - batch.accepted_s
        batch.due_s = now_s + poll_delay_s(taken_s, expected_s, running.retry_after_s)

    def _conclude(
        self, batch: Batch, outcomes: Sequence[Outcome], started_s: float, unused: Sequence[str] = ()
    ) -> None:
        flights = batch.flights
        if all(self._patience.is_behind_itself(outcome) for outcome in outcomes):
            self._wait_for_earlier_launch(batch)
            return
        self._patience.answered()
        if batch.sent_s is not None and not all(isinstance(each, MountfsError) for each in outcomes):
            now_s = self._clock.now_s()
            # The job counts from the reply that named it: a slow reply would have the next job polled late.
            began_s = batch.sent_s if batch.accepted_s is None else batch.accepted_s
            ran_s = None if batch.ran_s is None else batch.ran_s - began_s
            self._cost.took(len(flights), now_s - began_s, ran_s)
            self._patience.job_took(now_s - batch.sent_s)
        too_big = [outcome for outcome in outcomes if isinstance(outcome, RequestTooBig)]
        if len(too_big) == len(flights) > 1:
            self._split(batch, too_big[0])
            return
        verdicts, found_done = self._replies.judge(flights, outcomes)
        self.troubles.pace(batch, flights, verdicts, started_s)
        self._books.book(batch, flights, verdicts, [*unused, *found_done])
        self._sizes.grow(batch.kind, len(flights))
        if any(isinstance(verdict, Acknowledge | Overtaken) for verdict in verdicts):
            self.troubles.gets_on()
        relist_lost_parents(self._tree, self._listings, flights, verdicts)
        left = [flight for flight, each in zip(flights, verdicts, strict=True) if isinstance(each, Unknown)]
        if left:
            self._books.keep(batch, left)
            batch.mark_uncertain(self._clock.now_s())
        else:
            batch.is_over = True

    # Trouble

    def _interrupted(self, batch: Batch, error: MountfsError, started_s: float) -> None:
        """The request as a whole failed: what becomes of the batch.

        a poll failed                              polled again (``_poll_failed``)
        the reply to the launch is lost, or 5xx    uncertain: ``_look`` asks what stands there
        busy with an earlier launch of ours        likewise, once that must have ended
        throttled, busy, not signed in             sent again later
        not passed on, and more than one order     smaller batches: the service never got this one
        the account is full, copies are refused    that is the outcome of each order
        anything else                              smaller batches, down to the entry that is to blame
        """
        if isinstance(error, Transient | NotSignedIn):
            self.troubles.tell(batch, error)
        else:
            self.troubles.last_error = str(error)
        if isinstance(error, ServerFault | Internal):
            batch.error = error.bare()
        if batch.sent.job is not None:
            self._poll_failed(batch, error, started_s)
            return
        if self._patience.is_behind_itself(error):
            self.troubles.slow_down(error, started_s, batch)
            self._wait_for_earlier_launch(batch)
        elif isinstance(error, NotPassedOn) and len(batch.flights) > 1:
            self._split(batch, error)
        elif leaves_open(error):
            # From now on, since nobody knows when the service got the request: it may begin just now.
            batch.mark_uncertain(self._clock.now_s())
            self.troubles.slow_down(error, started_s, batch)
            batch.due_s = max(batch.due_s, self._clock.now_s() + self._patience.look_delay_s(batch.looks))
        elif isinstance(error, Transient | NotSignedIn):
            if not self._is_alone and not is_account_wide(error):
                # Its nodes are held back, as each of them would be by its own outcome.
                self._conclude(batch, (error,) * len(batch.flights), started_s)
                return
            self.troubles.slow_down(error, started_s, batch)
            self._books.take_back(batch)
        elif is_full(error) or len(batch.flights) == 1 or self._is_told_of_all(batch, error):
            self._conclude(batch, (error,) * len(batch.flights), started_s)
        else:
            self._split(batch, error)

    def _is_told_of_all(self, batch: Batch, error: MountfsError) -> bool:
        """Whether *error* is the outcome of every order in *batch*. So it is with copies, unless the request
        was too big: no smaller batch is tried, since their bytes can go up."""
        return batch.kind is OrderKind.COPY and not isinstance(error, RequestTooBig)

    def _split(self, batch: Batch, error: MountfsError) -> None:
        """The request was too big, or one entry makes it fail: smaller batches show which."""
        LOG.info("a batch of %d is split: %s", len(batch.flights), error)
        self._sizes.shrink(batch.kind, len(batch.flights))
        self.troubles.tell(batch, error)
        self._books.take_back(batch)

    def _wait_for_earlier_launch(self, batch: Batch) -> None:
        """The service is busy with something, perhaps with an earlier launch of this batch: the batch is not
        sent again before that must have ended."""
        self._patience.unanswered()
        self._lose_job(batch)
        batch.due_s = max(batch.due_s, self._clock.now_s() + self._patience.look_delay_s(batch.looks))

    def _poll_failed(self, batch: Batch, error: MountfsError, started_s: float) -> None:
        """A poll failed; the job itself may be fine."""
        if not is_account_wide(error):
            batch.faults += 1
        if isinstance(error, SessionLost) or batch.faults >= JOB_FAULTS:
            self._lose_job(batch)
            if isinstance(error, SessionLost):
                batch.due_s = self._clock.now_s()
                return
        self.troubles.slow_down(error, started_s, batch)

    def _lose_job(self, batch: Batch) -> None:
        """Nothing more will be heard of the job of *batch*: the service is asked what stands at its targets,
        by the next process too."""
        batch.mark_uncertain(self._clock.now_s())
        with self._tree.transaction():
            self._tree.store.set_job(batch.sent.id, None)

    def _look(self, batch: Batch, started_s: float) -> None:
        """The reply to the batch was lost: asks the service what stands at its targets, and books what took
        effect."""
        verdicts = self._replies.look(batch.flights, is_ended=self._is_ended(batch, started_s))
        untold = {
            flight.id: verdict.error
            for flight, verdict in zip(batch.flights, verdicts, strict=True)
            if isinstance(verdict, Unknown) and verdict is not NOT_KNOWN_YET
        }
        judged = list(zip(batch.flights, verdicts, strict=True))
        done = [flight for flight, each in judged if not isinstance(each, Unknown)]
        if done:
            left = [flight for flight, each in judged if isinstance(each, Unknown)]
            self._books.book(batch, list(batch.flights), verdicts, sessions_of(done))
            self._books.keep(batch, left)
            self.troubles.gets_on()
            if batch.is_over:
                self.troubles.succeeded(batch.kind, started_s)
                return
            batch.lost_s = started_s  # it gets on: the rest may be to come
            self._patience.answered()
        self._looked(batch, untold, started_s)

    def _is_ended(self, batch: Batch, started_s: float) -> bool:
        """Whether the first try cannot be under way any more."""
        return started_s - batch.lost_s >= self._patience.ends_in_s(len(batch.flights))

    def _looked(self, batch: Batch, untold: Mapping[int, MountfsError], started_s: float) -> None:
        """None of the flights that are left in *batch* is seen to have taken effect. For those in *untold*
        the service failed to tell. Once the first launch must have ended, the others are sent again; those in
        *untold* wait apart, so that no other batch waits for them."""
        is_ended = self._is_ended(batch, started_s)
        wide = next((error for error in untold.values() if is_account_wide(error)), None)
        if wide is not None or (untold and not is_ended):
            error = wide or next(iter(untold.values()))
            self.troubles.tell(batch, error)
            self.troubles.slow_down(error, started_s, batch)
            batch.due_s = max(batch.due_s, self._clock.now_s() + LOOKS.first_s)
            return
        with self._tree.lock:
            self.troubles.account_pacer.succeeded(started_s)
        batch.looks += 1
        if not is_ended:
            batch.due_s = self._clock.now_s() + self._patience.look_delay_s(batch.looks)
            return
        left = [flight for flight in batch.flights if flight.id not in untold]
        if left:
            self._patience.unanswered()
            self._books.again(batch, left)
        self.troubles.last_error = None if batch.error is None else str(batch.error)
        if untold:
            self._park(batch, next(iter(untold.values())), started_s)

    def _park(self, batch: Batch, error: MountfsError, started_s: float) -> None:
        """The service answers other questions, but fails at each one after *batch*: it is asked ever more
        rarely, and no other batch waits."""
        now_s = self._clock.now_s()
        self.troubles.tell(batch, error)
        batch.asking.failed(error, started_s=started_s, now_s=now_s, jitter=self._clock.jitter())
        self.troubles.failed_alone(error, started_s, batch)
        batch.is_parked, batch.due_s = True, batch.asking.ready_s
