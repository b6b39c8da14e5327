"""Books what becomes of a batch: flight by flight, and the new folders that its files make by the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from daemon.commit.arrivals import ARRIVED
from daemon.commit.batch import Batch, places_above
from daemon.commit.heldback import HeldBack
from daemon.commit.relisting import look_for_removed
from daemon.commit.verdicts import (
    OTHERS_BYTES,
    Acknowledge,
    Beside,
    DropTime,
    GiveUp,
    Overtaken,
    Rebase,
    Refuse,
    Retry,
    Reupload,
    Unknown,
    Verdict,
    is_in_vain,
    leaves_open,
)
from mountfs.errors import Corrupt, MountfsError, Offline
from mountfs.model.entry import Folder
from mountfs.model.order import OrderKind
from mountfs.model.pacing import ALONE, USUAL
from mountfs.ports import Backend
from mountfs.tree.booking import Books
from mountfs.tree.childrows import held, unread_about
from mountfs.tree.chunks import chunks
from mountfs.tree.late import note_unheard
from mountfs.tree.listings import Listings
from mountfs.tree.node import Flight, Node, path_of
from mountfs.tree.tree import Tree

BOOKED_AT_ONCE = 100
"""Outcomes booked in one transaction: nobody waits for the lock longer than that takes (10 ms)."""


class BatchBooks:
    """Takes flights off their batch as they are booked; a batch without any is over. How a batch is sent,
    waited for and judged is not known here."""

    def __init__(
        self, tree: Tree, listings: Listings, backend: Backend, books: Books, held_back: HeldBack
    ) -> None:
        self._tree = tree
        self._listings = listings
        self._backend = backend
        self._books = books
        self._held = held_back

    def book(
        self, batch: Batch, flights: Sequence[Flight], verdicts: Sequence[Verdict], unused: Sequence[str]
    ) -> None:
        """Books all verdicts of a reply, BOOKED_AT_ONCE at a time. After a crash in between the service is
        asked what came of the others."""
        # Folders first: what is put into them is then known to stand in one.
        self._book_carried(batch, flights, verdicts)
        if unused:
            with self._tree.transaction():
                for session in unused:
                    self._tree.add_orphan(session)
        verdict_on = {flight.id: verdict for flight, verdict in zip(flights, verdicts, strict=True)}
        for part in chunks(flights, BOOKED_AT_ONCE):
            moved = [flight for flight in part if not _stays(flight, verdict_on[flight.id])]
            self._book_step(part, lambda flight: self._book_one(flight, verdict_on[flight.id]), moved)
        done = [flight for flight in flights if isinstance(verdict_on[flight.id], Acknowledge)]
        look_for_removed(self._tree, self._listings, done)

    def give_up_removals(self, batch: Batch, spared: Sequence[Flight]) -> None:
        """Takes the removals *spared* out of the batch: they are not sent, and what was to be removed is
        shown again."""
        for part in chunks(spared, BOOKED_AT_ONCE):
            self._book_step(
                part, lambda flight: self._books.give_up_removal(flight, None, OTHERS_BYTES), part
            )
            batch.drop(part)
        self.keep(batch, batch.flights)

    def put_off(self, batch: Batch, filled: Sequence[Flight]) -> None:
        """Takes removals out of the batch of folders in which files of ours have arrived late: these are
        removed first."""

        def book(flight: Flight) -> None:
            self._held.hold_back(flight.node, None)
            self._books.again(flight, ARRIVED)

        for part in chunks(filled, BOOKED_AT_ONCE):
            self._book_step(part, book)
            batch.drop(part)
        self.keep(batch, batch.flights)

    def take_back(self, batch: Batch) -> None:
        """Ends a batch that was not sent, or of which nothing was carried out."""
        for part in chunks(batch.flights, BOOKED_AT_ONCE):
            self._book_step(part, self._books.unsent)
            batch.drop(part)
        self._unsend_carried(batch)
        batch.is_over = True

    def keep(self, batch: Batch, flights: Sequence[Flight]) -> None:
        """Ends the batch but for *flights*, which go on as a batch of their own, without the job."""
        kept = {flight.id for flight in flights}
        batch.drop([flight for flight in batch.flights if flight.id not in kept])
        if not flights:
            self._unsend_carried(batch)
            batch.is_over = True
            return
        with self._tree.transaction():
            batch.sent = replace(batch.sent, id=self._tree.store.next_id(), job=None)
            self._tree.store.move_flights([*flights, *batch.sent.carried], batch.sent.id)

    def again(self, batch: Batch, flights: Sequence[Flight]) -> None:
        """Ends *flights* of the batch, which took no effect: what their nodes want by now is sent.

        If the service failed at the batch as a whole, one of its nodes may be to blame. So they go in batches
        of half the size, and a node whose batch fails with it alone waits for longer.
        """
        error = batch.error or Offline("an earlier try was not answered, and took no effect")
        entries = len(batch.flights)
        is_guilty = batch.error is not None and entries == 1

        def book(flight: Flight) -> None:
            self._held.hold_back(flight.node, None, ALONE if is_guilty else USUAL)
            if batch.error is not None:
                _halve_next_batch(flight.node, entries)
            self._note_unheard(flight)
            self._again(flight, error)

        for part in chunks(flights, BOOKED_AT_ONCE):
            self._book_step(part, book)
            batch.drop(part)
        self._unsend_carried(batch)
        batch.is_over = not batch.flights

    # Inside

    def _book_step(
        self, flights: Sequence[Flight], book: Callable[[Flight], None], moved: Sequence[Flight] = ()
    ) -> None:
        """*moved*: those of *flights* whose nodes may get another place by that. The folders that it takes
        are read before."""
        with self._tree.lock:
            folders = {each.id: each for flight in moved for each in unread_about(flight.node)}
        with held(self._tree, folders.values()), self._tree.transaction():
            for flight in flights:
                if flight.node.state.flight is flight:  # if not: booked before something broke off
                    book(flight)
            self._tree.late.save()

    def _book_one(self, flight: Flight, verdict: Verdict) -> None:
        books = self._books
        match verdict:
            case Acknowledge(entry):
                self._tree.late.forget(flight, entry)
                books.acknowledge(flight, entry)
            case Overtaken(ours, standing):
                self._tree.late.forget(flight)
                books.acknowledge_overtaken(flight, ours, standing)
            case Retry(error, may_arrive):
                if may_arrive or leaves_open(error):
                    self._note_unheard(flight)
                self._again(flight, error)
            case Rebase(error, standing):
                books.again_over(flight, error, standing)
            case Reupload(error, standing):
                if isinstance(error, Corrupt):
                    self._tree.notice(path_of(flight.node), f"sent again: {error}")
                books.resend(flight, error, standing)
            case Beside(standing):
                books.set_beside(flight, standing)
            case Refuse(error):
                books.refuse(flight, error)
            case GiveUp(standing, why):
                books.give_up_removal(flight, standing, why)
            case DropTime(reason):
                books.drop_time(flight, reason)
            case Unknown():
                pass

    def _again(self, flight: Flight, error: MountfsError) -> None:
        if is_in_vain(flight, error):
            self._books.resend(flight, error)
        else:
            self._books.again(flight, error)

    def _note_unheard(self, flight: Flight) -> None:
        """Keeps the hash of the version that *flight* was to make: the service may still be at work on it."""
        is_copy = flight.kind is OrderKind.COPY
        self._tree.late.note(flight, self._tree.by_remote_id(flight.item_id) if is_copy else None)
        note_unheard(flight, carries_times=self._backend.limits.carries_times)

    def _book_carried(self, batch: Batch, flights: Sequence[Flight], verdicts: Sequence[Verdict]) -> None:
        """Books the new folders that files of the batch make by the way. A folder is made if any file in it
        was; if no file's outcome is known, nor is the folder's."""
        if not batch.sent.carried:
            return
        judged = list(zip(flights, verdicts, strict=True))
        made = places_above(flight for flight, each in judged if isinstance(each, Acknowledge | Overtaken))
        unknown = places_above(flight for flight, each in judged if isinstance(each, Unknown)) - made
        carried = batch.sent.carried
        for part in chunks((each for each in carried if each.place.path.key in made), BOOKED_AT_ONCE):
            self._book_step(part, lambda folder: self._books.acknowledge(folder, Folder("", folder.name)))
        self._unsend_carried(batch, made | unknown)
        batch.sent.carried = [
            folder
            for folder in carried
            if folder.place.path.key in unknown and folder.node.state.flight is folder
        ]

    def _unsend_carried(self, batch: Batch, above: set[str] | None = None) -> None:
        """Ends the flights of new folders that no file makes by the way: those that are not *above* one, by
        folded path; None: above one that is left in the batch."""
        carried = batch.sent.carried
        if not carried:
            return
        kept = places_above(batch.flights) if above is None else above
        # The deepest first, so that none is on its way into one that is not.
        unsent = (each for each in reversed(carried) if each.place.path.key not in kept)
        for part in chunks(unsent, BOOKED_AT_ONCE):
            self._book_step(part, self._books.unsent)
        batch.sent.carried = [folder for folder in carried if folder.place.path.key in kept]


def _stays(flight: Flight, verdict: Verdict) -> bool:
    """Whether the node of *flight* stays where it is when the verdict is booked, as it does nearly always."""
    state = flight.node.state
    if flight.kind is not OrderKind.DELETE and state.parent is None:
        return False  # a version that nobody here has seen is shown again
    if isinstance(verdict, Acknowledge):
        return verdict.entry is None or verdict.entry.name == flight.name
    return isinstance(verdict, Retry | Rebase | Reupload | DropTime | Unknown)


def _halve_next_batch(node: Node, entries: int) -> None:
    """Lets *node* go only into batches of half of *entries*, the size of its batch that failed as a whole.
    Not after its first failure: one failure of a batch does not mean that one of its nodes is to blame."""
    pending = node.pending
    if pending is not None and pending.attempts:
        pending.most_together = max(1, entries // 2)
