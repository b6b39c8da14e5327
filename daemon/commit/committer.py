"""The background committer: ready nodes to batches, batches to the service, outcomes to the tree."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from daemon.commit.accountlock import AccountLock
from daemon.commit.batch import Batch, Current
from daemon.commit.batchsizes import BatchSizes
from daemon.commit.choosing import Moment, Queue, choose
from daemon.commit.orders import orders_of
from daemon.commit.planlooks import PlanLooks
from daemon.commit.sender import Sender
from daemon.commit.turn import NoTurn, Turn
from mountfs.errors import Internal, NotSignedIn, Offline
from mountfs.model.comeback import Comeback
from mountfs.model.order import MAKES_A_FILE, Order, OrderKind
from mountfs.model.pacing import ALONE, delay_s
from mountfs.model.pausing import Pause
from mountfs.ports import Backend, Clock
from mountfs.spool.spool import Spool
from mountfs.tree.booking import Books
from mountfs.tree.copynames import CopyNames
from mountfs.tree.database import MACHINE_TROUBLE
from mountfs.tree.launch import Sent, fill, launch
from mountfs.tree.listings import Listings
from mountfs.tree.plan import Plan
from mountfs.tree.settling import quiet_in_s
from mountfs.tree.tree import Tree
from mountfs.upload.uploader import Uploader
from mountfs.upload.urgency import Urgency

LOCK_RETRY_S = 0.25
"""How often the account's file lock is asked for while another process has it."""
BREAKS = 3
"""So many steps may raise at a batch before it is halved; one more at each half."""


