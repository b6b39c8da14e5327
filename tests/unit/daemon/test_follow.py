"""What others change at the service is heard of, and shown."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.upkeep.follow import LOOK_S, PAGES_AT_ONCE, POLL_S, Follower
from mountfs.errors import Offline, ServerFault
from tests.doubles.world import World
from tests.unit.daemon.fakes import PATIENCE_S

FRESH_S = 5.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, settings={"fresh_s": FRESH_S})
    world.account.write("/a", b"x")
    yield world
    world.close()


def step(world: World) -> float:
    return world.core.follower.step(world.clock.now_s())


def listings_of(world: World) -> int:
    """How often the service is asked for a listing when somebody looks at the root."""
    before = world.memory.calls().get("list_folder", 0)
    world.names()
    return world.memory.calls().get("list_folder", 0) - before


def test_while_changes_are_reported_a_listing_is_trusted_beyond_its_time(world: World) -> None:
    step(world)
    assert listings_of(world) == 1
    world.advance(3600.0)
    assert listings_of(world) == 0
    assert world.names() == {"a"}


def test_a_remote_change_is_seen(world: World) -> None:
    step(world)
    assert world.names() == {"a"}
    world.account.remove("/a")
    step(world)
    assert world.names() == set()


def test_what_was_listed_before_following_is_listed_again(world: World) -> None:
    assert world.names() == {"a"}
    world.account.write("/b", b"y")  # before the position that is followed from: nobody reports it
    step(world)
    assert world.names() == {"a", "b"}


def test_while_the_service_is_away_what_is_known_is_shown(world: World) -> None:
    step(world)
    assert world.names() == {"a"}
    world.memory.is_online = False
    due_s = step(world)
    assert due_s > world.clock.now_s()
    assert world.core.follower.last_error == "nobody is at the memory account's address"
    world.advance(3600.0)
    assert listings_of(world) == 0
    assert world.names() == {"a"}


def test_while_changes_are_not_reported_nothing_is_trusted_for_long(world: World) -> None:
    step(world)
    assert world.names() == {"a"}
    world.backend.fail("wait_for_changes", ServerFault("500"))
    step(world)
    world.advance(FRESH_S - 1.0)
    assert listings_of(world) == 0
    world.account.write("/b", b"y")
    world.advance(2.0)
    assert world.names() == {"a", "b"}


def test_what_changed_meanwhile_is_caught_up_with_before_anything_is_trusted(world: World) -> None:
    step(world)
    assert world.names() == {"a"}
    world.backend.fail("wait_for_changes", Offline("cut"))
    step(world)
    world.account.write("/b", b"y")
    world.advance(60.0)
    step(world)
    assert world.core.follower.last_error is None
    assert world.names() == {"a", "b"}
    world.advance(3600.0)
    assert listings_of(world) == 0


def test_the_next_process_catches_up_from_where_the_last_one_was(world: World) -> None:
    step(world)
    assert world.names() == {"a"}
    world.restart()
    world.account.write("/b", b"y")
    assert listings_of(world) == 0
    step(world)
    assert world.names() == {"a", "b"}
    world.advance(3600.0)
    assert listings_of(world) == 0


def test_failures_make_the_questions_rarer(world: World) -> None:
    world.memory.is_online = False
    delays = []
    for _ in range(12):
        due_s = step(world)
        delays.append(due_s - world.clock.now_s())
        world.advance(delays[-1])
    assert delays == sorted(delays)
    assert delays[0] < 1.0
    assert delays[-1] <= 30.0


def test_it_does_not_wait_when_the_far_side_answered_somebody_else(world: World) -> None:
    world.memory.is_online = False
    for _ in range(8):
        world.advance(step(world) - world.clock.now_s())
    step(world)
    world.memory.is_online = True
    step(world)
    assert world.core.follower.is_offline  # it is not its time yet
    world.core.follower.nudge()
    assert step(world) == world.clock.now_s() + LOOK_S  # it asked just now
    world.advance(LOOK_S)
    step(world)
    assert not world.core.follower.is_offline


def test_it_asks_once_the_far_side_has_answered_somebody_else(world: World) -> None:
    world.memory.is_online = False
    for _ in range(8):
        world.advance(step(world) - world.clock.now_s())
    step(world)
    world.memory.is_online = True
    assert world.core.follower.answered()
    world.advance(LOOK_S)
    step(world)
    assert not world.core.follower.is_offline
    assert not world.core.follower.answered()


def test_while_it_fails_our_own_commits_have_it_ask_once_a_second(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    step(world)
    asked: list[float] = []

    def away(*_: object) -> bool:
        asked.append(world.clock.now_s())
        raise Offline("cut")

    monkeypatch.setattr(world.backend, "changes", away)
    monkeypatch.setattr(world.backend, "wait_for_changes", away)
    for _ in range(100):
        step(world)
        world.core.follower.nudge()
        world.advance(0.1)
    assert 5 <= len(asked) <= 15


def test_after_a_void_cursor_everything_is_listed_again_and_then_followed(world: World) -> None:
    step(world)
    assert world.names() == {"a"}
    world.account.write("/b", b"y")
    world.account.void_cursors()
    step(world)
    assert world.names() == {"a", "b"}
    step(world)
    world.names()
    world.advance(3600.0)
    assert listings_of(world) == 0
    world.account.remove("/a")
    step(world)
    assert world.names() == {"b"}


def test_many_changes_come_page_by_page(world: World) -> None:
    world.memory.page_entries = 2
    step(world)
    for index in range(7):
        world.account.write(f"/f{index}", b"x")
    step(world)
    assert world.memory.calls()["changes"] == 4


def test_closing_the_backend_ends_a_question_that_is_open(world: World) -> None:
    follower = Follower(world.backend, world.core.feed, world.clock, wait_s=60.0)
    follower.step(world.clock.now_s())
    asking = threading.Thread(target=follower.step, args=(world.clock.now_s(),))
    asking.start()
    world.memory.close()
    asking.join(PATIENCE_S)
    assert not asking.is_alive()


def test_what_is_to_be_done_first_is_done_before_anything_is_followed(world: World) -> None:
    begun: list[str] = []

    def begin() -> None:
        begun.append("begun")
        if len(begun) == 1:
            raise Offline("away")

    follower = Follower(world.backend, world.core.feed, world.clock, wait_s=0.0, on_begin=begin)
    for _ in range(3):
        due_s = follower.step(world.clock.now_s())
        assert follower.is_offline is (begun == ["begun"])
        world.advance(due_s - world.clock.now_s())
    assert begun == ["begun"] * 2


@pytest.mark.parametrize("is_online", [True, False])
def test_whoever_waits_for_the_first_round_goes_on_after_it_whatever_came_of_it(
    world: World, is_online: bool
) -> None:
    world.memory.is_online = is_online
    waiting = threading.Thread(target=world.core.follower.await_round, args=(PATIENCE_S * 6,))
    waiting.start()
    step(world)
    waiting.join(PATIENCE_S)
    assert not waiting.is_alive()


def test_after_so_many_pages_at_once_each_further_one_is_a_look_of_its_own(world: World) -> None:
    step(world)
    world.memory.page_entries = 1
    for index in range(PAGES_AT_ONCE + 3):
        world.account.write(f"/f{index}", b"x")
    begun = world.clock.now_s()
    for _ in range(3):
        world.advance(step(world) - world.clock.now_s())
    assert world.memory.calls()["changes"] == PAGES_AT_ONCE + 2
    assert world.clock.now_s() - begun >= 3 * LOOK_S
    step(world)
    assert len(world.names()) == PAGES_AT_ONCE + 4


def test_two_looks_at_the_changes_are_a_second_apart(world: World) -> None:
    step(world)
    for index in range(3):
        world.account.write(f"/f{index}", b"x")
        due_s = step(world)
        assert due_s >= world.clock.now_s() + LOOK_S
        world.advance(due_s - world.clock.now_s())


def test_while_the_service_refuses_to_be_waited_for_changes_are_seen_within_half_a_minute(
    world: World,
) -> None:
    step(world)
    world.backend.fail("wait_for_changes", ServerFault("no long polls here"), times=1000)
    assert world.names() == {"a"}
    for _ in range(20):
        world.advance(max(0.0, step(world) - world.clock.now_s()))
    world.account.write("/b", b"y")
    ends_s = world.clock.now_s() + POLL_S
    while world.clock.now_s() < ends_s:
        world.advance(max(0.0, step(world) - world.clock.now_s()))
    step(world)
    assert world.names() == {"a", "b"}
    assert "no long polls here" in (world.core.follower.last_error or "")
    world.backend.forgive()
    while world.core.follower.last_error:
        world.advance(max(0.0, step(world) - world.clock.now_s()))
    assert world.clock.now_s() < ends_s + 400.0


def test_that_changes_are_seen_late_is_told_once_and_so_is_the_end(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    step(world)
    world.backend.fail("wait_for_changes", ServerFault("no long polls here"), times=12)
    with caplog.at_level("WARNING"):
        while not world.backend.is_spent() or world.core.follower.last_error:
            world.advance(max(0.0, step(world) - world.clock.now_s()))
        step(world)
    first, last = caplog.messages
    assert "no long polls here" in first
    assert "again" in last
