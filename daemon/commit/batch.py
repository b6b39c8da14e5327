"""A batch that was sent, or is about to be, and how far it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from mountfs.errors import MountfsError
from mountfs.model.order import Order, OrderKind
from mountfs.model.pacing import ALONE, Pacer
from mountfs.tree.launch import Sent
from mountfs.tree.node import Flight

NAMED = 3
"""So many entries of a running batch are named by status."""


@dataclass(frozen=True, slots=True)
class Current:
    """A running batch, for status."""

    kind: OrderKind
    entries: int
    paths: tuple[str, ...] = ()
    """The paths of some of its entries."""
    id: int = 0
    """The batch's id, as `mountfs log PATH` shows it for each of its files."""


@dataclass(slots=True, eq=False)
class Batch:
    """Flights of one kind with their orders by position, as the committer handles them."""

    sent: Sent
    orders: tuple[Order, ...]
    since_s: float
    is_filled: bool = True
    """Whether all flights that belong to it are in it."""
    is_launched: bool = False
    """Whether it was sent, as far as is known."""
    is_uncertain: bool = False
    """Whether its reply was lost, so that it may have taken effect: before anything is sent again, the
    service is asked what stands at its targets."""
    looks: int = 0
    """How often the service was asked that."""
    lost_s: float = 0.0
    """Since when it is uncertain."""
    due_s: float = 0.0
    sent_s: float | None = None
    """When it was sent the last time, by this process."""
    accepted_s: float | None = None
    """When the service's reply to the last launch named its job; None: it has not yet."""
    ran_s: float | None = None
    """When the service last said of that job that it runs; None: it has not yet."""
    faults: int = 0
    """Polls that failed in a row."""
    pacer: Pacer = field(default_factory=Pacer)
    """For failures that concern this batch alone."""
    asking: Pacer = field(default_factory=lambda: Pacer(ALONE))
    """For looks that fail although no earlier launch can be running any more."""
    error: MountfsError | None = None
    """Why it failed as a whole the last time, if one of its entries may be to blame."""
    breaks: int = 0
    """How often a step raised an exception that nobody expects."""
    is_parked: bool = False
    """Whether no other batch waits for it: it is down to one entry at which steps raise, or the service fails
    to tell what stands at its targets."""
    is_busy: bool = False
    """Whether a worker has it."""
    is_over: bool = False

    @property
    def kind(self) -> OrderKind:
        return self.sent.kind

    @property
    def flights(self) -> list[Flight]:
        return self.sent.flights

    @property
    def is_waiting(self) -> bool:
        """Whether the service works on it, and no worker polls it just now."""
        return self.sent.job is not None and not self.is_busy

    @property
    def current(self) -> Current:
        paths = tuple(flight.place.path.text for flight in self.flights[:NAMED])
        return Current(self.kind, len(self.flights), paths, self.sent.id)

    def halved(self, batch_id: int) -> Batch:
        """Moves the second half of its flights to a new batch, *batch_id*, which is as far as this one. A new
        folder made by the way goes with a file in it, and stays if both halves have one."""
        at = len(self.flights) // 2
        second = self.flights[at:]
        del self.flights[at:]
        above = {path.key for flight in self.flights for path in flight.place.path.ancestors()}
        carried = [each for each in self.sent.carried if each.place.path.key not in above]
        self.sent.carried = [each for each in self.sent.carried if each not in carried]
        for flight in second:
            flight.batch = batch_id
        other = replace(self, sent=Sent(batch_id, self.kind, second, carried), orders=self.orders[at:])
        other.pacer, other.asking, other.is_busy = Pacer(), Pacer(ALONE), False
        self.orders = self.orders[:at]
        return other

    def drop(self, flights: Iterable[Flight]) -> None:
        """Takes out *flights*, which have their outcomes."""
        gone = {flight.id for flight in flights}
        pairs = [pair for pair in zip(self.flights, self.orders, strict=True) if pair[0].id not in gone]
        self.orders = tuple(order for _, order in pairs)
        self.sent.flights = [flight for flight, _ in pairs]

    def mark_uncertain(self, now_s: float) -> None:
        """Makes the batch uncertain: its reply was lost."""
        self.sent.job = None
        self.is_uncertain, self.looks, self.faults = True, 0, 0
        self.lost_s = now_s


def sessions_of(flights: Iterable[Flight]) -> list[str]:
    """The upload sessions of flights that were found done."""
    contents = (flight.content for flight in flights)
    return [content.session for content in contents if content is not None and content.session]


def places_above(flights: Iterable[Flight]) -> set[str]:
    """The folders above the places of *flights*, by folded path; those of many are looked at once."""
    found: set[str] = set()
    for key in {flight.place.path.key.rpartition("/")[0] for flight in flights}:
        above = key
        while above and above not in found:
            found.add(above)
            above = above.rpartition("/")[0]
    return found
