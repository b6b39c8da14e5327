"""What close and fsync have waited for, and what of a file travels before its close."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from mountfs.attributes import Promise
from mountfs.errors import InvalidArgument, MountfsError
from mountfs.tree.content import Content
from mountfs.tree.node import Node
from tests.doubles.memory_account import MEMORY_LIMITS
from tests.doubles.world import World
from tests.unit.commit.scenarios import calls

RW = os.O_RDWR
WO = os.O_WRONLY


@dataclass
class WaiterAtWork:
    """Waits for the service's word as the core's waiter does, after everything was done that can be done."""

    world: World
    of_the_core: Any

    def wait_committed(self, content: Content, timeout_s: float) -> None:
        self.world.settle()
        self.of_the_core.wait_committed(content, timeout_s)


def remote_world(directory: Path, **options: Any) -> World:
    """One whose close or fsync waits for the service, which answers at once."""
    world = World(directory, **options)
    world.serve_with(waiter=WaiterAtWork(world, world.core.services.waiter))
    return world


def is_synced(world: World, path: str) -> bool:
    state = world.state(path)
    content = state.draft or state.content
    assert content is not None
    return content.is_synced


def test_fsync_makes_bytes_and_row_survive_power_loss(world: World) -> None:
    number = world.fs.create("/f", WO | os.O_CREAT).number
    world.fs.write(number, 0, b"x")
    world.fs.flush(number)
    assert not is_synced(world, "/f")
    world.fs.fsync(number)
    assert is_synced(world, "/f")
    world.fs.release(number)


def test_close_fsync_waits_for_the_disk(tmp_path: Path) -> None:
    world = World(tmp_path, close=Promise.FSYNC)
    world.put("/f", b"x")
    assert is_synced(world, "/f")
    world.close()


def test_small_files_written_one_after_another_wait_for_no_reply_and_travel_together(world: World) -> None:
    world.names()
    world.memory.is_online = False
    for index in range(50):
        world.put(f"/f{index}", b"x" * index)
    assert calls(world) == {}
    world.memory.is_online = True
    world.settle()
    assert len(world.account.files()) == 50
    assert world.memory.calls()["append_pack"] == 1
    assert len(world.account.submits) == 1


def test_close_remote_waits_for_the_commit(tmp_path: Path) -> None:
    world = remote_world(tmp_path, close=Promise.REMOTE)
    number = world.fs.create("/f", RW | os.O_CREAT).number
    world.fs.write(number, 0, b"one")
    world.fs.flush(number)
    assert world.account.files() == {"/f": b"one"}
    world.fs.write(number, 3, b"two")
    world.close_file(number)
    assert world.account.files() == {"/f": b"onetwo"}
    world.close()


def test_fsync_remote_reports_why_it_was_not_committed(tmp_path: Path) -> None:
    world = remote_world(tmp_path, fsync=Promise.REMOTE)
    number = world.begin("/f", b"mine")
    world.backend.refuse("/f", InvalidArgument("the service does not like it"), times=10)
    with pytest.raises(MountfsError, match="the service does not like it"):
        world.fs.fsync(number)
    world.fs.release(number)
    world.close()


def test_fsync_remote_of_what_somebody_else_changed_first_has_both_on_the_service(tmp_path: Path) -> None:
    world = remote_world(tmp_path, fsync=Promise.REMOTE)
    world.theirs("/f", b"old")
    number = world.fs.open("/f", RW).number
    world.fs.write(number, 0, b"mine")
    world.theirs("/f", b"theirs")
    world.fs.fsync(number)
    assert sorted(world.account.files().values()) == [b"mine", b"theirs"]
    assert world.account.files()["/f"] == b"theirs"
    assert "somebody else" in world.notices()[0]
    world.fs.release(number)
    world.close()


def test_fsync_of_a_folder_makes_its_changes_survive_power_loss(world: World) -> None:
    world.mkdir("/d")
    world.put("/d/f", b"x")
    number = world.fs.opendir("/d")
    world.fs.fsyncdir(number)
    assert is_synced(world, "/d/f")
    world.fs.releasedir(number)


def test_bytes_that_were_safe_from_power_loss_are_not_written_over_before_the_store_says_so(
    world: World,
) -> None:
    synced: list[bool] = []

    class Watched:
        """The core's, once it is looked at what its store has of the file."""

        def __init__(self) -> None:
            self.of_the_core = world.core.durability

        def sync_content(self, content: Content) -> None:
            self.of_the_core.sync_content(content)

        def sync_below(self, folder: Node) -> None:
            raise AssertionError("nobody asked for this")

        def sync_store(self) -> None:
            ((content, _, _),) = world.core.tree.store.contents()
            synced.append(content.is_flushed or content.is_synced)
            assert world.core.spool.read(content.spool, 0, 10) == b"one"
            self.of_the_core.sync_store()

    world.serve_with(durable=Watched())
    number = world.fs.create("/f", WO | os.O_CREAT).number
    world.fs.write(number, 0, b"one")
    world.fs.flush(number)
    world.fs.fsync(number)
    assert is_synced(world, "/f")
    synced.clear()
    world.fs.write(number, 0, b"two")
    world.fs.write(number, 0, b"six")
    assert synced == [False]
    world.close_file(number)


# Large files on their way while they are written


@dataclass
class Told:
    """What the uploader was told, in order."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def wrote(self, content_id: int, start: int, stop: int) -> None:
        self.calls.append(("wrote", content_id, start, stop))

    def truncated(self, content_id: int, size_bytes: int) -> None:
        self.calls.append(("truncated", content_id, size_bytes))


def test_the_uploader_hears_of_a_large_file_from_its_beginning(tmp_path: Path) -> None:
    world = World(tmp_path, limits=replace(MEMORY_LIMITS, session_min_bytes=1000))
    told = Told()
    world.serve_with(uploads=told)
    number = world.fs.create("/f", RW | os.O_CREAT).number
    world.fs.write(number, 0, b"x" * 600)
    assert told.calls == []
    world.fs.write(number, 600, b"x" * 600)
    world.fs.write(number, 1200, b"x" * 100)
    world.fs.ftruncate(number, 1100)
    draft = world.state("/f").draft
    assert draft is not None
    assert told.calls == [
        ("wrote", draft.id, 0, 1200),
        ("wrote", draft.id, 1200, 1300),
        ("truncated", draft.id, 1100),
    ]
    world.close_file(number)
    world.close()


def test_where_the_size_must_be_known_nothing_is_told(tmp_path: Path) -> None:
    world = World(tmp_path, limits=replace(MEMORY_LIMITS, session_min_bytes=1000, size_known_at_start=True))
    told = Told()
    world.serve_with(uploads=told)
    world.put("/f", b"x" * 5000)
    assert told.calls == []
    world.close()


# Stopping


def test_what_was_closed_but_is_held_open_elsewhere_travels_when_the_mount_stops(world: World) -> None:
    number = world.fs.create("/f", WO | os.O_CREAT).number
    world.fs.write(number, 0, b"one")
    world.fs.flush(number)
    world.fs.stop_taking_writes()
    world.settle()
    assert world.account.files() == {"/f": b"one"}
    world.fs.write(number, 3, b"two")
    world.fs.flush(number)
    world.settle()
    assert world.account.files() == {"/f": b"onetwo"}
    world.fs.release(number)
