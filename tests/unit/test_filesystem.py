"""The file system's verbs, without a kernel."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.attributes import UNLIMITED_BYTES, Promise
from mountfs.backends.memory_account import MEMORY_LIMITS
from mountfs.errors import (
    AlreadyExists,
    BadHandle,
    DirectoryNotEmpty,
    InvalidArgument,
    IsADirectory,
    NameNotAllowed,
    NoSpace,
    NotADirectory,
    NotFound,
    NotPermitted,
    NotSupported,
    Offline,
    ReadOnly,
    ShuttingDown,
    TooLarge,
)
from mountfs.model.change import ChangeState
from mountfs.model.entry import NS_PER_S
from mountfs.model.path import RemotePath
from mountfs.spool.quota import MIB, Quota
from tests.unit.files.world import World

RW = os.O_RDWR
RO = os.O_RDONLY
WO = os.O_WRONLY
HIDDEN = "/.fuse_hidden0000000700000001"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


# Writing and reading back


def test_what_was_written_is_read_back_while_pending_and_after_the_commit(world: World) -> None:
    world.put("/f", b"hello")
    assert world.get("/f") == b"hello"
    world.settle()
    assert world.account.files() == {"/f": b"hello"}
    assert world.get("/f") == b"hello"


def test_what_is_written_is_read_through_every_handle_before_any_close(world: World) -> None:
    writer = world.fs.create("/f", RW | os.O_CREAT).number
    world.fs.write(writer, 0, b"hello")
    reader = world.fs.open("/f", RO).number
    assert world.fs.read(reader, 0, 10) == b"hello"
    assert world.fs.getattr("/f").size_bytes == 5
    assert world.names() == {"f"}
    world.close_file(reader)
    world.close_file(writer)


def test_a_file_is_published_only_when_its_last_writer_is_gone(world: World) -> None:
    first = world.fs.create("/f", WO | os.O_CREAT).number
    second = world.fs.open("/f", WO).number
    world.fs.write(first, 0, b"one")
    world.close_file(first)
    world.settle()
    assert world.account.files() == {}
    world.fs.write(second, 3, b"two")
    world.close_file(second)
    world.settle()
    assert world.account.files() == {"/f": b"onetwo"}


def test_a_remote_file_is_copied_before_its_first_write(world: World) -> None:
    world.theirs("/f", b"0123456789")
    number = world.fs.open("/f", RW).number
    world.fs.write(number, 3, b"xx")
    assert world.fs.read(number, 0, 20) == b"012xx56789"
    world.close_file(number)
    assert world.account.files() == {"/f": b"0123456789"}
    world.settle()
    assert world.account.files() == {"/f": b"012xx56789"}


def test_opening_for_writing_without_a_write_changes_nothing(world: World) -> None:
    world.theirs("/f", b"same")
    world.close_file(world.fs.open("/f", RW).number)
    assert world.journal.live() == []
    assert "read" not in world.backend.calls()


def test_truncating_at_open_reads_nothing(world: World) -> None:
    world.theirs("/f", b"old bytes")
    number = world.fs.open("/f", WO | os.O_TRUNC).number
    assert world.fs.getattr("/f").size_bytes == 0
    world.fs.write(number, 0, b"new")
    world.close_file(number)
    world.settle()
    assert world.account.files() == {"/f": b"new"}
    assert "read" not in world.backend.calls()


def test_a_pending_file_is_written_again_as_a_copy_of_itself(world: World) -> None:
    world.put("/f", b"first")
    number = world.fs.open("/f", RW).number
    world.fs.write(number, 5, b" second")
    world.close_file(number)
    assert world.get("/f") == b"first second"
    world.settle()
    assert world.account.files() == {"/f": b"first second"}
    assert len(world.spool.names()) == 0


def test_a_write_after_a_flush_is_part_of_the_file(world: World) -> None:
    number = world.fs.create("/f", WO | os.O_CREAT).number
    world.fs.write(number, 0, b"one")
    world.fs.flush(number)
    (change,) = world.journal.live()
    assert change.is_flushed
    assert change.size_bytes == 3
    world.fs.write(number, 3, b"two")
    (change,) = world.journal.live()
    assert not change.is_flushed
    world.close_file(number)
    world.settle()
    assert world.account.files() == {"/f": b"onetwo"}


def test_a_release_without_a_flush_still_publishes(world: World) -> None:
    number = world.fs.create("/f", WO | os.O_CREAT).number
    world.fs.write(number, 0, b"one")
    world.fs.release(number)
    world.settle()
    assert world.account.files() == {"/f": b"one"}


def test_flushing_again_costs_nothing(world: World) -> None:
    number = world.fs.create("/f", WO | os.O_CREAT).number
    world.fs.flush(number)
    before = world.journal.live()
    world.fs.flush(number)
    assert world.journal.live() == before
    world.fs.release(number)


def test_appending_goes_to_the_end_whatever_offset_comes(world: World) -> None:
    world.put("/f", b"12345")
    number = world.fs.open("/f", WO | os.O_APPEND).number
    world.fs.write(number, 0, b"678")
    world.fs.write(number, 0, b"x", is_page=True)
    world.close_file(number)
    assert world.get("/f") == b"x2345678"


def test_a_gap_reads_as_zeros(world: World) -> None:
    number = world.fs.create("/f", RW | os.O_CREAT).number
    world.fs.write(number, 5, b"x")
    assert world.fs.read(number, 0, 10) == b"\0\0\0\0\0x"
    world.fs.ftruncate(number, 8)
    world.fs.ftruncate(number, 3)
    world.fs.ftruncate(number, 6)
    assert world.fs.read(number, 0, 10) == b"\0" * 6
    world.close_file(number)
    assert world.get("/f") == b"\0" * 6


@pytest.mark.parametrize("size_bytes", [0, 3, 5, 9])
@pytest.mark.parametrize("is_remote", [True, False])
def test_truncate_by_name_cuts_or_extends(world: World, size_bytes: int, is_remote: bool) -> None:
    if is_remote:
        world.theirs("/f", b"12345")
    else:
        world.put("/f", b"12345")
    world.fs.truncate("/f", size_bytes)
    assert world.get("/f") == b"12345"[:size_bytes].ljust(size_bytes, b"\0")
    world.settle()
    assert world.account.files()["/f"] == b"12345"[:size_bytes].ljust(size_bytes, b"\0")


def test_a_handle_does_only_what_it_was_opened_for(world: World) -> None:
    world.put("/f", b"x")
    reader, writer = world.fs.open("/f", RO).number, world.fs.open("/f", WO).number
    with pytest.raises(BadHandle):
        world.fs.write(reader, 0, b"y")
    with pytest.raises(BadHandle):
        world.fs.read(writer, 0, 1)
    with pytest.raises(InvalidArgument):
        world.fs.ftruncate(reader, 0)
    world.close_file(reader)
    world.close_file(writer)
    with pytest.raises(BadHandle):
        world.fs.read(reader, 0, 1)
    assert len(world.files) == 0


# Open files and what happens around them


def test_an_open_file_reads_one_revision(world: World) -> None:
    world.theirs("/f", b"old")
    old = world.fs.open("/f", RO)
    world.theirs("/f", b"newer")
    new = world.fs.open("/f", RO)
    assert world.fs.read(old.number, 0, 10) == b"old"
    assert world.fs.read(new.number, 0, 10) == b"newer"
    assert new.is_direct, "the kernel must not mix the pages of both"
    world.close_file(old.number)
    world.close_file(new.number)


def test_the_kernel_keeps_its_pages_while_the_bytes_are_the_same(world: World) -> None:
    def keeps() -> bool:
        opened = world.fs.open("/f", RO)
        world.close_file(opened.number)
        return opened.keep_cache

    world.theirs("/f", b"old")
    assert [keeps(), keeps()] == [False, True]
    world.theirs("/f", b"new")
    assert [keeps(), keeps()] == [False, True]
    world.put("/g", b"mine")
    number = world.fs.open("/g", RO)
    assert number.keep_cache
    world.close_file(number.number)
    world.settle()
    number = world.fs.open("/g", RO)
    assert number.keep_cache, "its commit changed no byte"
    world.close_file(number.number)


def test_what_is_edited_is_the_revision_that_was_opened(world: World) -> None:
    world.theirs("/f", b"old")
    number = world.fs.open("/f", RW).number
    world.theirs("/f", b"theirs")
    world.fs.getattr("/f")
    world.fs.write(number, 0, b"O")
    world.close_file(number)
    world.settle()
    assert world.account.files() == {"/f": b"theirs"}
    (change,) = world.journal.live()
    assert "somebody else" in (change.error or "")


def test_a_file_committed_while_open_goes_on_from_its_revision(world: World) -> None:
    number = world.fs.create("/f", WO | os.O_CREAT).number
    reader = world.fs.open("/f", RO).number
    world.fs.write(number, 0, b"one")
    world.close_file(number)
    world.settle()
    assert world.fs.read(reader, 0, 10) == b"one"
    assert not world.fs.open("/f", RO).is_direct
    writer = world.fs.open("/f", RW).number
    world.fs.write(writer, 3, b"two")
    assert world.fs.read(reader, 0, 10) == b"onetwo"
    world.close_file(writer)
    world.settle()
    assert world.account.files() == {"/f": b"onetwo"}


@pytest.mark.parametrize("is_remote", [True, False])
def test_an_unlinked_file_works_until_it_is_closed_and_leaves_nothing(world: World, is_remote: bool) -> None:
    if is_remote:
        world.theirs("/f", b"12345")
        number = world.fs.open("/f", RW).number
    else:
        number = world.fs.create("/f", RW | os.O_CREAT).number
        world.fs.write(number, 0, b"12345")
    world.fs.unlink("/f")
    with pytest.raises(NotFound):
        world.fs.getattr("/f")
    assert world.fs.read(number, 0, 10) == b"12345"
    world.fs.write(number, 5, b"678")
    assert world.fs.read(number, 0, 10) == b"12345678"
    assert world.fs.fgetattr(number).size_bytes == 8
    world.fs.fsync(number)
    world.close_file(number)
    world.settle()
    assert world.account.files() == {}
    assert world.names() == set()
    assert world.spool.names() == []


@pytest.mark.parametrize("is_remote", [True, False])
@pytest.mark.parametrize("is_written", [True, False])
def test_what_libfuse_hides_works_until_it_is_closed(world: World, is_remote: bool, is_written: bool) -> None:
    world.put("/f", b"12345")
    if is_remote:
        world.settle()
    number = world.fs.open("/f", RW).number
    world.fs.rename("/f", HIDDEN)
    if is_written:
        world.fs.write(number, 5, b"678")
    expected = b"12345678" if is_written else b"12345"
    assert world.fs.read(number, 0, 10) == expected
    assert world.fs.getattr(HIDDEN).size_bytes == len(expected)
    world.close_file(number)
    world.settle()
    assert world.account.files() == {}
    assert world.names() == set()
    assert world.spool.names() == []


@pytest.mark.parametrize("is_remote", [True, False])
def test_what_libfuse_hides_too_late_is_gone_at_once(world: World, is_remote: bool) -> None:
    world.put("/f", b"12345")
    if is_remote:
        world.settle()
    world.fs.rename("/f", HIDDEN)  # its last handle was released meanwhile, and nobody will unlink it
    world.settle()
    assert world.account.files() == {}
    assert world.names() == set()
    assert world.spool.names() == []


@pytest.mark.parametrize("is_remote", [True, False])
def test_a_file_renamed_while_open_is_written_under_its_new_name(world: World, is_remote: bool) -> None:
    world.fs.mkdir("/a")
    world.put("/a/f", b"12345")
    if is_remote:
        world.settle()
    number = world.fs.open("/a/f", RW).number
    world.fs.rename("/a", "/b")
    world.fs.write(number, 5, b"678")
    world.close_file(number)
    assert world.get("/b/f") == b"12345678"
    world.settle()
    assert world.account.files() == {"/b/f": b"12345678"}


def test_a_file_replaced_while_open_keeps_its_bytes(world: World) -> None:
    world.theirs("/f", b"old")
    world.put("/tmp", b"new")
    number = world.fs.open("/f", RW).number
    world.fs.rename("/tmp", "/f")
    assert world.fs.read(number, 0, 10) == b"old"
    world.fs.write(number, 0, b"lost")
    assert world.get("/f") == b"new"
    world.close_file(number)
    world.settle()
    assert world.account.files() == {"/f": b"new"}
    assert world.spool.names() == []


def test_saving_by_rename_is_one_new_revision(world: World) -> None:
    world.theirs("/doc", b"old")
    world.put("/.doc.x7Zq1P", b"new")
    world.fs.rename("/.doc.x7Zq1P", "/doc")
    world.settle()
    assert world.account.files() == {"/doc": b"new"}
    assert len(world.account.submits) == 1


def test_a_folder_open_while_renamed_is_still_listed(world: World) -> None:
    world.fs.mkdir("/a")
    world.put("/a/f", b"")
    number = world.fs.opendir("/a")
    world.fs.rename("/a", "/b")
    assert world.fs.readdir(number) == [("f", stat.S_IFREG | 0o644)]
    world.fs.releasedir(number)


# Promises of close and fsync


def test_fsync_makes_bytes_and_row_survive_power_loss(world: World) -> None:
    number = world.fs.create("/f", WO | os.O_CREAT).number
    world.fs.write(number, 0, b"x")
    world.fs.flush(number)
    assert not world.journal.live()[0].is_synced
    world.fs.fsync(number)
    assert world.journal.live()[0].is_synced
    world.fs.release(number)


def test_close_fsync_waits_for_the_disk(tmp_path: Path) -> None:
    world = World(tmp_path, close=Promise.FSYNC)
    world.put("/f", b"x")
    assert world.journal.live()[0].is_synced
    world.close()


def test_close_remote_waits_for_the_commit(tmp_path: Path) -> None:
    world = World(tmp_path, close=Promise.REMOTE)
    number = world.fs.create("/f", RW | os.O_CREAT).number
    world.fs.write(number, 0, b"one")
    world.fs.flush(number)
    assert world.account.files() == {"/f": b"one"}
    world.fs.write(number, 3, b"two")
    world.close_file(number)
    assert world.account.files() == {"/f": b"onetwo"}
    world.close()


def test_fsync_remote_reports_why_it_was_not_committed(tmp_path: Path) -> None:
    world = World(tmp_path, fsync=Promise.REMOTE)
    world.theirs("/f", b"old")
    number = world.fs.open("/f", RW).number
    world.fs.write(number, 0, b"mine")
    world.theirs("/f", b"theirs")
    with pytest.raises(Exception, match="somebody else"):
        world.fs.fsync(number)
    world.fs.release(number)
    world.close()


def test_fsync_of_a_folder_makes_its_changes_survive_power_loss(world: World) -> None:
    world.fs.mkdir("/d")
    world.put("/d/f", b"x")
    number = world.fs.opendir("/d")
    world.fs.fsyncdir(number)
    assert all(change.is_synced for change in world.journal.live() if change.spool)
    world.fs.releasedir(number)


# Large files on their way while they are written


def test_the_uploader_hears_of_a_large_file_from_its_beginning(world: World) -> None:
    number = world.fs.create("/f", RW | os.O_CREAT).number
    world.fs.write(number, 0, b"x" * 600)
    assert world.told.calls == []
    world.fs.write(number, 600, b"x" * 600)
    world.fs.write(number, 1200, b"x" * 100)
    world.fs.ftruncate(number, 1100)
    (change,) = world.journal.live()
    assert world.told.calls == [
        ("wrote", change.id, 0, 1200),
        ("wrote", change.id, 1200, 1300),
        ("truncated", change.id, 1100),
    ]
    world.close_file(number)


def test_where_the_size_must_be_known_nothing_is_told(tmp_path: Path) -> None:
    limits = replace(MEMORY_LIMITS, session_min_bytes=1000, size_known_at_start=True)
    world = World(tmp_path, limits)
    world.put("/f", b"x" * 5000)
    assert world.told.calls == []
    world.close()


# Space


def test_a_file_larger_than_the_service_takes_is_refused_at_the_write(tmp_path: Path) -> None:
    world = World(tmp_path, replace(MEMORY_LIMITS, max_file_bytes=10))
    number = world.fs.create("/f", RW | os.O_CREAT).number
    world.fs.write(number, 0, b"x" * 10)
    with pytest.raises(TooLarge):
        world.fs.write(number, 10, b"x")
    with pytest.raises(TooLarge):
        world.fs.ftruncate(number, 11)
    world.close_file(number)
    assert world.get("/f") == b"x" * 10
    world.close()


def test_a_bound_that_is_learned_late_holds_from_then_on(tmp_path: Path) -> None:
    world = World(tmp_path, MEMORY_LIMITS)
    number = world.fs.create("/f", RW | os.O_CREAT).number
    world.limits = replace(MEMORY_LIMITS, max_file_bytes=10)
    with pytest.raises(TooLarge):
        world.fs.write(number, 0, b"x" * 11)
    world.close_file(number)
    world.close()


def test_a_full_spool_refuses_the_write_and_keeps_what_there_is(tmp_path: Path) -> None:
    world = World(tmp_path, quota=Quota(limit_bytes=MIB, reserve_bytes=0))
    paused: list[float] = []
    object.__setattr__(world.services, "pause", paused.append)
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


def test_statfs_shows_the_quota_and_asks_once(world: World) -> None:
    world.theirs("/f", b"x" * 100)
    world.account.tree.quota_bytes = 1000
    volume = world.fs.statfs()
    assert (volume.total_bytes, volume.free_bytes) == (1000, 900)
    world.backend.is_online = False
    assert world.fs.statfs() == volume
    assert world.backend.calls()["space"] == 1


def test_statfs_of_an_account_without_limit_is_large(world: World) -> None:
    assert world.fs.statfs().total_bytes == UNLIMITED_BYTES


def test_statfs_answers_while_the_network_is_down(world: World) -> None:
    world.backend.is_online = False
    assert world.fs.statfs().total_bytes == UNLIMITED_BYTES


# Errors


def test_each_refusal_is_the_one_that_posix_names(world: World) -> None:
    world.fs.mkdir("/d")
    world.put("/d/f", b"x")
    for refusal, call in [
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
        (NotPermitted, lambda: world.fs.mknod("/p", stat.S_IFIFO)),
        (NotPermitted, lambda: world.fs.rmdir("/")),
        (NotPermitted, lambda: world.fs.rename("/", "/x")),
        (NotSupported, lambda: world.fs.getxattr("/d", "user.other")),
    ]:
        with pytest.raises(refusal):
            call()
    assert world.get("/d/f") == b"x"
    assert len(world.spool.names()) == 1


def test_creating_what_exists_opens_it(world: World) -> None:
    world.theirs("/f", b"there")
    number = world.fs.create("/f", RW | os.O_CREAT).number
    assert world.fs.read(number, 0, 10) == b"there"
    world.close_file(number)


def test_mknod_makes_an_empty_file(world: World) -> None:
    world.fs.mknod("/f", stat.S_IFREG | 0o600)
    world.settle()
    assert world.account.files() == {"/f": b""}


def test_a_document_without_bytes_is_listed_but_not_opened(world: World) -> None:
    file = world.theirs("/d.gdoc", b"")
    entries = world.account.tree._entries
    entries["/d.gdoc"] = replace(file, is_downloadable=False)
    assert world.names() == {"d.gdoc"}
    with pytest.raises(NotPermitted):
        world.fs.open("/d.gdoc", RO)


def test_uncached_reads_fail_while_the_network_is_down_and_writes_go_on(world: World) -> None:
    world.theirs("/f", b"x")
    number = world.fs.open("/f", RO).number
    world.backend.is_online = False
    with pytest.raises(Offline):
        world.fs.read(number, 0, 1)
    world.put("/g", b"mine")
    assert world.get("/g") == b"mine"
    world.close_file(number)


def test_a_failed_copy_leaves_file_and_spool_as_they_were(world: World) -> None:
    world.theirs("/f", b"x" * 10)
    number = world.fs.open("/f", RW).number
    world.backend.is_online = False
    with pytest.raises(Offline):
        world.fs.write(number, 3, b"y")
    assert world.spool.names() == []
    assert world.journal.live() == []
    world.backend.is_online = True
    world.fs.write(number, 3, b"y")
    world.close_file(number)
    assert world.get("/f") == b"xxxyxxxxxx"


def test_a_read_only_mount_changes_nothing(world: World) -> None:
    world.theirs("/f", b"x")
    fs = world.file_system(is_read_only=True)
    for call in [
        lambda: fs.open("/f", RW),
        lambda: fs.open("/f", RO | os.O_TRUNC),
        lambda: fs.create("/g", WO),
        lambda: fs.mkdir("/d"),
        lambda: fs.unlink("/f"),
        lambda: fs.rename("/f", "/g"),
        lambda: fs.truncate("/f", 0),
        lambda: fs.utimens("/f", 0),
        lambda: fs.chmod("/f"),
        lambda: fs.access("/f", os.W_OK),
    ]:
        with pytest.raises(ReadOnly):
            call()
    fs.access("/f", os.R_OK)
    number = fs.open("/f", RO).number
    assert fs.read(number, 0, 10) == b"x"
    fs.release(number)


def test_while_draining_open_files_are_finished_and_nothing_new_begins(world: World) -> None:
    world.theirs("/g", b"x")
    number = world.fs.create("/f", WO | os.O_CREAT).number
    world.fs.stop_taking_writes()
    world.fs.write(number, 0, b"done")
    for call in [
        lambda: world.fs.create("/h", WO),
        lambda: world.fs.open("/g", RW),
        lambda: world.fs.mkdir("/d"),
        lambda: world.fs.unlink("/g"),
        lambda: world.fs.rename("/g", "/h"),
    ]:
        with pytest.raises(ShuttingDown):
            call()
    world.close_file(number)
    assert world.get("/f") == b"done"
    assert world.get("/g") == b"x"


# Attributes


def test_times_are_kept_to_the_second_through_the_commit(world: World) -> None:
    number = world.fs.create("/f", WO | os.O_CREAT).number
    world.fs.write(number, 0, b"x")
    world.fs.utimens("/f", 1_500_000_000 * NS_PER_S + 7)
    assert world.fs.getattr("/f").mtime_ns == 1_500_000_000 * NS_PER_S
    world.close_file(number)
    assert world.fs.getattr("/f").mtime_ns == 1_500_000_000 * NS_PER_S
    world.settle()
    assert world.fs.getattr("/f").mtime_ns == 1_500_000_000 * NS_PER_S


def test_a_time_set_between_flush_and_release_is_kept(world: World) -> None:
    number = world.fs.create("/f", WO | os.O_CREAT).number
    world.fs.flush(number)
    world.fs.utimens("/f", 1_500_000_000 * NS_PER_S)
    assert world.journal.live()[0].mtime_ns == 1_500_000_000 * NS_PER_S
    world.fs.release(number)
    assert world.fs.getattr("/f").mtime_ns == 1_500_000_000 * NS_PER_S


def test_a_write_after_a_time_was_set_counts_as_the_last_change(world: World) -> None:
    number = world.fs.create("/f", WO | os.O_CREAT).number
    world.fs.utimens("/f", 1_500_000_000 * NS_PER_S)
    world.fs.write(number, 0, b"x")
    assert world.fs.getattr("/f").mtime_ns > 1_700_000_000 * NS_PER_S
    world.close_file(number)


@pytest.mark.parametrize("path", ["/closed", "/remote", "/folder"])
def test_a_time_set_on_what_is_not_being_written_is_kept(world: World, path: str) -> None:
    world.put("/closed", b"x")
    world.theirs("/remote", b"x")
    world.fs.mkdir("/folder")
    world.fs.utimens(path, 1_500_000_000 * NS_PER_S)
    assert world.fs.getattr(path).mtime_ns == 1_500_000_000 * NS_PER_S
    world.fs.utimens(path, None)
    assert world.fs.getattr(path).mtime_ns > 1_700_000_000 * NS_PER_S


def test_modes_and_owners_are_the_mounts(tmp_path: Path) -> None:
    world = World(tmp_path, umask=0o027, uid=1234, gid=4321)
    world.put("/f", b"")
    world.fs.chmod("/f")
    shown = world.fs.getattr("/f")
    assert (shown.mode, shown.uid, shown.gid) == (stat.S_IFREG | 0o640, 1234, 4321)
    assert world.fs.getattr("/").mode == stat.S_IFDIR | 0o750
    world.close()


def test_the_top_of_the_mount_may_be_a_folder_of_the_account(world: World) -> None:
    world.theirs("/sub/f", b"x")
    fs = world.file_system(root=RemotePath.parse("/sub"))
    number = fs.opendir("/")
    assert [name for name, _ in fs.readdir(number)] == ["f"]
    fs.mkdir("/d")
    assert world.names("/sub") == {"f", "d"}
    with pytest.raises(NotPermitted):
        fs.rmdir("/")


def test_extended_attributes_tell_how_far_a_file_is(tmp_path: Path) -> None:
    world = World(tmp_path, socket="/run/mountfs.sock")
    world.put("/f", b"x")
    assert world.fs.getxattr("/f", "user.mountfs.state") != b"clean"
    world.settle()
    assert world.fs.getxattr("/f", "user.mountfs.state") == b"clean"
    assert world.fs.getxattr("/", "user.mountfs.socket") == b"/run/mountfs.sock"
    assert world.fs.listxattr("/f") == ["user.mountfs.state"]
    assert "user.mountfs.socket" in world.fs.listxattr("/")
    with pytest.raises(NotSupported):
        world.fs.getxattr("/f", "user.mountfs.socket")
    world.close()


def test_names_are_one_whatever_their_case(world: World) -> None:
    world.put("/Report.txt", b"x")
    assert world.get("/REPORT.TXT") == b"x"
    number = world.fs.open("/REPORT.txt", RW).number
    world.fs.write(number, 1, b"y")
    assert world.fs.getattr("/report.txt").size_bytes == 2
    world.close_file(number)
    world.fs.rename("/report.txt", "/REPORT.txt")
    assert world.names() == {"REPORT.txt"}
    assert world.get("/report.TXT") == b"xy"


def test_no_file_stays_open_and_no_change_stays_open(world: World) -> None:
    world.put("/f", b"x")
    world.get("/f")
    assert len(world.files) == 0
    assert all(change.state is not ChangeState.OPEN for change in world.journal.live())


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


def test_bytes_that_were_safe_from_power_loss_are_not_written_over_before_the_journal_says_so(
    world: World,
) -> None:
    number = world.fs.create("/f", WO | os.O_CREAT).number
    world.fs.write(number, 0, b"one")
    world.fs.flush(number)
    world.fs.fsync(number)
    (change,) = world.journal.live()
    assert change.is_flushed
    assert change.is_synced
    synced: list[bool] = []

    class Watched:
        def sync_change(self, change_id: int) -> None:
            raise AssertionError("nobody asked for this")

        def sync_journal(self) -> None:
            (row,) = world.journal.live()
            synced.append(row.is_flushed or row.is_synced)
            assert world.spool.read(row.spool or "", 0, 10) == b"one"
            world.durability.sync_journal()

    world.services = replace(world.services, durable=Watched())
    for file in world.files.all():
        file._services = world.services
    world.fs.write(number, 0, b"two")
    world.fs.write(number, 0, b"six")
    assert synced == [False]
    world.close_file(number)


def test_who_writes_on_in_a_replaced_file_leaves_what_was_closed_of_it_alone(world: World) -> None:
    replaced = world.fs.create("/a", WO | os.O_CREAT).number
    world.fs.write(replaced, 0, b"aaaa")
    world.fs.flush(replaced)
    other = world.fs.create("/b", WO | os.O_CREAT).number
    world.fs.write(other, 0, b"bbbb")
    world.fs.rename("/b", "/a")
    world.fs.write(replaced, 0, b"TO")
    for row in world.journal.live():
        if row.is_flushed:  # a crash would publish it
            assert world.spool.read(row.spool or "", 0, 10) == b"aaaa"
    world.fs.release(replaced)
    world.close_file(other)
    world.settle()
    assert world.account.files() == {"/a": b"bbbb"}
