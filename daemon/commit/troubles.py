"""What keeps an account from committing: told in its status, and waited for before the next request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from daemon.commit.batch import Batch
from daemon.commit.heldback import HeldBack
from daemon.commit.verdicts import Acknowledge, Overtaken, Rebase, Retry, Reupload, Unknown, Verdict
from mountfs.errors import MountfsError, NotADirectory, NotFound
from mountfs.model.order import MAKES_A_FILE, OrderKind
from mountfs.model.pacing import Pacer, is_account_wide
from mountfs.model.pausing import Pause, is_full
from mountfs.model.troublelog import TroubleLog
from mountfs.ports import Clock
from mountfs.tree.node import Flight
from mountfs.tree.tree import Tree

IN_A_ROW = 24
"""Where orders of one kind have failed for so many files or folders, each by itself, and no order of that
kind was answered since, the service fails at the kind. Twice as many as are sent side by side."""


class Troubles:
    """Decides how far an error reaches: one node, one batch, or all that the account commits. Any thread;
    ``account_pacer`` is guarded by the tree's lock."""

    def __init__(
        self, tree: Tree, clock: Clock, pause: Pause, held_back: HeldBack, *, is_alone: bool
    ) -> None:
        """*is_alone*: batches go one at a time, so that what delays one of them delays the account."""
        self.account_pacer = Pacer()
        self.last_error: str | None = None
        """Why something was not committed, until the next reply."""
        self._tree = tree
        self._clock = clock
        self._pause = pause
        self._held = held_back
        self._is_alone = is_alone
        self._log = TroubleLog("commits", patience=2)
        self._in_a_row: defaultdict[OrderKind, set[int]] = defaultdict(set)
        """Nodes at which such orders failed since the last reply to one; no more than IN_A_ROW are kept."""
        self._all: defaultdict[OrderKind, Pacer] = defaultdict(Pacer)
        """Of all such orders that fail alone, once all do."""

    def held_until_s(self, kind: OrderKind) -> float:
        """When the next batch of *kind* may leave, and the next question after one that nothing is known of.
        Each that fails waits by itself for minutes, but of 100,000 some would be due at any time. Under the
        lock.

        By kind, since bytes go to a host of their own: where that fails, renames and removals take effect.
        Each would wait for all files that are older, and would have these tried more often by its success.
        """
        return self._all[kind].ready_s

    def tell(self, batch: Batch, error: MountfsError) -> None:
        """*batch* met *error* as a whole: status shows that for each of its nodes until the next attempt."""
        self.last_error = str(error)
        with self._tree.lock:
            self._log.failed(error)
            for flight in [*batch.flights, *batch.sent.carried]:
                self._tree.note_error(flight.node, str(error))

    def succeeded(self, kind: OrderKind, started_s: float) -> None:
        """The service answered a request about orders of *kind*."""
        with self._tree.lock:
            self.account_pacer.succeeded(started_s)
            self._in_a_row.pop(kind, None)
            self._all.pop(kind, None)
            self.last_error = None

    def gets_on(self) -> None:
        """Notes that an order took effect and was booked: the trouble is over."""
        with self._tree.lock:
            self._log.succeeded()

    def slow_down(self, error: MountfsError, started_s: float, batch: Batch) -> None:
        """Paces the account, or *batch* alone if other batches may well get through."""
        now_s, jitter = self._clock.now_s(), self._clock.jitter()
        if self._is_alone or is_account_wide(error):
            with self._tree.lock:
                self.account_pacer.failed(error, started_s=started_s, now_s=now_s, jitter=jitter)
        else:
            batch.pacer.failed(error, started_s=started_s, now_s=now_s, jitter=jitter)
            batch.due_s = batch.pacer.ready_s
            self.failed_alone(error, started_s, batch)

    def failed_alone(self, error: MountfsError, started_s: float, batch: Batch) -> None:
        """*batch* met *error*, and waits by itself: others may well get through, unless all fail."""
        now_s, jitter = self._clock.now_s(), self._clock.jitter()
        with self._tree.lock:
            failed = self._in_a_row[batch.kind]
            if len(failed) < IN_A_ROW:
                failed.update(flight.node.id for flight in batch.flights[:IN_A_ROW])
            else:
                self._all[batch.kind].failed(error, started_s=started_s, now_s=now_s, jitter=jitter)

    def pace(
        self, batch: Batch, flights: Sequence[Flight], verdicts: Sequence[Verdict], started_s: float
    ) -> None:
        """Holds single nodes back after a failure, or the whole account where every order would fail."""
        has_succeeded = any(isinstance(each, Acknowledge | Overtaken) for each in verdicts)
        if has_succeeded and flights[0].kind in MAKES_A_FILE:
            with self._tree.lock:
                self._pause.succeeded()
            judged = zip(flights, verdicts, strict=True)
            self._held.note_taken(
                flight.node for flight, each in judged if isinstance(each, Acknowledge | Overtaken)
            )
        for flight, verdict in zip(flights, verdicts, strict=True):
            if not isinstance(verdict, Retry | Rebase | Reupload | Unknown):
                continue
            error = verdict.error
            self.last_error = str(error)
            if is_full(error):
                if not self._pause_for([flight], error, started_s):
                    self._held.hold_short(flight.node, error)
            elif isinstance(verdict, Unknown) or is_account_wide(error):
                self.slow_down(error, started_s, batch)
            elif isinstance(verdict, Retry):
                self._held.hold_back(flight.node, error)
            elif isinstance(verdict, Rebase) and isinstance(error, NotFound | NotADirectory):
                # Its folder is gone: this thread asks what became of that before others send it again.
                self._held.hold_back(flight.node, error)

    def _pause_for(self, flights: Sequence[Flight], error: MountfsError, started_s: float) -> bool:
        """The account is full, and would refuse all other files as well. False: it is not."""
        smallest = min((each.content.size_bytes for each in flights if each.content is not None), default=0)
        with self._tree.lock:
            return self._pause.begin(error, smallest, started_s=started_s, now_s=self._clock.now_s())
