"""The calls of an account, counted for all machines of a fleet."""

from __future__ import annotations

import pytest

from daemon.fleet.budget import ASKED_AGAIN_S, FleetBudget
from daemon.places.callbudget import AccountBudget
from mountfs.errors import Throttled, Unreachable
from mountfs.model.allowance import Allowance
from tests.doubles.fleetserver import MemoryFleet
from tests.fakes.clock import FakeClock

CALLS = Allowance("calls", 20, 20, 20)
UPLOADS = Allowance("uploads", 10, 10, 20, may_wait=True)
AWAY = Unreachable("redis://h cannot be reached")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def server(clock: FakeClock) -> MemoryFleet:
    return MemoryFleet(clock)


def budget(server: MemoryFleet, clock: FakeClock, *, may_go_alone: bool = False) -> FleetBudget:
    made = FleetBudget(AccountBudget(clock), clock, may_go_alone=may_go_alone)
    made.join(lambda: server)
    return made


def test_all_machines_have_one_budget(server: MemoryFleet, clock: FakeClock) -> None:
    one, other = budget(server, clock), budget(server, clock)
    assert [one.take((CALLS,)) for _ in range(12)] == [0.0] * 12
    assert [other.take((CALLS,)) for _ in range(9)] == [0.0] * 8 + [61.0]


def test_what_one_machine_was_told_holds_for_all(server: MemoryFleet, clock: FakeClock) -> None:
    one, other = budget(server, clock), budget(server, clock)
    assert [one.take((UPLOADS,)) for _ in range(11)] == [0.0] * 11
    one.refused((UPLOADS,), 5.0)
    assert other.take((CALLS,)) == 5.0
    assert other.take((UPLOADS,)) == 61.0


def test_before_it_is_known_whose_the_calls_are_this_machine_counts(clock: FakeClock) -> None:
    alone = FleetBudget(AccountBudget(clock), clock, may_go_alone=False)
    assert [alone.take((CALLS, UPLOADS)) for _ in range(10)] == [0.0] * 10


def test_while_the_server_is_away_uploads_wait_and_reads_go_on(server: MemoryFleet, clock: FakeClock) -> None:
    one = budget(server, clock)
    server.failure = AWAY
    with pytest.raises(Throttled, match="the fleet counts the uploads: redis://h") as told:
        one.take((CALLS, UPLOADS))
    assert told.value.retry_after_s == ASKED_AGAIN_S
    assert [one.take((CALLS,)) for _ in range(21)] == [0.0] * 20 + [61.0]
    assert server.asked["take"] == 1  # it is left alone for a while
    clock.advance(ASKED_AGAIN_S)
    server.failure = None
    assert one.take((CALLS, UPLOADS)) == 0.0
    assert server.asked["take"] == 2


def test_a_machine_that_may_counts_alone_meanwhile(server: MemoryFleet, clock: FakeClock) -> None:
    one = budget(server, clock, may_go_alone=True)
    server.failure = AWAY
    assert [one.take((CALLS, UPLOADS)) for _ in range(10)] == [0.0] * 10


def test_a_refusal_counts_also_while_the_server_is_away(server: MemoryFleet, clock: FakeClock) -> None:
    one = budget(server, clock, may_go_alone=True)
    server.failure = AWAY
    one.refused((UPLOADS,), 7.0)
    assert one.take((CALLS,)) == 7.0


def test_what_is_not_limited_waits_for_nobody(server: MemoryFleet, clock: FakeClock) -> None:
    free = Allowance("uploads", 10**6, 10**6, 10**6, may_wait=True)
    one = budget(server, clock)
    server.failure = AWAY
    assert one.take((free,)) == 0.0
