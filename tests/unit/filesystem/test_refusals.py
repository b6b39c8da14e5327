"""What is refused, by which error, and what stays as it was; room for bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.attributes import UNLIMITED_BYTES
from mountfs.errors import (
    AlreadyExists,
    DirectoryNotEmpty,
    Forbidden,
    InvalidArgument,
    IsADirectory,
    NameNotAllowed,
    NoAttribute,
    NoSpace,
    NotADirectory,
    NotExecutable,
    NotFound,
    NotPermitted,
    Offline,
    ReadOnly,
    ShuttingDown,
    TooLarge,
)
from mountfs.spool.disk import RealDisk
from mountfs.spool.quota import MIB, Quota
from tests.doubles.memory_account import MEMORY_LIMITS
from tests.doubles.world import World

RW = os.O_RDWR
RO = os.O_RDONLY
WO = os.O_WRONLY


def test_each_refusal_is_the_one_that_posix_names(world: World) -> None:
    world.mkdir("/d")
    world.put("/d/f", b"x")
    cases: list[tuple[type[Exception], Callable[[], object]]] = [
        (NotFound, lambda: world.fs.getattr("/no")),
        (NotFound, lambda: world.fs.open("/no", RO)),
        (NotFound, lambda: world.fs.create("/no/f", WO)),
        (NotADirectory, lambda: world.fs.getattr("/d/f/x")),
        (NotADirectory, lambda: world.fs.create("/d/f/x", WO)),
        (NotADirectory, lambda: world.fs.opendir("/d/f")),
        (NotADirectory, lambda: world.fs.rmdir("/d/f")),
        (IsADirectory, lambda: world.fs.open("/d", RW)),
        (IsADirectory, lambda: world.fs.create("/d", WO)),
        (IsADirectory, lambda: world.fs.unlink("/d")),
        (IsADirectory, lambda: world.fs.truncate("/d", 0)),
        (AlreadyExists, lambda: world.fs.create("/d/f", WO | os.O_EXCL)),
        (AlreadyExists, lambda: world.fs.mkdir("/d")),
        (DirectoryNotEmpty, lambda: world.fs.rmdir("/d")),
        (InvalidArgument, lambda: world.fs.rename("/d", "/d/x")),
        (InvalidArgument, lambda: world.fs.truncate("/d/f", -1)),
        (NameNotAllowed, lambda: world.fs.create("/desktop.ini", WO)),
        (NotPermitted, lambda: world.fs.rmdir("/")),
        (NotPermitted, lambda: world.fs.rename("/", "/x")),
        (NoAttribute, lambda: world.fs.metadata.getxattr("/d", "user.other")),
    ]
    for refusal, call in cases:
        with pytest.raises(refusal):
            call()
    assert world.get("/d/f") == b"x"
    assert len(world.core.spool.names()) == 1


def test_a_document_without_bytes_is_listed_but_not_opened(world: World) -> None:
    file = world.account.write("/d.gdoc", b"")
    world.account.tree._entries[file.id] = replace(file, is_downloadable=False)
    assert world.names() == {"d.gdoc"}
    with pytest.raises(NotPermitted):
        world.fs.open("/d.gdoc", RO)


def test_uncached_reads_fail_while_the_network_is_down_and_writes_go_on(world: World) -> None:
    world.theirs("/f", b"x")
    number = world.fs.open("/f", RO).number
    world.memory.is_online = False
    with pytest.raises(Offline):
        world.fs.read(number, 0, 1)
    world.put("/g", b"mine")
    assert world.get("/g") == b"mine"
    world.close_file(number)


def test_a_failed_copy_leaves_file_and_spool_as_they_were(world: World) -> None:
    world.theirs("/f", b"x" * 10)
    number = world.fs.open("/f", RW).number
    world.backend.fail("read", Forbidden("no downloads"))
    with pytest.raises(Forbidden):
        world.fs.write(number, 3, b"y")
    assert world.core.spool.names() == []
    assert world.pending() == []
    world.fs.write(number, 3, b"y")
    world.close_file(number)
    assert world.get("/f") == b"xxxyxxxxxx"


def test_a_read_only_mount_changes_nothing(world: World) -> None:
    world.theirs("/f", b"x")
    fs = world.file_system(is_read_only=True)
    calls: list[Callable[[], object]] = [
        lambda: fs.open("/f", RW),
        lambda: fs.open("/f", RO | os.O_TRUNC),
        lambda: fs.create("/g", WO),
        lambda: fs.mkdir("/d"),
        lambda: fs.unlink("/f"),
        lambda: fs.rename("/f", "/g"),
        lambda: fs.truncate("/f", 0),
        lambda: fs.metadata.utimens("/f", 0),
        lambda: fs.metadata.chmod("/f", 0),
        lambda: fs.access("/f", os.W_OK),
    ]
    for call in calls:
        with pytest.raises(ReadOnly):
            call()
    fs.access("/f", os.R_OK)
    number = fs.open("/f", RO).number
    assert fs.read(number, 0, 10) == b"x"
    fs.release(number)


def test_no_file_is_a_program_and_every_folder_can_be_entered(world: World) -> None:
    world.theirs("/f", b"x")
    world.mkdir("/d")
    world.fs.access("/d", os.X_OK)
    world.fs.access("/f", os.R_OK | os.W_OK)
    with pytest.raises(NotExecutable):
        world.fs.access("/f", os.X_OK)


def test_while_draining_open_files_are_finished_and_nothing_new_begins(world: World) -> None:
    world.theirs("/g", b"x")
    number = world.fs.create("/f", WO | os.O_CREAT).number
    world.fs.stop_taking_writes()
    world.fs.write(number, 0, b"done")
    calls: list[Callable[[], object]] = [
        lambda: world.fs.create("/h", WO),
        lambda: world.fs.open("/g", RW),
        lambda: world.fs.mkdir("/d"),
        lambda: world.fs.unlink("/g"),
        lambda: world.fs.rename("/g", "/h"),
    ]
    for call in calls:
        with pytest.raises(ShuttingDown):
            call()
    world.close_file(number)
    assert world.get("/f") == b"done"
    assert world.get("/g") == b"x"


# Room


def test_a_file_larger_than_the_service_takes_is_refused_at_the_write(tmp_path: Path) -> None:
    world = World(tmp_path, limits=replace(MEMORY_LIMITS, max_file_bytes=10))
    number = world.fs.create("/f", RW | os.O_CREAT).number
    world.fs.write(number, 0, b"x" * 10)
    with pytest.raises(TooLarge):
        world.fs.write(number, 10, b"x")
    with pytest.raises(TooLarge):
        world.fs.ftruncate(number, 11)
    world.close_file(number)
    assert world.get("/f") == b"x" * 10
    world.close()


def test_a_bound_that_is_learned_late_holds_from_then_on(world: World) -> None:
    number = world.fs.create("/f", RW | os.O_CREAT).number
    world.account.limits = replace(MEMORY_LIMITS, max_file_bytes=10)
    with pytest.raises(TooLarge):
        world.fs.write(number, 0, b"x" * 11)
    world.close_file(number)


def test_a_full_spool_refuses_the_write_and_keeps_what_there_is(tmp_path: Path) -> None:
    class Small(RealDisk):
        """Has room for 1 MiB of spool files."""

        def free_bytes(self, directory: str) -> int:
            return MIB - sum(self.sizes(str(tmp_path / "spool")).values())

    quota = Quota(reserve_bytes=0)
    world = World(tmp_path, disk=Small(), settings={"quota": quota, "pause": lambda seconds: None})
    number = world.fs.create("/f", RW | os.O_CREAT).number
    with pytest.raises(NoSpace):
        for at in range(0, 8 * MIB, MIB // 8):
            world.fs.write(number, at, b"x" * (MIB // 8))
    assert world.fs.read(number, 0, 4) == b"xxxx"
    world.close_file(number)
    world.close()


def test_an_account_known_to_be_full_refuses_the_write(world: World) -> None:
    world.theirs("/theirs", b"x" * 900)
    world.account.tree.quota_bytes = 1000
    world.fs.statfs()
    number = world.fs.create("/f", RW | os.O_CREAT).number
    world.fs.write(number, 0, b"x" * 60)
    world.fs.write(number, 0, b"y" * 60)
    with pytest.raises(NoSpace):
        world.fs.write(number, 60, b"x" * 60)
    world.close_file(number)


def test_what_a_program_takes_and_gives_back_is_room_for_what_comes_next(world: World) -> None:
    world.account.tree.quota_bytes = 1000
    world.fs.statfs()
    number = world.fs.create("/f", RW | os.O_CREAT).number
    for _ in range(3):
        world.fs.ftruncate(number, 600)
        world.fs.ftruncate(number, 100)
    with pytest.raises(NoSpace):
        world.fs.ftruncate(number, 1001)
    world.close_file(number)


def test_a_cut_of_what_the_service_has_is_no_room_for_what_comes_next(world: World) -> None:
    world.theirs("/f", b"x" * 900)
    world.account.tree.quota_bytes = 1000
    world.fs.statfs()
    number = world.open("/f", RW)
    world.fs.ftruncate(number, 10)
    with pytest.raises(NoSpace):
        world.fs.write(number, 10, b"y" * 200)
    world.close_file(number)


def test_statfs_shows_the_quota_and_asks_once(world: World) -> None:
    world.theirs("/f", b"x" * 100)
    world.account.tree.quota_bytes = 1000
    volume = world.fs.statfs()
    assert (volume.total_bytes, volume.free_bytes) == (1000, 900)
    world.memory.is_online = False
    assert world.fs.statfs() == volume
    assert world.backend.calls()["space"] == 1


def test_statfs_of_an_account_without_limit_is_large(world: World) -> None:
    assert world.fs.statfs().total_bytes == UNLIMITED_BYTES


def test_statfs_answers_while_the_network_is_down(world: World) -> None:
    world.memory.is_online = False
    assert world.fs.statfs().total_bytes == UNLIMITED_BYTES
