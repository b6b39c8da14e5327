"""Times that a service does not keep as they are asked for: each is asked for once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.model.entry import NS_PER_S
from mountfs.model.order import Order, OrderKind, Put, SetTime
from mountfs.ports import Launch
from tests.doubles.memory import MemoryBackend
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS, MemoryAccount
from tests.doubles.world import World
from tests.unit.commit.scenarios import sent

BEFORE_1970_NS = -(10**9) - 7
AFTER_9999_NS = 300_000_000_000 * NS_PER_S
THEN_NS = 1_500_000_007 * NS_PER_S + 5


class Opinionated(MemoryBackend):
    """A service that makes other times of some."""

    made: Callable[[int], int]

    def submit(self, orders: Sequence[Order]) -> Launch:
        return super().submit(
            [
                replace(order, mtime_ns=self.made(order.mtime_ns))
                if isinstance(order, SetTime | Put)
                else order
                for order in orders
            ]
        )


def world_whose_service(tmp_path: Path, made: Callable[[int], int]) -> World:
    account = MemoryAccount(SIDE_BY_SIDE_LIMITS)
    backend = Opinionated(account)
    backend.made = made
    return World(tmp_path, account, limits=SIDE_BY_SIDE_LIMITS, backend=backend)


@pytest.mark.parametrize("mtime_ns", [BEFORE_1970_NS, AFTER_9999_NS])
def test_a_time_out_of_the_services_range_is_kept_here_and_asked_for_once(
    tmp_path: Path, mtime_ns: int
) -> None:
    latest_ns = 253_402_300_799 * NS_PER_S
    world = world_whose_service(tmp_path, lambda asked_ns: min(max(asked_ns, 0), latest_ns))
    world.put("/f", b"x")
    world.settle()
    world.touch("/f", mtime_ns)
    world.settle(60)
    assert world.pending() == []
    assert world.fs.getattr("/f").mtime_ns == mtime_ns
    world.put("/g", b"y")
    world.touch("/g", mtime_ns)
    world.settle(60)
    world.restart()
    assert world.fs.getattr("/f").mtime_ns == world.fs.getattr("/g").mtime_ns == mtime_ns
    assert [path for kind, path in sent(world) if kind is OrderKind.SET_TIME] == ["/f"]


def test_a_time_of_which_the_service_makes_another_is_asked_for_once_and_given_up(tmp_path: Path) -> None:
    world = world_whose_service(tmp_path, lambda asked_ns: asked_ns // (60 * NS_PER_S) * 60 * NS_PER_S)
    world.put("/f", b"x")
    world.settle(60)
    world.touch("/f", THEN_NS)
    world.settle(60)
    assert world.pending() == []
    assert world.fs.getattr("/f").mtime_ns == THEN_NS // (60 * NS_PER_S) * 60 * NS_PER_S
    assert "its new time is not sent: the service keeps another" in world.notices()


@pytest.mark.parametrize("mtime_ns", [BEFORE_1970_NS, AFTER_9999_NS])
def test_a_time_that_others_set_replaces_one_that_is_out_of_the_services_range(
    tmp_path: Path, mtime_ns: int
) -> None:
    latest_ns = 253_402_300_799 * NS_PER_S
    world = world_whose_service(tmp_path, lambda asked_ns: min(max(asked_ns, 0), latest_ns))
    world.put("/f", b"x")
    world.touch("/f", mtime_ns)
    world.settle(60)
    world.account.write("/f", b"x", THEN_NS)
    world.follow()
    world.names()
    world.settle(60)
    then_s = THEN_NS // NS_PER_S * NS_PER_S
    assert world.file("/f").mtime_ns == world.fs.getattr("/f").mtime_ns == then_s
    assert sent(world)[-1][0] is OrderKind.PUT
