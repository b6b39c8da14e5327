"""What is not needed any more goes: spool files, upload sessions, what was in folders that vanished."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.upkeep.sweeper import FILES_AT_ONCE, NODES_AT_ONCE, RETRY_S
from mountfs.errors import Forbidden, Offline, ServerFault, Throttled
from mountfs.spool.disk import RealDisk
from tests.doubles.rows import count_nodes
from tests.doubles.world import World


class StubbornDisk(RealDisk):
    """Does not remove the files that it was told to keep."""

    def __init__(self) -> None:
        self.kept: set[str] = set()
        self.asked: list[str] = []

    def remove(self, path: str) -> None:
        self.asked.append(path)
        if Path(path).name in self.kept:
            raise PermissionError(1, "Operation not permitted", path)
        super().remove(path)


@pytest.fixture
def disk() -> StubbornDisk:
    return StubbornDisk()


@pytest.fixture
def world(tmp_path: Path, disk: StubbornDisk) -> Iterator[World]:
    world = World(tmp_path, disk=disk)
    yield world
    world.close()


def sweep(world: World) -> float:
    return world.core.sweeper.step(world.clock.now_s())


def orphan(world: World, *sessions: str) -> None:
    for session in sessions:
        world.core.tree.add_orphan(session)


def rows_of_bytes(world: World) -> int:
    """How many versions the store still knows."""
    return len(list(world.core.tree.store.contents()))


# Files


def test_a_committed_file_stays_readable_without_a_download(world: World, disk: StubbornDisk) -> None:
    world.put("/a", b"hello")
    world.settle()
    assert disk.asked == [], "what the cache took over is not removed as well"
    assert world.core.blocks.peek(world.file("/a"), 0, 100) == b"hello"
    assert world.get("/a") == b"hello"
    assert "read" not in world.memory.calls()
    assert world.core.spool.names() == []
    assert rows_of_bytes(world) == 0


def test_what_the_cache_does_not_take_is_removed(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"cache_bytes": 3})
    world.put("/a", b"hello")
    world.settle()
    assert world.core.spool.names() == []
    world.close()


def test_a_file_that_was_removed_before_its_commit_lets_go_of_its_session_and_its_bytes(world: World) -> None:
    world.put("/a", b"hello")
    world.upload_all()
    assert world.account.sessions
    world.fs.unlink("/a")
    world.settle()
    assert world.account.sessions == {}
    assert world.core.spool.names() == []
    assert rows_of_bytes(world) == 0


def test_bytes_go_even_while_the_far_side_is_away(world: World) -> None:
    for index in range(5):
        world.put(f"/f{index}", b"hello")
    world.upload_all()
    world.backend.fail("abandon", Offline("away"), times=5)
    for index in range(5):
        world.fs.unlink(f"/f{index}")
    sweep(world)
    assert world.core.spool.names() == []
    assert rows_of_bytes(world) == 0
    assert not world.backend.is_spent()


def test_what_a_former_process_left_is_swept(world: World) -> None:
    world.put("/a", b"hello")
    world.fs.unlink("/a")
    assert rows_of_bytes(world) == 1
    world.restart()
    assert len(world.core.spool.names()) == 1
    sweep(world)
    assert rows_of_bytes(world) == 0
    assert world.core.spool.names() == []


def test_the_sweeper_is_woken_when_there_is_something_to_sweep(world: World) -> None:
    woken: list[None] = []
    world.core.sweeper.wake = lambda: woken.append(None)
    world.put("/a", b"hello")
    assert woken == []
    world.fs.unlink("/a")
    assert woken
    assert sweep(world) < math.inf
    assert sweep(world) == math.inf


def test_much_at_once_is_swept_a_part_at_a_time(world: World) -> None:
    for index in range(FILES_AT_ONCE + 1):
        world.put(f"/f{index}", b"x")
    for index in range(FILES_AT_ONCE + 1):
        world.fs.unlink(f"/f{index}")
    sweep(world)
    assert len(world.core.spool.names()) == 1
    sweep(world)
    assert world.core.spool.names() == []


# A file that cannot be removed


def test_a_file_that_cannot_be_removed_keeps_no_other_from_going(world: World, disk: StubbornDisk) -> None:
    for name in ("a", "b"):
        world.put(f"/{name}", b"hello")
    disk.kept.update(world.core.spool.names()[:1])
    for name in ("a", "b"):
        world.fs.unlink(f"/{name}")
    sweep(world)
    assert set(world.core.spool.names()) == disk.kept
    world.put("/c", b"later")
    world.fs.unlink("/c")
    sweep(world)
    assert set(world.core.spool.names()) == disk.kept


def test_a_file_that_cannot_be_removed_is_tried_again_later_and_not_all_the_time(
    world: World, disk: StubbornDisk
) -> None:
    world.put("/a", b"hello")
    disk.kept.update(world.core.spool.names())
    world.fs.unlink("/a")
    began_s = world.clock.now_s()
    sweep(world)
    assert sweep(world) == began_s + RETRY_S
    disk.kept.clear()
    world.advance(RETRY_S - 1.0)
    assert sweep(world) == began_s + RETRY_S
    assert len(world.core.spool.names()) == 1
    world.advance(1.0)
    sweep(world)
    assert world.core.spool.names() == []
    assert rows_of_bytes(world) == 0
    assert sweep(world) == math.inf


def test_a_file_is_tried_again_in_time_though_others_cannot_be_removed_meanwhile(
    world: World, disk: StubbornDisk
) -> None:
    world.put("/first", b"hello")
    [first] = world.core.spool.names()
    disk.kept.add(first)
    world.fs.unlink("/first")
    sweep(world)
    disk.kept.clear()
    for index in range(2):
        world.advance(RETRY_S * 0.6)
        world.put(f"/f{index}", b"hello")
        disk.kept.update(set(world.core.spool.names()) - {first})
        world.fs.unlink(f"/f{index}")
        sweep(world)
    assert set(world.core.spool.names()) == disk.kept


def test_a_file_that_cannot_be_removed_keeps_no_session_from_its_end(
    world: World, disk: StubbornDisk
) -> None:
    world.put("/a", b"hello")
    world.upload_all()
    disk.kept.update(world.core.spool.names())
    world.fs.unlink("/a")
    for _ in range(3):
        sweep(world)
    assert world.account.sessions == {}


def test_a_file_that_could_not_be_removed_is_removed_by_the_next_process(
    world: World, disk: StubbornDisk
) -> None:
    world.put("/a", b"hello")
    disk.kept.update(world.core.spool.names())
    world.fs.unlink("/a")
    sweep(world)
    disk.kept.clear()
    world.restart()
    sweep(world)
    assert world.core.spool.names() == []
    assert world.notices() == []


# Sessions


def test_a_session_is_let_go_of_once_the_far_side_is_back(world: World) -> None:
    world.put("/a", b"hello")
    world.upload_all()
    world.backend.fail("abandon", Offline("away"), times=3)
    world.fs.unlink("/a")
    world.settle()
    assert world.account.sessions == {}


def test_sessions_that_a_former_process_left_are_ended(world: World) -> None:
    left = [world.account.start_session(is_large=True) for _ in range(3)]
    orphan(world, *left)
    world.restart()
    world.backend.fail("abandon", Forbidden("no"))
    world.settle()
    # What the service refuses to end is not asked for again.
    assert list(world.account.sessions) == left[:1]
    assert world.core.tree.store.orphans.all() == []
    assert world.memory.calls()["abandon"] == 2


def test_a_session_the_service_cannot_end_now_stays_for_the_next_process(world: World) -> None:
    session = world.account.start_session(is_large=True)
    orphan(world, session)
    world.backend.fail("abandon", Throttled("later", retry_after_s=200.0))
    due_s = sweep(world)
    assert due_s == world.clock.now_s() + 200.0
    assert sweep(world) == due_s
    world.restart()
    assert world.core.tree.store.orphans.all() == [session]
    world.settle()
    assert world.account.sessions == {}


def test_the_sweeper_is_woken_when_a_session_is_to_be_ended(world: World) -> None:
    woken: list[None] = []
    world.core.sweeper.wake = lambda: woken.append(None)
    orphan(world, "s")
    assert woken


def test_one_session_that_the_service_cannot_end_keeps_no_other_from_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    def abandon(session: str) -> None:
        if session == "stuck":
            raise ServerFault("500")
        ended.append(session)

    monkeypatch.setattr(world.memory, "abandon", abandon)
    orphan(world, "stuck", "one", "two")
    for _ in range(10):
        sweep(world)
        world.advance(60.0)
    assert ended == ["one", "two"]
    assert world.core.tree.store.orphans.first() == "stuck"


# Folders that vanished


def test_what_was_in_a_folder_that_vanished_is_forgotten_a_part_at_a_time(world: World) -> None:
    world.follow()
    for index in range(NODES_AT_ONCE):
        world.account.write(f"/d/e/f{index}", b"x")
    world.follow()
    assert len(world.names("/d/e")) == NODES_AT_ONCE
    world.account.remove("/d")
    world.follow()
    assert world.names() == set()
    before = count_nodes(world.core.tree.store)
    assert sweep(world) == world.clock.now_s()
    assert 0 < count_nodes(world.core.tree.store) < before
    for _ in range(5):
        sweep(world)
    assert count_nodes(world.core.tree.store) == 0
    assert sweep(world) == math.inf


def test_an_open_file_keeps_its_bytes_after_its_name_is_gone(world: World) -> None:
    number = world.begin("/a", b"hello")
    world.fs.rename("/a", "/.fuse_hidden0000000000000001")
    world.settle()
    assert world.fs.read(number, 0, 10) == b"hello"
    world.fs.unlink("/.fuse_hidden0000000000000001")
    sweep(world)
    assert world.fs.read(number, 0, 10) == b"hello"
    world.close_file(number)
    sweep(world)
    assert world.core.spool.names() == []
    assert os.listdir(world.places.spool) == []