class Committer:
    """``limits.batches_at_once`` threads call ``step``. ``wake`` is set by the assembly, wakes them, and may
    be called under the lock.

    A batch is written to the store before it is sent, so that the process after a crash knows what may have
    taken effect. Batches on their way never overlap: a node on its way keeps nodes waiting whose places it
    touches.
    """

    def __init__(
        self,
        tree: Tree,
        plan: Plan,
        listings: Listings,
        backend: Backend,
        spool: Spool,
        *,
        clock: Clock,
        urgency: Urgency,
        uploads: Uploader,
        lock_path: Path,
        copies: CopyNames,
        settle_s: float,
        stranded: Sequence[Sent],
        pause: Pause,
        turn: Turn | None,
    ) -> None:
        """*stranded*: the batches that a former process left. *pause*: while it is on, no file is sent.
        *turn*: where batches go one at a time; None: the lock of *lock_path*, among this machine's mounts."""
        limits = backend.limits
        self.wake: Callable[[], None] = lambda: None
        self.on_batch: Callable[[Current], None] = lambda _current: None
        self._tree = tree
        self._plan = plan
        self._backend = backend
        self._spool = spool
        self._clock = clock
        self._urgency = urgency
        self._uploads = uploads
        self._settle_s = settle_s
        self._is_alone = limits.batches_at_once == 1
        self._turn: Turn = (turn or AccountLock(lock_path)) if self._is_alone else NoTurn()
        books = Books(tree, listings, copies, places_bind=limits.sessions_have_places)
        self._pause = pause
        self._sizes = BatchSizes(limits.batch_entries)
        self._sender = Sender(
            tree, listings, backend, books, clock, pause=pause, sizes=self._sizes, turn=self._turn
        )
        self._comeback = Comeback(self._sender.troubles.account_pacer)
        self._asked: OrderKind | None = None
        """The kind of the batch that waits for the account's turn; None: none waits."""
        self._looks = PlanLooks(plan)
        self._batches: list[Batch] = [self._taken_up(sent) for sent in stranded if sent.flights]
        self._unsend(stranded, books)
        plan.wake = lambda: self.wake()  # noqa: PLW0108 - it is set later
        plan.is_hurried = lambda: urgency.is_pressing
        urgency.watch(self._hurry)

    @property
    def current(self) -> tuple[Current, ...]:
        """The batches under way, the oldest first."""
        with self._tree.lock:
            return tuple(batch.current for batch in self._batches)

    @property
    def awaited_lock(self) -> Path | None:
        """The account's lock, while another process holds it and so keeps this one from committing."""
        return self._turn.refused

    @property
    def awaited_turn(self) -> str:
        """What else keeps this one from committing, in words."""
        return self._turn.awaited

    @property
    def is_offline(self) -> bool:
        """Whether the far side did not answer the last time."""
        return isinstance(self._sender.troubles.account_pacer.error, Offline)

    @property
    def refused_login(self) -> NotSignedIn | None:
        """The service's answer, while it does not take the credentials."""
        error = self._sender.troubles.account_pacer.error
        return error if isinstance(error, NotSignedIn) else None

    @property
    def last_error(self) -> str | None:
        """What keeps nodes from being committed, in one line, while something does."""
        with self._tree.lock:
            errors = [
                self._sender.troubles.account_pacer.error,
                *(batch.pacer.error for batch in self._batches),
            ]
        return next((str(error) for error in errors if error), self._sender.troubles.last_error)

    def answered(self) -> None:
        """The service has answered somebody. Any thread."""
        self._comeback.answered(self._tree.lock, self._clock.now_s, self.wake)

    # Working

    def step(self, now_s: float) -> float:
        """Does what is due of one batch under way, or sends the next one."""
        batch: Batch | None = None
        was_parked = False
        try:
            self._plan.lose_folders(now_s)
            found = self._find(now_s)
            self._plan.bugs.tell()
            if not isinstance(found, Batch):
                return now_s if self._plan.has_lost else found
            batch = found
            if not self._is_alone:
                self.wake()  # the others take what else there is, and mind when it is due
            if not batch.is_filled:
                self._fill(batch, now_s)
            was_parked, batch.is_parked = batch.is_parked, False
            self._sender.advance(batch)
        except BaseException as error:
            try:
                if batch is not None and not batch.is_over:
                    batch.is_parked = was_parked
                    self._broke_off(batch, error)
            finally:
                self._land(batch)
            raise
        return self._land(batch)

    def close(self) -> None:
        """Lets go of the account's lock; what is under way is taken up by the next process."""
        with self._tree.lock:
            self._batches.clear()
        self._turn.release()

    # Inside

    def _find(self, now_s: float) -> Batch | float:
        """A batch for the calling thread alone, or when to look again."""
        due_s = math.inf
        with self._tree.lock:
            planned_s = self._looks.look(now_s)
            if self._sender.troubles.account_pacer.ready_s > now_s:
                return min(self._sender.troubles.account_pacer.ready_s, planned_s)
            for batch in self._batches:
                batch_due_s = batch.due_s
                if batch.is_parked:
                    batch_due_s = max(batch_due_s, self._sender.troubles.held_until_s(batch.kind))
                if not batch.is_busy and batch_due_s <= now_s:
                    if not self._turn.try_take():
                        return now_s + LOCK_RETRY_S
                    batch.is_busy = True
                    self._looks.leave()
                    return batch
                due_s = min(due_s, math.inf if batch.is_busy else batch_due_s)
            # Where several run at once, those that the service works on keep no other one waiting.
            held = [each for each in self._batches if self._is_alone or not each.is_waiting]
            held = [each for each in held if not each.is_parked]
            if len(held) >= self._backend.limits.batches_at_once:
                return min(due_s, planned_s)
            found = self._next(now_s, is_planning=self._looks.is_under_way)
            if isinstance(found, Batch):
                self._looks.leave()
        return found if isinstance(found, Batch) else min(due_s, planned_s, found)

    def _next(self, now_s: float, *, is_planning: bool) -> Batch | float:
        """The next batch, on its way from here on, or when there may be one. *is_planning*: the plan has not
        come to all nodes yet, so more may be ready."""
        if self._pause.is_held:
            return math.inf
        held_s = self._held_s(now_s)
        queues = {
            kind: Queue(self._plan.ready.count(kind), self._plan.ready.oldest_s(kind), most)
            for kind, most in self._sizes.most.items()
            if kind not in held_s and not (kind in MAKES_A_FILE and self._pause.stops_files)
        }
        quiet_s = max(0.0, quiet_in_s(self._tree, self._settle_s))
        # Names that have settled since the last look are as near as bytes on their way.
        is_filling = self._uploads.has_small or self._plan.has_changed or self._plan.due_s <= now_s
        is_hurried = self._urgency.is_pressing
        moment = Moment(now_s, quiet_s, self._sender.job_s, is_hurried, is_filling, is_planning)
        chosen = choose(queues, moment, is_side_by_side=not self._is_alone)
        if not isinstance(chosen, OrderKind):
            asked = self._asked_for(queues)
            if asked is None:
                return min(chosen, *held_s.values(), math.inf)
            chosen = asked
        if not self._turn.try_take():
            self._asked = chosen
            return now_s + LOCK_RETRY_S
        self._asked = None
        sent = launch(self._tree, self._plan, chosen, self._sizes.most[chosen], now_s)
        if sent is None:
            self._release_if_idle()
            return now_s
        batch = Batch(sent, (), now_s, is_filled=False, is_busy=True)
        self._batches.append(batch)
        return batch

    def _held_s(self, now_s: float) -> dict[OrderKind, float]:
        """The kinds of which the service fails at all orders, and when the next one may leave."""
        if self._is_alone:
            return {}
        held_s = {kind: self._sender.troubles.held_until_s(kind) for kind in self._sizes.most}
        return {kind: until_s for kind, until_s in held_s.items() if until_s > now_s}

    def _asked_for(self, queues: Mapping[OrderKind, Queue]) -> OrderKind | None:
        """The kind of the batch that waits for the turn, while something of it is ready. It does not wait for
        files that begin to go up meanwhile: who stops asking loses his place in the queue."""
        asked = self._asked
        if asked is not None and (asked not in queues or not queues[asked].count):
            self._asked = None
        return self._asked

    def _fill(self, batch: Batch, now_s: float) -> None:
        """Adds the rest of a batch, a part at a time."""
        while fill(self._tree, self._plan, batch.sent, self._sizes.most[batch.kind], now_s):
            pass
        self._plan.bugs.tell()
        batch.orders = self._orders(batch.sent)
        batch.is_filled = True
        self.on_batch(batch.current)

    def _broke_off(self, batch: Batch, error: BaseException) -> None:
        """A step of *batch* raised what nobody expects. The store knows what may have been sent, so the
        service is asked. A batch at which steps raise again and again is halved, down to the entry that is to
        blame; that one is tried from time to time."""
        with self._tree.lock:
            now_s = self._clock.now_s()
            if batch.is_launched:
                batch.mark_uncertain(now_s)
            batch.due_s = now_s + LOCK_RETRY_S
            told = Internal.of(error)
            self._sender.troubles.tell(batch, told)
            if isinstance(error, MACHINE_TROUBLE):
                return
            batch.error = told.bare()
            batch.breaks += 1
            if batch.breaks < BREAKS or not batch.is_filled:
                return
            if len(batch.flights) == 1:
                batch.is_parked = True
                batch.due_s = now_s + delay_s(batch.breaks - BREAKS + 1, None, self._clock.jitter(), ALONE)
                return
            batch.breaks = BREAKS - 1
            half = batch.halved(self._tree.store.next_id())
            self._batches.append(half)
            with self._tree.transaction():  # if not: a restart takes both up as one
                self._tree.store.move_flights([*half.flights, *half.sent.carried], half.sent.id)

    def _land(self, batch: Batch | None) -> float:
        """The calling thread is done with *batch* for now; when to step again."""
        with self._tree.lock:
            if batch is not None:
                batch.is_busy = False
                self._turn.note_job("" if batch.is_over else batch.sent.job or "")
                if batch.is_over and batch in self._batches:
                    self._batches.remove(batch)
            self._release_if_idle()
            held = [each for each in self._batches if self._is_alone and not each.is_parked]
            return max(self._clock.now_s(), min((each.due_s for each in held), default=-math.inf))

    def _release_if_idle(self) -> None:
        """A parked batch waits for minutes and has no job: meanwhile other processes may commit."""
        if all(batch.is_parked for batch in self._batches):
            self._turn.release()

    def _orders(self, sent: Sent) -> tuple[Order, ...]:
        return orders_of(sent, self._tree, self._spool, self._backend.limits)

    def _taken_up(self, sent: Sent) -> Batch:
        batch = Batch(sent, self._orders(sent), self._clock.now_s(), is_launched=True)
        if sent.job is None:
            batch.mark_uncertain(self._clock.now_s() - LOCK_RETRY_S)
        return batch

    def _unsend(self, stranded: Sequence[Sent], books: Books) -> None:
        """Ends the flights of new folders whose files all had their outcomes."""
        with self._tree.transaction():
            for sent in stranded:
                if not sent.flights:
                    for folder in sent.carried:
                        books.unsent(folder)

    def _hurry(self) -> None:
        self._plan.hurry()
        self.wake()
