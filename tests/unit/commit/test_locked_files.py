"""Files that somebody has locked at the service: kept with that reason, and tried again by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mountfs.errors import Locked
from mountfs.model.entry import Doubted, Gone, News, Seen
from mountfs.model.path import RemotePath
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.unit.commit.scenarios import calls, check_nothing_is_left

LOCKED = Locked("locked by somebody")


def locked(world: World, body: bytes = b"ours") -> str:
    """A file of the service that refuses our version; its id."""
    file_id = world.account.write("/a", b"theirs").id
    world.backend.refuse("/a", LOCKED, times=1000)
    world.put("/a", body)
    pass_time(world, 10.0)
    assert world.pending() == [("/a", "failed")]
    return file_id


def pass_time(world: World, seconds: float) -> None:
    """It is never settled: there is always a next try."""
    core = world.core
    steps = [core.uploader.step, core.committer.step, core.sweeper.step, core.prober.step]
    ends_s = world.clock.now_s() + seconds
    while world.clock.now_s() < ends_s:
        due_s = min(step(world.clock.now_s()) for step in steps)
        world.advance(max(0.0, min(due_s, ends_s) - world.clock.now_s()) + 1e-6)


def test_a_locked_file_is_kept_and_sent_once_it_is_unlocked(world: World) -> None:
    locked(world)
    assert world.get("/a") == b"ours"
    world.backend.forgive()
    world.settle(most_s=30.0)
    assert world.account.files() == {"/a": b"ours"}
    check_nothing_is_left(world)


def test_it_is_tried_ever_more_rarely_and_told_of_once(world: World) -> None:
    locked(world)
    refusals = world.backend._refused[RemotePath("/a").key]
    before = len(refusals)
    pass_time(world, 24 * 3600.0)
    assert 24 <= before - len(refusals) <= 40
    assert len(world.notices()) == 1


class Untouched(dict[int, object]):
    """Nobody goes through it."""

    def values(self) -> Any:
        raise AssertionError


def test_no_file_that_is_refused_takes_a_look_at_all_others_that_are_locked(world: World) -> None:
    locked(world)
    files = world.core.plan._locked_files
    untouched: Any = Untouched(files._waits)
    files._waits = untouched
    world.backend.refuse("/b", LOCKED, times=1000)
    world.put("/b", b"ours")
    pass_time(world, 10.0)
    assert world.pending() == [("/a", "failed"), ("/b", "failed")]
    assert set(files._waits) == {world.node("/a").id, world.node("/b").id}
    world.backend.forgive()
    world.settle(most_s=60.0)
    assert not files._waits
    check_nothing_is_left(world)


@pytest.mark.parametrize("kind", [Seen, Gone])
def test_an_event_that_names_it_has_it_tried_at_once(world: World, kind: type[News]) -> None:
    file_id = locked(world)
    pass_time(world, 4000.0)
    world.backend.forgive()
    pass_time(world, 60.0)
    assert world.pending() == [("/a", "failed")]
    heard = world.core.plan.heard
    heard([Gone(item_id="another"), Doubted(folder_id=file_id)])
    pass_time(world, 60.0)
    assert world.pending() == [("/a", "failed")]
    entry = world.account.get("/a")
    assert entry is not None
    heard([Gone(item_id=file_id) if kind is Gone else Seen(entry)])
    pass_time(world, 60.0)
    assert world.account.files() == {"/a": b"ours"}


def test_one_whose_holder_saves_again_and_again_is_not_sent_each_time(world: World) -> None:
    file_id = locked(world)
    refusals = world.backend._refused[RemotePath("/a").key]
    before = len(refusals)
    for _ in range(8 * 60):
        world.core.plan.heard([Gone(item_id=file_id)])
        pass_time(world, 60.0)
    assert 8 * 6 <= before - len(refusals) <= 60
    world.backend.forgive()
    world.core.plan.heard([Gone(item_id=file_id)])
    pass_time(world, 600.0)
    assert world.account.files() == {"/a": b"ours"}


def test_after_an_event_that_came_too_early_it_is_tried_again_soon(world: World) -> None:
    file_id = locked(world)
    pass_time(world, 4000.0)
    world.core.plan.heard([Gone(item_id=file_id)])
    pass_time(world, 1.0)
    world.backend.forgive()
    pass_time(world, 20.0)
    assert world.account.files() == {"/a": b"ours"}


def test_the_next_process_tries_it_again(world: World) -> None:
    locked(world)
    world.backend.forgive()
    world.restart()
    world.settle(most_s=30.0)
    assert world.account.files() == {"/a": b"ours"}
    check_nothing_is_left(world)


def test_of_a_large_one_no_byte_is_sent_again(tmp_path: Path) -> None:
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    locked(world, bytes(2 * SIDE_BY_SIDE_LIMITS.session_min_bytes))
    sent = calls(world)["append"]
    world.backend.forgive()
    world.settle(most_s=30.0)
    assert set(world.account.files()) == {"/a"}
    assert calls(world)["append"] == sent
    check_nothing_is_left(world)
    world.close()


def test_a_locked_file_is_not_removed_nor_renamed_later(world: World) -> None:
    world.account.write("/a", b"theirs")
    world.backend.refuse("/a", LOCKED)
    world.fs.unlink("/a")
    world.settle(most_s=4000.0)
    assert world.account.files() == {"/a": b"theirs"}
    assert world.names() == {"a"}


def test_a_look_at_one_that_waits_leaves_no_timer_behind(world: World) -> None:
    """Else a program that keeps changing the mode of such a file would fill the memory for an hour."""
    locked(world)
    core = world.core
    pass_time(world, 1.0)
    before = len(core.plan._timers._heap)
    for _ in range(20):
        core.tree.planner.touch(world.node("/a"))
        pass_time(world, 0.1)
    assert len(core.plan._timers._heap) == before
