"""What is written is read back, before and after the service has it."""

from __future__ import annotations

import os
import stat

import pytest

from mountfs.errors import BadHandle, InvalidArgument
from mountfs.spool.disk import RealDisk
from mountfs.tree.label import NOBODYS
from tests.doubles.world import World

RW = os.O_RDWR
RO = os.O_RDONLY
WO = os.O_WRONLY


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
    assert world.pending() == []
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


def test_a_file_that_is_cut_to_the_size_that_it_has_is_changed_unless_it_is_empty(world: World) -> None:
    world.theirs("/empty", b"")
    world.theirs("/f", b"bytes")
    before = [world.fs.getattr(path) for path in ("/empty", "/f")]
    world.fs.truncate("/empty", 0)
    world.fs.truncate("/f", 5)
    assert world.fs.getattr("/empty") == before[0]
    assert world.fs.getattr("/f").mtime_ns > before[1].mtime_ns
    assert world.get("/f") == b"bytes"


def test_a_file_is_emptied_also_by_who_opens_it_for_reading(world: World) -> None:
    world.theirs("/f", b"old bytes")
    number = world.fs.open("/f", RO | os.O_TRUNC).number
    assert world.fs.getattr("/f").size_bytes == 0
    world.close_file(number)
    world.settle()
    assert world.account.files() == {"/f": b""}


def test_a_pending_file_is_written_again_as_a_copy_of_itself(world: World) -> None:
    world.put("/f", b"first")
    number = world.fs.open("/f", RW).number
    world.fs.write(number, 5, b" second")
    world.close_file(number)
    assert world.get("/f") == b"first second"
    world.settle()
    assert world.account.files() == {"/f": b"first second"}
    assert world.core.spool.names() == []


def test_a_write_after_a_flush_is_part_of_the_file(world: World) -> None:
    number = world.fs.create("/f", WO | os.O_CREAT).number
    world.fs.write(number, 0, b"one")
    world.fs.flush(number)
    draft = world.state("/f").draft
    assert draft is not None
    assert draft.is_flushed
    assert draft.size_bytes == 3
    world.fs.write(number, 3, b"two")
    draft = world.state("/f").draft
    assert draft is not None
    assert not draft.is_flushed
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
    before, commits = world.state("/f"), world.core.tree.store.commits
    world.fs.flush(number)
    assert world.state("/f") is before
    assert world.core.tree.store.commits == commits
    world.fs.release(number)


def test_appending_goes_to_the_end_whatever_offset_comes(world: World) -> None:
    world.put("/f", b"12345")
    number = world.fs.open("/f", WO | os.O_APPEND).number
    world.fs.write(number, 0, b"678")
    world.fs.write(number, 0, b"x", is_placed=True)
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
    assert len(world.core.files) == 0


# New files


def test_creating_what_exists_opens_it(world: World) -> None:
    world.theirs("/f", b"there")
    number = world.fs.create("/f", RW | os.O_CREAT).number
    assert world.fs.read(number, 0, 10) == b"there"
    world.close_file(number)


def test_mknod_makes_an_empty_file(world: World) -> None:
    world.fs.mknod("/f", stat.S_IFREG | 0o600)
    world.settle()
    assert world.account.files() == {"/f": b""}


@pytest.mark.parametrize("is_flushed", [True, False])
def test_a_file_that_was_made_by_opening_it_for_reading_is_an_empty_file(
    world: World, is_flushed: bool
) -> None:
    number = world.fs.create("/f", RO | os.O_CREAT).number
    assert world.fs.read(number, 0, 10) == b""
    if is_flushed:
        world.fs.flush(number)
    world.fs.release(number)
    assert world.word("/f") == "sealed"
    world.settle()
    assert world.account.files() == {"/f": b""}
    assert world.word("/f") == "clean"


def test_a_file_that_was_made_by_opening_it_for_reading_outlives_a_crash_from_its_close_on(
    world: World,
) -> None:
    world.fs.flush(world.fs.create("/f", RO | os.O_CREAT).number)
    world.restart()
    world.settle()
    assert world.account.files() == {"/f": b""}


def test_no_file_stays_open_and_none_is_left_as_being_written(world: World) -> None:
    world.put("/f", b"x")
    world.get("/f")
    assert len(world.core.files) == 0
    assert "open" not in dict(world.pending()).values()


@pytest.mark.parametrize("is_remote", [True, False])
def test_a_copy_for_the_first_write_is_nobodys_until_it_has_its_bytes(
    world: World, monkeypatch: pytest.MonkeyPatch, *, is_remote: bool
) -> None:
    """A kill meanwhile leaves what the file has besides: nobody is told of lost changes."""
    world.put("/f", b"12345")
    if is_remote:
        world.settle()
    labels = []
    copy, pwrite = RealDisk.copy, RealDisk.pwrite

    def look(disk: RealDisk, fd: int) -> None:
        if os.fstat(fd).st_size == 0:
            labels.append(disk.label_of(f"/proc/self/fd/{fd}"))

    def copying(disk: RealDisk, source_fd: int, target_fd: int, length: int, at: int) -> None:
        look(disk, target_fd)
        copy(disk, source_fd, target_fd, length, at)

    def writing(disk: RealDisk, fd: int, data: bytes, offset: int) -> None:
        look(disk, fd)
        pwrite(disk, fd, data, offset)

    monkeypatch.setattr(RealDisk, "copy", copying)
    monkeypatch.setattr(RealDisk, "pwrite", writing)
    number = world.fs.open("/f", os.O_RDWR).number
    world.fs.write(number, 0, b"a")
    assert labels == [NOBODYS]
    world.close_file(number)
    world.settle()
    assert world.account.files() == {"/f": b"a2345"}
