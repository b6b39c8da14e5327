"""Open files, and what happens to their names and bytes meanwhile."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mountfs.errors import NotFound
from mountfs.spool.disk import RealDisk
from tests.doubles.world import World

RW = os.O_RDWR
RO = os.O_RDONLY
WO = os.O_WRONLY
HIDDEN = ".fuse_hidden0000000700000001"
"""As libfuse calls a file that is removed while it is open."""


def test_an_open_file_reads_one_revision(world: World) -> None:
    world.theirs("/f", b"old")
    old = world.fs.open("/f", RO)
    world.theirs("/f", b"newer")
    new = world.fs.open("/f", RO)
    assert world.fs.read(old.number, 0, 10) == b"old"
    assert world.fs.read(new.number, 0, 10) == b"newer"
    world.close_file(old.number)
    world.close_file(new.number)


def test_what_is_edited_is_the_revision_that_was_opened(world: World) -> None:
    world.theirs("/f", b"old")
    number = world.fs.open("/f", RW).number
    world.theirs("/f", b"theirs")
    world.fs.getattr("/f")
    world.fs.write(number, 0, b"O")
    world.close_file(number)
    world.settle()
    files = world.account.files()
    assert files.pop("/f") == b"theirs"
    ((path, body),) = files.items()
    assert "conflicted copy" in path
    assert body == b"Old"
    assert "somebody else" in world.notices()[0]


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
        number = world.begin("/f", b"12345")
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
    assert world.core.spool.names() == []


@pytest.mark.parametrize("is_remote", [True, False])
@pytest.mark.parametrize("is_written", [True, False])
def test_what_libfuse_hides_works_until_it_is_closed(world: World, is_remote: bool, is_written: bool) -> None:
    world.put("/f", b"12345")
    if is_remote:
        world.settle()
    number = world.fs.open("/f", RW).number
    world.fs.rename("/f", f"/{HIDDEN}")
    if is_written:
        world.fs.write(number, 5, b"678")
    expected = b"12345678" if is_written else b"12345"
    assert world.fs.read(number, 0, 10) == expected
    assert world.fs.getattr(f"/{HIDDEN}").size_bytes == len(expected)
    world.close_file(number)
    world.settle()
    assert world.account.files() == {}
    assert world.names() == set()
    assert world.core.spool.names() == []


@pytest.mark.parametrize("is_remote", [True, False])
def test_what_libfuse_hides_too_late_is_gone_at_once(world: World, is_remote: bool) -> None:
    world.put("/f", b"12345")
    if is_remote:
        world.settle()
    world.fs.rename("/f", f"/{HIDDEN}")  # its last handle was released meanwhile, and nobody will unlink it
    world.settle()
    assert world.account.files() == {}
    assert world.names() == set()
    assert world.core.spool.names() == []


@pytest.mark.parametrize("is_written", [True, False])
@pytest.mark.parametrize("by", ["others", "another spelling"])
def test_an_open_file_that_was_removed_under_libfuses_eyes_is_in_no_renames_way(
    world: World, by: str, is_written: bool
) -> None:
    """Before a rename over what libfuse has as open, it has that hidden, and gives up where it is told that
    there is nothing."""
    world.theirs("/f", b"12345")
    number = world.fs.open("/f", RW).number
    if is_written:
        world.fs.write(number, 0, b"o")
    if by == "others":
        world.account.remove("/f")
        world.follow()
    else:
        world.fs.unlink("/F")
    world.fs.rename("/f", f"/{HIDDEN}")
    body = b"o2345" if is_written else b"12345"
    assert world.fs.read(number, 0, 10) == body
    assert world.fs.getattr(f"/{HIDDEN}").size_bytes == 5
    again = world.fs.open(f"/{HIDDEN}", RO).number
    assert world.fs.read(again, 0, 10) == body
    world.fs.release(again)
    world.put("/new", b"new")
    world.fs.rename("/new", "/f")
    world.fs.unlink(f"/{HIDDEN}")
    world.close_file(number)
    world.settle()
    assert world.account.files()["/f"] == b"new"
    assert not [name for name in world.names() if name.startswith(".fuse")]


@pytest.mark.parametrize("is_hidden", [True, False])
def test_a_file_that_was_removed_by_another_spelling_while_it_was_open_stays_gone_after_a_kill(
    world: World, *, is_hidden: bool
) -> None:
    number = world.begin("/f", b"12345")
    world.fs.unlink("/F")
    if is_hidden:
        world.fs.rename("/f", f"/{HIDDEN}")
    world.fs.write(number, 0, b"a")
    world.restart()
    assert world.names() == set()
    assert world.notices() == []


def test_what_others_have_replaced_while_it_was_open_keeps_the_name_that_libfuse_gives_it(
    world: World,
) -> None:
    """`rm` removes theirs; fchmod(2) and /proc/self/fd of what is open come by that name."""
    world.theirs("/f", b"12345")
    number = world.fs.open("/f", RW).number
    world.account.remove("/f")
    world.follow()
    world.theirs("/f", b"other")
    world.follow()
    world.fs.rename("/f", f"/{HIDDEN}")
    world.fs.metadata.chmod(f"/{HIDDEN}", 0o600)
    assert stat.S_IMODE(world.fs.getattr(f"/{HIDDEN}").mode) == 0o600
    again = world.fs.open(f"/{HIDDEN}", RO).number
    assert world.fs.read(again, 0, 10) == b"12345"
    world.fs.release(again)
    world.fs.unlink(f"/{HIDDEN}")
    world.close_file(number)
    world.settle()
    assert world.remote() == {}


def test_a_folder_that_others_made_in_place_of_an_open_file_is_not_hidden_as_that(world: World) -> None:
    """They would all see it under that name."""
    world.theirs("/f", b"12345")
    number = world.fs.open("/f", RW).number
    world.account.remove("/f")
    world.account.mkdir("/f")
    world.follow()
    world.mkdir("/new")
    world.fs.rename("/f", f"/{HIDDEN}")
    world.fs.rename("/new", "/f")
    assert world.fs.read(number, 0, 10) == b"12345"
    world.fs.unlink(f"/{HIDDEN}")
    world.close_file(number)
    world.settle()
    assert world.remote() == {"/f": None}
    assert world.names() == {"f"}


@pytest.mark.parametrize("is_remote", [True, False])
def test_a_file_renamed_while_open_is_written_under_its_new_name(world: World, is_remote: bool) -> None:
    world.mkdir("/a")
    world.put("/a/f", b"12345")
    if is_remote:
        world.settle()
    number = world.fs.open("/a/f", RW).number
    world.rename("/a", "/b")
    world.fs.write(number, 5, b"678")
    world.close_file(number)
    assert world.get("/b/f") == b"12345678"
    world.settle()
    assert world.account.files() == {"/b/f": b"12345678"}


def test_a_file_replaced_while_open_keeps_its_bytes(world: World) -> None:
    world.theirs("/f", b"old")
    world.put("/tmp", b"new")
    number = world.fs.open("/f", RW).number
    world.rename("/tmp", "/f")
    assert world.fs.read(number, 0, 10) == b"old"
    world.fs.write(number, 0, b"lost")
    assert world.get("/f") == b"new"
    world.close_file(number)
    world.settle()
    assert world.account.files() == {"/f": b"new"}
    assert world.core.spool.names() == []


def test_who_writes_on_in_a_replaced_file_leaves_what_was_closed_of_it_alone(world: World) -> None:
    replaced = world.fs.create("/a", WO | os.O_CREAT).number
    world.fs.write(replaced, 0, b"aaaa")
    world.fs.flush(replaced)
    other = world.fs.create("/b", WO | os.O_CREAT).number
    world.fs.write(other, 0, b"bbbb")
    world.rename("/b", "/a")
    world.fs.write(replaced, 0, b"TO")
    for content, node, _ in world.core.tree.store.contents():
        if node is not None and content.is_flushed:  # a crash would publish it
            assert world.core.spool.read(content.spool, 0, 10) == b"aaaa"
    world.fs.release(replaced)
    world.close_file(other)
    world.settle()
    assert world.account.files() == {"/a": b"bbbb"}


def test_saving_by_rename_is_one_new_revision(world: World) -> None:
    world.theirs("/doc", b"old")
    world.put("/.doc.x7Zq1P", b"new")
    world.rename("/.doc.x7Zq1P", "/doc")
    world.settle()
    assert world.account.files() == {"/doc": b"new"}
    assert len(world.account.submits) == 1


def test_a_folder_open_while_renamed_is_still_listed(world: World) -> None:
    world.mkdir("/a")
    world.put("/a/f", b"")
    number = world.fs.opendir("/a")
    world.rename("/a", "/b")
    assert [(name, mode) for name, mode, _ in world.fs.readdir(number)] == [("f", stat.S_IFREG | 0o644)]
    world.fs.releasedir(number)


def test_names_are_one_whatever_their_case(world: World) -> None:
    world.put("/Report.txt", b"x")
    assert world.get("/REPORT.TXT") == b"x"
    number = world.fs.open("/REPORT.txt", RW).number
    world.fs.write(number, 1, b"y")
    assert world.fs.getattr("/report.txt").size_bytes == 2
    world.close_file(number)
    world.rename("/report.txt", "/REPORT.txt")
    assert world.names() == {"REPORT.txt"}
    assert world.get("/report.TXT") == b"xy"


# A folder that is removed with a file that is still open in it


def remove_as_libfuse_does(world: World, folder: str, name: str) -> None:
    """`rm -rf` of a folder with one file, which is open."""
    world.rename(f"{folder}/{name}", f"{folder}/{HIDDEN}")
    world.fs.rmdir(folder)


@pytest.mark.parametrize("how", ["being made", "closed and opened again", "remote"])
def test_a_folder_is_removed_with_a_file_that_is_open_in_it(world: World, how: str) -> None:
    world.mkdir("/d")
    number = world.begin("/d/f", b"12345")
    if how != "being made":
        world.close_file(number)
        if how == "remote":
            world.settle()
        number = world.fs.open("/d/f", RW).number
    remove_as_libfuse_does(world, "/d", "f")
    assert world.names() == set()
    with pytest.raises(NotFound):
        world.fs.getattr("/d")
    assert world.fs.read(number, 0, 10) == b"12345"
    world.fs.write(number, 5, b"678")
    world.fs.fsync(number)
    assert world.fs.read(number, 0, 10) == b"12345678"
    assert world.fs.fgetattr(number).size_bytes == 8
    assert world.fs.getattr(f"/d/{HIDDEN}").size_bytes == 8
    world.settle()
    assert world.remote() == {}
    world.close_file(number)
    world.settle()
    assert world.remote() == {}
    assert world.core.spool.names() == []
    assert world.notices() == []


def test_what_is_open_in_a_removed_folder_gets_in_nobodys_way_when_the_folder_is_made_anew(
    world: World,
) -> None:
    world.mkdir("/d")
    number = world.begin("/d/f", b"old")
    remove_as_libfuse_does(world, "/d", "f")
    world.mkdir("/d")
    world.put("/d/f", b"new")
    world.fs.write(number, 3, b"er")
    assert world.fs.read(number, 0, 10) == b"older"
    world.close_file(number)
    world.settle()
    assert world.remote() == {"/d": None, "/d/f": b"new"}


# Closed, and not released yet


@pytest.mark.parametrize("flags", [WO | os.O_APPEND, RW, WO | os.O_TRUNC], ids=["append", "edit", "truncate"])
def test_what_was_closed_is_there_whoever_opens_it_before_its_release(world: World, flags: int) -> None:
    """The kernel releases a handle some time after close(2) has returned: `echo a >f; echo b >>f`."""
    first = world.begin("/f", b"closed")
    world.fs.flush(first)
    second = world.open("/f", flags)
    world.fs.release(first)
    world.fs.write(second, 0, b"being written")
    world.restart()
    assert world.get("/f") == b"closed"
    world.settle()
    assert world.account.files()["/f"] == b"closed"


def test_a_file_that_one_of_two_writers_has_closed_is_still_one_file(world: World) -> None:
    first, second = world.begin("/f", b"one"), world.open("/f", WO | os.O_APPEND)
    world.fs.write(second, 0, b" two")
    world.fs.flush(first)
    third = world.open("/f", WO | os.O_APPEND)
    world.fs.write(third, 0, b" three")
    spools = {content.spool for content, _, _ in world.core.tree.store.contents()}
    assert len(spools) == 1
    for number in (second, third):
        world.close_file(number)
    world.fs.release(first)
    world.settle()
    assert world.account.files() == {"/f": b"one two three"}
    assert world.revisions_of("/f") == 1


def test_a_descriptor_that_was_copied_may_go_on_after_the_close_of_the_other(world: World) -> None:
    """As in a shell whose children inherit what it has open: each of their ends is a close(2) of its own."""
    first = world.begin("/f", b"a")
    world.fs.flush(first)
    second = world.open("/f", WO | os.O_APPEND)
    world.fs.write(second, 0, b"b")
    world.fs.write(first, 2, b"c")
    for number in (first, second):
        world.close_file(number)
    world.settle()
    assert world.account.files() == {"/f": b"abc"}


class Watched(RealDisk):
    """Notes of each sync whether it is made under the account's lock; fails on demand."""

    def __init__(self) -> None:
        self.world: World | None = None
        self.locked: list[bool] = []
        self.fails = False

    def fdatasync(self, fd: int) -> None:
        if self.world is not None:
            self.locked.append(self.world.core.tree.lock._is_owned())  # type: ignore[attr-defined]
        if self.fails:
            raise OSError("I/O error")
        super().fdatasync(fd)


