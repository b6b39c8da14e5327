"""What the machines of a fleet agree on, and the contract with whatever keeps it for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mountfs.model.allowance import Allowance

WAITS_S = 6.0
"""Who waits for the turn and is not heard of for so long has left the queue. It asks three times as often."""


@dataclass(frozen=True, slots=True)
class Member:
    """One mount in the fleet. ``id``: of this run of the mount, like no other; ``name``: for people;
    ``calls``: how many it made in the last minute."""

    id: str
    name: str
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Granted:
    """The turn is ours. ``token`` is larger than that of every turn before. ``job``: what the last holder ran
    when it was last heard of, if it did not give the turn back; "": nothing, as far as is known."""

    token: int
    job: str = ""


@dataclass(frozen=True, slots=True)
class Queued:
    """Others have it first: so many wait before us, and *holder* has the turn ("": nobody yet)."""

    before: int
    holder: str = ""


@dataclass(frozen=True, slots=True)
class Waiter:
    """A machine that waits for the turn, and since when."""

    name: str
    waited_s: float


@dataclass(frozen=True, slots=True)
class FleetView:
    """The fleet as ``mountfs status`` shows it; *calls* are of the last minute, by machine."""

    holder: str = ""
    held_s: float = 0.0
    waiting: tuple[Waiter, ...] = ()
    calls: tuple[tuple[str, int], ...] = ()


class FleetServer(Protocol):
    """Keeps the turn, the queue for it and the counts of calls of one account. Each call is one step that
    nobody else's comes between; any thread. Raises Offline, which leaves open whether it took effect, and
    Unreachable, of which it did not.

    A server that forgot everything gives no turn for a lease's time: meanwhile whoever holds one says so by
    ``renew``.
    """

    @property
    def lease_s(self) -> float:
        """How long a turn lasts that is not renewed. All machines of the fleet have the same."""

    def enter(self, me: Member) -> Granted | Queued:
        """Asks for the turn, and keeps our place in the queue. Asked again after a lost reply it gives the
        same turn again."""

    def renew(self, me: Member, token: int, job: str, *, is_live: bool = True) -> bool:
        """Keeps the turn for another lease's time, and says which job runs. False: somebody else has had it
        meanwhile, or its time is over (not *is_live*) and the server does not know it any more."""

    def leave(self, me: Member, token: int) -> None:
        """Gives back the turn, if *token* is its, and our place in the queue."""

    def report(self, me: Member) -> None:
        """Tells how many calls we made."""

    def look(self) -> FleetView: ...

    def take(self, wanted: tuple[Allowance, ...]) -> float:
        """``mountfs.ports.CallBudget.take``, of all machines together."""

    def refused(self, refused: tuple[Allowance, ...], retry_after_s: float) -> None:
        """``mountfs.ports.CallBudget.refused``."""

    def close(self) -> None:
        """Ends the connections."""
