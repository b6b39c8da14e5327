"""Spool files that cannot be removed: they keep nothing else from being swept, and are tried again."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.upkeep.sweeper import FINISH_AGAIN_S, RETRY_S
from mountfs.errors import DiskFull
from mountfs.spool.disk import RealDisk
from mountfs.tree.node import Node, State
from tests.doubles.world import World


class StickyDisk(RealDisk):
    """Some files cannot be removed from it."""

    def __init__(self) -> None:
        self.stuck: set[str] = set()
        self.tries = 0

    def remove(self, path: str) -> None:
        if Path(path).name in self.stuck:
            self.tries += 1
            raise PermissionError(errno.EPERM, "Operation not permitted", path)
        super().remove(path)


@pytest.fixture
def disk() -> StickyDisk:
    return StickyDisk()


@pytest.fixture
def world(tmp_path: Path, disk: StickyDisk) -> Iterator[World]:
    world = World(tmp_path, disk=disk)
    yield world
    world.close()


def throw_away(world: World, count: int) -> list[str]:
    """Spool files of as many files that were removed before they were sent; the first one is the oldest."""
    spools: list[str] = []
    for number in range(count):
        world.put(f"/{number}", b"x")
        content = world.state(f"/{number}").content
        assert content is not None
        spools.append(content.spool)
        world.fs.unlink(f"/{number}")
    return spools


def step(world: World) -> float:
    """Steps the sweeper until it has nothing to do for now; when it wants to be called again."""
    now_s = world.clock.now_s()
    for _ in range(20):
        due_s = world.core.sweeper.step(now_s)
        if due_s > now_s:
            return due_s
    raise AssertionError("the sweeper does not come to rest")


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_file_that_cannot_be_removed_keeps_no_other_from_being_swept(
    world: World, disk: StickyDisk, which: int
) -> None:
    spools = throw_away(world, 3)
    disk.stuck = {spools[which]}
    step(world)
    assert world.core.spool.names() == [spools[which]]
    assert [content.spool for content in world.core.tree.freed.values()] == [spools[which]]
    assert len(list(world.core.tree.store.contents())) == 1


def test_nor_do_those_that_come_later_wait_for_it(world: World, disk: StickyDisk) -> None:
    disk.stuck = set(throw_away(world, 1))
    step(world)
    throw_away(world, 2)
    step(world)
    assert set(world.core.spool.names()) == disk.stuck


def test_sessions_are_ended_meanwhile(world: World, disk: StickyDisk) -> None:
    disk.stuck = set(throw_away(world, 1))
    world.put("/a", b"x")
    world.upload_all()
    world.fs.unlink("/a")
    step(world)
    assert world.account.sessions == {}
    assert set(world.core.spool.names()) == disk.stuck


def test_it_is_tried_again_after_a_while_and_not_before(world: World, disk: StickyDisk) -> None:
    disk.stuck = set(throw_away(world, 1))
    now_s = world.clock.now_s()
    assert step(world) == now_s + RETRY_S
    assert step(world) == now_s + RETRY_S
    assert disk.tries == 1
    world.advance(RETRY_S)
    step(world)
    assert disk.tries == 2
    disk.stuck.clear()
    world.advance(RETRY_S)
    step(world)
    assert world.core.spool.names() == []
    assert list(world.core.tree.store.contents()) == []


def test_the_next_process_tries_it_again(world: World, disk: StickyDisk) -> None:
    disk.stuck = set(throw_away(world, 1))
    step(world)
    world.restart()
    assert world.notices() == []
    disk.stuck.clear()
    step(world)
    assert world.core.spool.names() == []


# Files whose last close the journal does not take


def test_a_close_that_the_journal_does_not_take_is_made_up_for(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It holds up nothing else, and is told of while it lasts."""
    world.put("/f", b"1")
    number = world.begin("/f", b"2")
    world.fs.flush(number)
    spools = throw_away(world, 3)
    update = world.core.tree.store.update_node
    held: list[State] = []

    def refuse(node: Node, before: State, after: State, *, is_dirty: bool) -> None:
        if after.name == "f" and after.draft is None:
            held.append(after)
            raise DiskFull("the disk is full")
        update(node, before, after, is_dirty=is_dirty)

    sweeper = world.core.sweeper
    with monkeypatch.context() as patched:
        patched.setattr(world.core.tree.store, "update_node", refuse)
        with pytest.raises(DiskFull):
            world.fs.release(number)
        for _ in range(5):
            assert step(world) <= world.clock.now_s() + FINISH_AGAIN_S
            world.advance(FINISH_AGAIN_S)
        assert not set(spools) & set(world.core.spool.names())
        assert sweeper.trouble == "DiskFull: the disk is full"
        assert len(held) == 6
        assert len(caplog.messages) == 1
    world.settle()
    assert world.account.files() == {"/f": b"2"}
    assert world.pending() == []
    assert len(world.core.files) == 0
    assert sweeper.trouble is None


def test_what_a_stop_cannot_seal_keeps_no_other_file_from_being_sealed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = []
    for name in "abc":
        world.put(f"/{name}", b"1")
        numbers.append(world.begin(f"/{name}", b"2"))
        world.fs.flush(numbers[-1])
    begin, calls = world.core.tree.store.begin, []

    def fail_once() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise DiskFull("the disk is full")
        begin()

    monkeypatch.setattr(world.core.tree.store, "begin", fail_once)
    world.fs.stop_taking_writes()
    world.settle()
    assert sorted(world.account.files().values()) == [b"1", b"2", b"2"]
    for number in numbers:
        world.close_file(number)
    world.settle()
    assert set(world.account.files().values()) == {b"2"}
