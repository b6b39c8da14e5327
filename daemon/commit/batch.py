"""A batch that was sent, or is about to be: how far it got."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from mountfs.errors import MountfsError
from mountfs.model.order import Order, OrderKind
from mountfs.model.pacing import ALONE, Pacer
from mountfs.tree.launch import Sent
from mountfs.tree.node import Flight


@dataclass(frozen=True, slots=True)
class Current:
    """A running batch, for status."""

    kind: OrderKind
    entries: int
    since_s: float


@dataclass(slots=True, eq=False)
class Batch:
    """Flights of one kind with their orders by position, as the committer handles them."""

    sent: Sent
    orders: tuple[Order, ...]
    since_s: float
    is_filled: bool = True
    """Whether all that goes in it is in it."""
    is_launched: bool = False
    """Whether it was sent, for all that is known."""
    is_uncertain: bool = False
    """Whether it may have taken effect although nobody told us: before anything is sent again, the service is
    asked what stands where."""
    looks: int = 0
    """How often it was asked."""
    lost_s: float = 0.0
    """Since when it is uncertain."""
    due_s: float = 0.0
    sent_s: float | None = None
    """When it was sent the last time, by this process."""
    faults: int = 0
    """Failed questions after the job in a row."""
    pacer: Pacer = field(default_factory=Pacer)
    """For failures that concern nothing else."""
    asking: Pacer = field(default_factory=lambda: Pacer(ALONE))
    """For questions that the service fails at, although no other try can be under way any more."""
    error: MountfsError | None = None
    """Why it failed as a whole the last time, where that may be for one of its entries alone."""
    breaks: int = 0
    """How often a step broke off at it, by a bug as far as is known."""
    is_parked: bool = False
    """Whether no other batch waits for it: it is one entry at which steps break off, or the service fails to
    tell what stands at its places."""
    is_busy: bool = False
    """Whether a worker is at it."""
    is_over: bool = False

    @property
    def kind(self) -> OrderKind:
        return self.sent.kind

    @property
    def flights(self) -> list[Flight]:
        return self.sent.flights

    @property
    def is_waiting(self) -> bool:
        """Whether the service works on it, and nobody asks after it just now."""
        return self.sent.job is not None and not self.is_busy

    @property
    def current(self) -> Current:
        return Current(self.kind, len(self.flights), self.since_s)

    def halved(self, batch_id: int) -> Batch:
        """Gives the second half of its flights to a batch of their own, *batch_id*, as far on as this one.
        New folders made by the way stay with the half that has a file in them, the first if both have."""
        at = len(self.flights) // 2
        second = self.flights[at:]
        del self.flights[at:]
        above = {path.key for flight in self.flights for path in flight.place.path.ancestors()}
        carried = [each for each in self.sent.carried if each.place.path.key not in above]
        self.sent.carried = [each for each in self.sent.carried if each not in carried]
        other = replace(self, sent=Sent(batch_id, self.kind, second, carried), orders=self.orders[at:])
        other.pacer, other.asking, other.is_busy = Pacer(), Pacer(ALONE), False
        self.orders = self.orders[:at]
        return other

    def drop(self, flights: Iterable[Flight]) -> None:
        """*flights* are over; the others stay in it."""
        gone = {flight.id for flight in flights}
        pairs = [pair for pair in zip(self.flights, self.orders, strict=True) if pair[0].id not in gone]
        self.orders = tuple(order for _, order in pairs)
        self.sent.flights = [flight for flight, _ in pairs]

    def lose(self, now_s: float) -> None:
        """Nobody knows what came of it."""
        self.sent.job = None
        self.is_uncertain, self.looks, self.faults = True, 0, 0
        self.lost_s = now_s
