"""What a reply to a batch, or its loss, means for each of its flights."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.commit.arrivals import ARRIVED, is_arrival, may_go, moved_into
from daemon.commit.batch import sessions_of
from daemon.commit.lookup import has_left, look_back, look_up
from daemon.commit.verdicts import (
    Acknowledge,
    Beside,
    GiveUp,
    Look,
    Overtaken,
    Retry,
    Unknown,
    Verdict,
    has_taken_effect,
    judge,
    judge_standing,
    leaves_open,
)
from mountfs.errors import MountfsError, Offline
from mountfs.ports import Backend, Clock, Outcome
from mountfs.tree.node import Flight
from mountfs.tree.tree import Tree

NOT_KNOWN_YET = Unknown(Offline("not known yet"))


class Replies:
    """Judges flight by flight. Where a reply leaves open what took effect, the service is asked what stands
    there, without the lock. Nothing is changed here."""

    def __init__(self, tree: Tree, backend: Backend, clock: Clock) -> None:
        self._tree = tree
        self._backend = backend
        self._clock = clock

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
                continue
            stood = verdict.entry if isinstance(verdict, Acknowledge) else seen
            is_moved = isinstance(verdict, Look) and moved_into(self._tree, flight, seen) is not None
            if is_moved or is_arrival(self._tree, flight, stood):
                may_arrive = isinstance(verdict, Look) and leaves_open(verdict.error)
                verdicts.append(Retry(ARRIVED, may_arrive))
            elif isinstance(verdict, GiveUp) and may_go(self._tree, flight):
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
            elif is_arrival(self._tree, flight, seen) or moved_into(self._tree, flight, seen):
                verdicts[flight.id] = NOT_KNOWN_YET
            elif has_taken_effect(flight, seen) or has_left(self._backend, flight, seen):
                verdicts[flight.id] = Acknowledge(seen)
            else:
                left.append(flight)
        if is_ended:
            verdicts |= look_back(self._backend, left, standing)
        return [verdicts.get(flight.id, NOT_KNOWN_YET) for flight in flights]


def _refusals(flight: Flight) -> int:
    return 0 if flight.node.pending is None else flight.node.pending.refusals