@pytest.mark.parametrize("fails", [False, True])
def test_what_was_closed_is_synced_before_the_next_open_but_not_under_the_lock(
    tmp_path: Path, *, fails: bool
) -> None:
    """`echo 1 >f; sync f; echo 2 >>f; echo 3 >>f`. Whoever syncs the journal at that moment wants the lock,
    and has others wait for it: both would wait for ever."""
    disk = Watched()
    world = World(tmp_path, disk=disk)
    world.put("/f", b"1")
    world.core.durability.step(world.clock.now_s())
    first = world.open("/f", WO | os.O_APPEND)
    world.fs.write(first, 0, b"2")
    world.fs.flush(first)
    disk.world, disk.fails = world, fails
    second = world.open("/f", WO | os.O_APPEND)
    assert disk.locked
    assert not any(disk.locked)
    disk.fails = False
    closed = world.state("/f").content
    assert closed is not None
    assert world.core.spool.read(closed.spool, 0, 9) == b"12"
    assert closed.is_synced is not fails
    world.fs.write(second, 0, b"3")
    for number in (first, second):
        world.close_file(number)
    world.settle()
    assert world.account.files() == {"/f": b"123"}
    world.close()


def test_a_version_that_was_removed_while_it_was_open_ends_beside_a_newer_one(world: World) -> None:
    """Somebody else brings the file back, a program here writes that anew, and only then the last handle of
    what was removed is closed."""
    world.theirs("/f", b"theirs")
    number = world.open("/f", RW)
    world.put("/f", b"ours")
    world.rename("/f", f"/{HIDDEN}")
    world.theirs("/f", b"theirs again")
    assert world.get("/f") == b"theirs again"
    world.put("/f", b"newest")
    world.core.durability.step(world.clock.now_s())
    world.close_file(number)
    world.settle()
    assert world.core.sweeper.trouble is None
    assert world.tree() == world.remote() == {"/f": b"newest"}
    assert world.core.spool.names() == []
