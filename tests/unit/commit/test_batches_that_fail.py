"""A batch fails as a whole, again and again, for one of its entries: the others get through, and that one is
tried from time to time."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from daemon.commit.accountlock import AccountLock
from mountfs.errors import Internal, ServerFault
from mountfs.model.order import Order, OrderKind
from mountfs.ports import BackendLimits, Clock, Launch
from mountfs.tree import launch, order, plan
from mountfs.tree.booking import Books
from mountfs.tree.node import Flight, Node
from mountfs.tree.view import reason_of
from tests.doubles.crew import Crew
from tests.doubles.world import World

COUNT = 30
GUILTY = "/f11"


class Trouble:
    """Something that raises for the guilty file while ``is_on``."""

    def __init__(self, error: Exception) -> None:
        self.is_on = True
        self.raised = 0
        self.raised_s: list[float] = []
        """When, where ``clock`` is set."""
        self.clock: Clock | None = None
        self._error = error

    def look(self, names: Sequence[str]) -> None:
        if self.is_on and GUILTY.strip("/") in names:
            self.raised += 1
            if self.clock is not None:
                self.raised_s.append(self.clock.now_s())
            raise copy.copy(self._error)


def in_the_service(world: World, trouble: Trouble, _monkeypatch: pytest.MonkeyPatch) -> None:
    submit = world.backend.submit

    def submitting(orders: Sequence[Order]) -> Launch:
        trouble.look([each.place.path.name for each in orders])
        return submit(orders)

    world.backend.submit = submitting  # type: ignore[method-assign]


def after_it_took_effect(world: World, trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    acknowledge = Books.acknowledge

    def acknowledging(books: Books, flight: Flight, entry: Any) -> None:
        trouble.look([flight.name])
        acknowledge(books, flight, entry)

    monkeypatch.setattr(Books, "acknowledge", acknowledging)


def before_it_is_sent(world: World, trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    make = launch._flight_of

    def making(flight_id: int, node: Node, kind: Any) -> Flight:
        trouble.look([node.state.name])
        return make(flight_id, node, kind)

    monkeypatch.setattr(launch, "_flight_of", making)


def while_it_is_planned(world: World, trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    decide = order.next_step

    def deciding(node: Node, limits: BackendLimits) -> OrderKind | None:
        trouble.look([node.state.name])
        return decide(node, limits)

    monkeypatch.setattr(plan, "next_step", deciding)


PLACES = [in_the_service, after_it_took_effect, before_it_is_sent, while_it_is_planned]
ERRORS = [KeyError("a bug"), ServerFault("500")]
CASES = [
    (place, error) for place in PLACES for error in ERRORS if place is in_the_service or error is ERRORS[0]
]


@pytest.mark.parametrize(("place", "error"), CASES, ids=lambda each: getattr(each, "__name__", repr(each)))
def test_the_others_get_through_and_the_guilty_one_follows_once_it_can(
    world: World, monkeypatch: pytest.MonkeyPatch, place: Any, error: Exception
) -> None:
    trouble = Trouble(error)
    place(world, trouble, monkeypatch)
    crew = Crew(world)
    for number in range(COUNT):
        world.put(f"/f{number}", f"{number}".encode())
    crew.work(lambda: [path for path, _ in world.pending()] == [GUILTY], most_s=300.0)
    assert trouble.raised
    told = str(error) if isinstance(error, ServerFault) else str(Internal.of(error))
    if place is not while_it_is_planned:
        crew.work(lambda: reason_of(world.node(GUILTY)) == told)
        assert [node.id for node in world.core.tree.troubled.values()] == [world.node(GUILTY).id]

    begun_s = world.clock.now_s()
    world.put("/later", b"later")
    crew.work(lambda: [path for path, _ in world.pending()] == [GUILTY])
    assert world.clock.now_s() - begun_s < 60.0

    raised, begun_s = trouble.raised, world.clock.now_s()
    crew.work(lambda: world.clock.now_s() - begun_s > 600.0, most_s=700.0)
    assert 1 <= trouble.raised - raised <= 80
    trouble.is_on = False
    crew.work(lambda: world.pending() == [], most_s=700.0)
    assert len(world.account.files()) == COUNT + 1
    assert {world.revisions_of(path) for path in world.account.files()} == {1}
    assert world.notices() == []
    assert world.core.committer.current == ()
    assert not world.core.tree.troubled


def waits_of(trouble: Trouble, world: World, seconds: float) -> list[float]:
    """The seconds between the tries that fail in so many seconds."""
    trouble.clock, crew, begun_s = world.clock, Crew(world), world.clock.now_s()
    crew.work(lambda: world.clock.now_s() - begun_s > seconds, most_s=2.0 * seconds, most_turns=20_000)
    return [after_s - before_s for before_s, after_s in pairwise(trouble.raised_s)]


def test_a_file_at_which_steps_break_off_waits_twice_as_long_each_time_up_to_five_minutes(
    batches: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Trouble(KeyError("a bug"))
    after_it_took_effect(batches, trouble, monkeypatch)
    for number in range(COUNT):
        batches.put(f"/f{number}", b"1")
    waits_s = waits_of(trouble, batches, 2000.0)
    assert waits_s[:5] == pytest.approx([0.25] * 5, abs=0.01)
    assert waits_s[5] < 2.0  # however many halves it took to find it
    assert sorted(waits_s) == pytest.approx(waits_s, abs=0.01)
    assert waits_s[-5:] == pytest.approx([225.0] * 5, abs=0.01)


def test_an_order_that_the_service_fails_at_alone_waits_ever_longer_up_to_five_minutes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Trouble(ServerFault("500"))
    in_the_service(world, trouble, monkeypatch)
    world.put(GUILTY, b"11")
    waits_s = waits_of(trouble, world, 4000.0)
    assert len(waits_s) > 10
    assert waits_s[0] < 15.0
    assert all(225.0 <= waited_s <= 300.0 for waited_s in waits_s[-5:])


def test_a_pause_that_the_service_asks_for_is_kept_to_by_an_order_that_fails_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Trouble(ServerFault("503", retry_after_s=100.0))
    in_the_service(world, trouble, monkeypatch)
    world.put(GUILTY, b"11")
    waits_s = waits_of(trouble, world, 300.0)
    assert waits_s
    assert 100.0 <= waits_s[0] < 120.0


def test_other_processes_of_the_account_commit_while_one_keeps_a_file_at_which_steps_break_off(
    batches: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble, crew = Trouble(KeyError("a bug")), Crew(batches)
    after_it_took_effect(batches, trouble, monkeypatch)
    batches.put(GUILTY, b"11")
    crew.work(lambda: trouble.raised == 3)
    raised_at_s: list[float] = []
    free_at_s: list[float] = []
    begun_s = batches.clock.now_s()

    def look() -> bool:
        now_s, another = batches.clock.now_s(), AccountLock(batches.places.commit_lock)
        if another.try_take():
            free_at_s.append(now_s)
            another.release()
        if trouble.raised > 3 + len(raised_at_s):
            raised_at_s.append(now_s)
        return now_s - begun_s > 1000.0

    crew.work(look, most_s=1100.0)
    assert len(raised_at_s) >= 4
    assert all(any(a < free_s < b for free_s in free_at_s) for a, b in pairwise([begun_s, *raised_at_s]))


def test_a_file_at_which_steps_break_off_waits_for_its_try_while_another_process_commits(
    batches: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble, crew = Trouble(KeyError("a bug")), Crew(batches)
    after_it_took_effect(batches, trouble, monkeypatch)
    batches.put(GUILTY, b"11")
    crew.work(lambda: trouble.raised == 3)
    another = AccountLock(batches.places.commit_lock)
    assert another.try_take()
    begun_s = batches.clock.now_s()
    crew.work(lambda: batches.clock.now_s() - begun_s > 60.0)
    assert trouble.raised == 3
    another.release()
    trouble.is_on = False
    crew.work(lambda: batches.pending() == [], most_s=1.0)
    assert batches.revisions_of(GUILTY) == 1


def test_halves_of_a_batch_are_taken_up_by_the_next_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Trouble(KeyError("a bug"))
    after_it_took_effect(world, trouble, monkeypatch)
    crew = Crew(world)
    world.mkdir("/d")
    for number in range(COUNT):
        world.put(f"/f{number}", f"{number}".encode())
        world.put(f"/d/g{number}", f"{number}".encode())
    crew.work(lambda: trouble.raised >= 4)
    assert GUILTY in [path for path, _ in world.pending()]
    trouble.is_on = False
    world.restart()
    Crew(world).work(lambda: world.pending() == [])
    assert len(world.account.files()) == 2 * COUNT
    assert {world.revisions_of(path) for path in world.account.files()} == {1}
    assert world.core.tree.store.flights() == []
