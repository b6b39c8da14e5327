"""What a reply to a batch means for each of its flights, and how that is booked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from daemon.commit.arrivals import ARRIVED, is_arrival
from daemon.commit.batch import Batch, places_above, sessions_of
from daemon.commit.lookup import has_left, look_back, look_up
from daemon.commit.verdicts import (
    Acknowledge,
    Beside,
    DropTime,
    GiveUp,
    Look,
    Overtaken,
    Rebase,
    Refuse,
    Retry,
    Reupload,
    Unknown,
    Verdict,
    has_taken_effect,
    is_in_vain,
    judge,
    judge_standing,
    leaves_open,
)
from mountfs.errors import Corrupt, MountfsError, NotADirectory, NotFound, Offline, Transient
from mountfs.model.entry import Folder
from mountfs.model.order import OrderKind
from mountfs.model.pacing import ALONE, USUAL, Pace, delay_s
from mountfs.ports import Backend, Clock, Outcome
from mountfs.tree.booking import Books
from mountfs.tree.childrows import held, unread_about
from mountfs.tree.late import note_unheard
from mountfs.tree.listings import Listings
from mountfs.tree.node import Flight, Node, Pending, path_of
from mountfs.tree.tree import Tree

LOG = logging.getLogger(__name__)

NOT_KNOWN_YET = Unknown(Offline("not known yet"))
SHORT_EACH_S = 1.0
"""Of files that somebody else has no room for one is tried in so long: their bytes travel each time."""
BOOKED_AT_ONCE = 100
"""Outcomes booked in one transaction: nobody waits for the lock longer than that takes (10 ms)."""


class Replies:
    """Judges and books flight by flight; how a batch is sent, waited for and paced is not known here."""

    def __init__(self, tree: Tree, listings: Listings, backend: Backend, books: Books, clock: Clock) -> None:
        self._tree = tree
        self._listings = listings
        self._backend = backend
        self._books = books
        self._clock = clock
        self._short: dict[int, Node] = {}
        """Files that were refused for want of room though the account has some, and were not taken since."""

    def judge(
        self, flights: Sequence[Flight], outcomes: Sequence[Outcome]
    ) -> tuple[list[Verdict], list[str]]:
        """A verdict for each flight, and the sessions of those that were found done where the outcome left it
        open: what stands there may be the work of somebody else, or of a commit whose reply was lost."""
        refusals = [_refusals(flight) for flight in flights]
        judged = [
            judge(flight, count, outcome)
            for flight, count, outcome in zip(flights, refusals, outcomes, strict=True)
        ]
        asked = [flight for flight, each in zip(flights, judged, strict=True) if isinstance(each, Look)]
        standing = look_up(self._backend, asked, self._clock.jitter())
        verdicts: list[Verdict] = []
        for flight, count, verdict in zip(flights, refusals, judged, strict=True):
            seen = standing.get(flight.id)
            if isinstance(seen, MountfsError):
                verdicts.append(Unknown(seen))
            elif is_arrival(self._tree, flight, verdict.entry if isinstance(verdict, Acknowledge) else seen):
                verdicts.append(Retry(ARRIVED))
            elif isinstance(verdict, Look):
                verdicts.append(judge_standing(flight, count, verdict.error, seen, verdict.stated))
            else:
                verdicts.append(verdict)
        verdicts = self._overtaken(flights, verdicts)
        asked_ids = {flight.id for flight in asked}
        done = [
            flight
            for flight, verdict in zip(flights, verdicts, strict=True)
            if flight.id in asked_ids and isinstance(verdict, Acknowledge | Overtaken)
        ]
        return verdicts, sessions_of(done)

    def _overtaken(self, flights: Sequence[Flight], verdicts: Sequence[Verdict]) -> list[Verdict]:
        """*verdicts*, but for files that would become conflicted copies and need not: the history of the file
        that has the name shows a version of ours, which somebody has replaced since."""
        beside = {
            flight.id: verdict.standing
            for flight, verdict in zip(flights, verdicts, strict=True)
            if isinstance(verdict, Beside)
        }
        found = look_back(self._backend, [flight for flight in flights if flight.id in beside], beside)
        return [found.get(flight.id, verdict) for flight, verdict in zip(flights, verdicts, strict=True)]

    def look(self, flights: Sequence[Flight], *, is_ended: bool) -> list[Acknowledge | Overtaken | Unknown]:
        """A verdict for each flight of a batch whose reply was lost, by what the service has at its place.

        *is_ended*: the batch cannot be running any more, so what has not taken effect will be sent again.
        Before that, the histories of the files are asked as well.
        """
        standing = look_up(self._backend, flights, self._clock.jitter())
        left: list[Flight] = []
        verdicts: dict[int, Acknowledge | Overtaken | Unknown] = {}
        for flight in flights:
            seen = standing[flight.id]
            if isinstance(seen, MountfsError):
                verdicts[flight.id] = Unknown(seen)
            elif is_arrival(self._tree, flight, seen):
                verdicts[flight.id] = NOT_KNOWN_YET
            elif has_taken_effect(flight, seen) or has_left(self._backend, flight, seen):
                verdicts[flight.id] = Acknowledge(seen)
            else:
                left.append(flight)
        if is_ended:
            verdicts |= look_back(self._backend, left, standing)
        return [verdicts.get(flight.id, NOT_KNOWN_YET) for flight in flights]

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
        for part in _steps(flights):
            moved = [flight for flight in part if not _stays(flight, verdict_on[flight.id])]
            self._book_step(part, lambda flight: self._book_one(flight, verdict_on[flight.id]), moved)
        self._look_for_removed(flights, verdict_on)

    def _look_for_removed(self, flights: Sequence[Flight], verdict_on: Mapping[int, Verdict]) -> None:
        """A file that was removed may stand elsewhere, by a rename of ours that had been given up, and whose
        news came before the removal had its outcome: the folder is listed, and the file removed there."""
        done = [flight for flight in flights if isinstance(verdict_on[flight.id], Acknowledge)]
        with self._tree.lock:
            ids = {self._tree.late.led_to(flight) for flight in done}
            folders = [self._tree.node(each) for each in ids if each is not None]
        for folder in folders:
            if folder is not None:
                self._listings.try_relist(folder)

    def hold_back(self, node: Node, error: MountfsError | None, pace: Pace = USUAL) -> None:
        """Keeps *node* waiting, and no other, after it failed. *error* may say for how long; None: nothing
        does, or that time is over."""
        retry_after_s = error.retry_after_s if isinstance(error, Transient) else None
        with self._tree.lock:
            pending = node.pending
            if pending is not None:
                wait_s = delay_s(pending.attempts + 1, retry_after_s, self._clock.jitter(), pace)
                pending.held_until_s = self._clock.now_s() + wait_s

    def hold_short(self, node: Node, error: MountfsError) -> None:
        """The same for want of somebody else's room: ever longer, and the longer the more files there are."""
        self.hold_back(node, error, ALONE)
        with self._tree.lock:
            for first in [*islice(self._short.values(), 2)]:
                del self._short[first.id]
                if first.pending is not None:  # else it was removed meanwhile
                    self._short[first.id] = first
            self._short[node.id] = node
            pending = node.pending
            if pending is not None:
                least_s = self._clock.now_s() + SHORT_EACH_S * len(self._short)
                pending.held_until_s = max(pending.held_until_s, least_s)

    def note_taken(self, nodes: Iterable[Node]) -> None:
        """The service took *nodes*. Was there no room for one of them before, the others may fit by now."""
        with self._tree.lock:
            if not any(self._short.pop(node.id, None) for node in nodes):
                return
            others, self._short = self._short, {}
            for node in others.values():
                if node.pending is not None:
                    node.pending.held_until_s = Pending.held_until_s
                    self._tree.planner.touch(node)

    def relist_lost_parents(self, flights: Sequence[Flight], verdicts: Sequence[Verdict]) -> None:
        """Where the service has no folder for something any more, the folder above that one is listed: it
        tells what became of it. An answer that cannot be looked into now does not count as a no. The folder
        itself, where an earlier order of ours has put something there."""
        above: dict[int, tuple[Node, list[Node]]] = {}
        arrived: dict[int, Node] = {}
        for flight, verdict in zip(flights, verdicts, strict=True):
            error = verdict.error if isinstance(verdict, Retry | Rebase) else None
            if error is ARRIVED and flight.parent is not None:
                arrived[flight.parent.id] = flight.parent
            if not isinstance(error, NotFound | NotADirectory):
                continue
            with self._tree.lock:
                state = flight.node.state
                places = [flight.parent.state.base_parent if flight.parent is not None else None]
                places += [state.base_parent] if flight.kind is OrderKind.MOVE else []
            for folder in places:
                if folder is not None:
                    above.setdefault(folder.id, (folder, []))[1].append(flight.node)
        for folder in arrived.values():
            self._listings.try_relist(folder)
        for folder, nodes in above.values():
            if not self._listings.try_relist(folder):
                with self._tree.lock:
                    for node in nodes:
                        if node.pending is not None:
                            node.pending.refusals = max(0, node.pending.refusals - 1)

    # What becomes of a batch

    def give_up_removals(self, batch: Batch, spared: Sequence[Flight]) -> None:
        """Takes the removals *spared* out of the batch: they are not sent, and what was to be removed is
        shown again."""
        for part in _steps(spared):
            self._book_step(part, lambda flight: self._books.give_up_removal(flight, None), part)
            batch.drop(part)
        self.keep(batch, batch.flights)

    def take_back(self, batch: Batch) -> None:
        """Ends a batch that was not sent, or of which nothing was carried out."""
        for part in _steps(batch.flights):
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
            self.hold_back(flight.node, None, ALONE if is_guilty else USUAL)
            if batch.error is not None:
                _halve_next_batch(flight.node, entries)
            self._note_unheard(flight)
            self._again(flight, error)

        for part in _steps(flights):
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
            case Retry(error):
                if leaves_open(error):
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
            case GiveUp(standing):
                books.give_up_removal(flight, standing)
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
        for part in _steps([folder for folder in carried if folder.place.path.key in made]):
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
        for part in _steps([folder for folder in reversed(carried) if folder.place.path.key not in kept]):
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


def _steps(flights: Sequence[Flight]) -> Iterator[Sequence[Flight]]:
    return (flights[at : at + BOOKED_AT_ONCE] for at in range(0, len(flights), BOOKED_AT_ONCE))


def _halve_next_batch(node: Node, entries: int) -> None:
    """Lets *node* go only into batches of half of *entries*, the size of its batch that failed as a whole.
    Not after its first failure: one failure of a batch does not mean that one of its nodes is to blame."""
    pending = node.pending
    if pending is not None and pending.attempts:
        pending.most_together = max(1, entries // 2)


def _refusals(flight: Flight) -> int:
    return 0 if flight.node.pending is None else flight.node.pending.refusals
