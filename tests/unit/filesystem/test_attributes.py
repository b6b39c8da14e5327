"""What stat and the extended attributes tell."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mountfs.attributes import Moment
from mountfs.errors import (
    AlreadyExists,
    AttributeTooLarge,
    InvalidArgument,
    NoAttribute,
    NotPermitted,
    NotSupported,
)
from mountfs.model.entry import NS_PER_S, File, Place
from mountfs.model.path import RemotePath
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS, MemoryAccount
from tests.doubles.world import World

WO = os.O_WRONLY
THEN_NS = 1_500_000_000 * NS_PER_S
FAR_TIMES_NS = [-(10**10) * NS_PER_S, 10**10 * NS_PER_S, -1 * NS_PER_S]
"""Of the years 1653 and 2286, which 64 bits of nanoseconds since 1970 do not hold, and just before 1970."""

PRESENT_NS = 1_600_000_000 * NS_PER_S


class PresentAccount(MemoryAccount):
    """Keeps the present for any other time."""

    def __init__(self) -> None:
        super().__init__()
        overwrite = self.tree.overwrite

        def keeping(place: Place, body: bytes, mtime_ns: int, *, makes_parents: bool = True) -> File:
            return overwrite(place, body, PRESENT_NS, makes_parents=makes_parents)

        self.tree.overwrite = keeping  # type: ignore[method-assign]


def test_times_are_kept_to_the_nanosecond_and_sent_to_the_second(world: World) -> None:
    number = world.fs.create("/f", WO | os.O_CREAT).number
    world.fs.write(number, 0, b"x")
    world.touch("/f", THEN_NS + 7)
    assert world.fs.getattr("/f").mtime_ns == THEN_NS + 7
    world.close_file(number)
    assert world.fs.getattr("/f").mtime_ns == THEN_NS + 7
    world.settle()
    assert world.fs.getattr("/f").mtime_ns == THEN_NS + 7
    assert world.file("/f").mtime_ns == THEN_NS
    world.restart()
    assert world.fs.getattr("/f").mtime_ns == THEN_NS + 7
    assert world.pending() == []


def test_a_time_set_between_flush_and_release_is_kept(world: World) -> None:
    number = world.fs.create("/f", WO | os.O_CREAT).number
    world.fs.flush(number)
    world.touch("/f", THEN_NS)
    draft = world.state("/f").draft
    assert draft is not None
    assert draft.is_flushed
    assert draft.mtime_ns == THEN_NS
    world.fs.release(number)
    assert world.fs.getattr("/f").mtime_ns == THEN_NS


def test_a_write_after_a_time_was_set_counts_as_the_last_change(world: World) -> None:
    number = world.fs.create("/f", WO | os.O_CREAT).number
    world.touch("/f", THEN_NS)
    world.fs.write(number, 0, b"x")
    assert world.fs.getattr("/f").mtime_ns == world.clock.wall_ns()
    world.close_file(number)


@pytest.mark.parametrize("path", ["/closed", "/remote", "/folder"])
def test_a_time_set_on_what_is_not_being_written_is_kept(world: World, path: str) -> None:
    world.put("/closed", b"x")
    world.theirs("/remote", b"x")
    world.mkdir("/folder")
    world.touch(path, THEN_NS)
    assert world.fs.getattr(path).mtime_ns == THEN_NS
    world.advance(5.0)
    world.fs.metadata.utimens(path, Moment.NOW)
    assert world.fs.getattr(path).mtime_ns == world.clock.wall_ns()


@pytest.mark.parametrize("is_set", [True, False])
def test_the_time_of_a_new_folder_is_kept_once_the_service_has_it(world: World, is_set: bool) -> None:
    world.mkdir("/d")
    if is_set:
        world.touch("/d", THEN_NS)
    shown_ns = world.fs.getattr("/d").mtime_ns
    assert shown_ns == (THEN_NS if is_set else world.clock.wall_ns())
    world.settle()
    assert world.account.folders() == {"/d"}
    assert world.word("/d") == "clean"
    assert world.fs.getattr("/d").mtime_ns == shown_ns
    world.restart()
    assert world.fs.getattr("/d").mtime_ns == shown_ns


def test_the_time_of_a_folder_is_kept_that_is_made_with_the_files_in_it(world: World) -> None:
    world.mkdir("/d")
    world.put("/d/f", b"x")
    world.touch("/d", THEN_NS)
    world.settle()
    assert world.remote() == {"/d": None, "/d/f": b"x"}
    assert world.fs.getattr("/d").mtime_ns == THEN_NS


@pytest.mark.parametrize("mtime_ns", FAR_TIMES_NS)
@pytest.mark.parametrize("path", ["/open", "/closed", "/remote", "/folder"])
def test_a_time_of_any_year_is_shown_and_outlives_commit_and_restart(
    world: World, path: str, mtime_ns: int
) -> None:
    world.put("/closed", b"x")
    world.theirs("/remote", b"x")
    world.mkdir("/folder")
    number = world.begin("/open", b"x")
    world.touch(path, mtime_ns)
    assert world.fs.getattr(path).mtime_ns == mtime_ns
    world.close_file(number)
    world.restart()
    assert world.fs.getattr(path).mtime_ns == mtime_ns
    world.settle()
    assert world.fs.getattr(path).mtime_ns == mtime_ns
    world.restart()
    assert world.fs.getattr(path).mtime_ns == mtime_ns


@pytest.mark.parametrize("mtime_ns", FAR_TIMES_NS)
def test_a_time_of_any_year_is_sent(world: World, mtime_ns: int) -> None:
    world.put("/f", b"x")
    world.touch("/f", mtime_ns)
    world.settle()
    assert world.file("/f").mtime_ns == mtime_ns


@pytest.mark.parametrize("mtime_ns", FAR_TIMES_NS)
def test_a_time_of_any_year_is_sent_by_itself_where_that_is_possible(tmp_path: Path, mtime_ns: int) -> None:
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    world.theirs("/f", b"x")
    world.touch("/f", mtime_ns)
    world.settle()
    assert world.file("/f").mtime_ns == mtime_ns
    assert world.fs.getattr("/f").mtime_ns == mtime_ns
    world.close()


@pytest.mark.parametrize("mtime_ns", FAR_TIMES_NS)
def test_a_time_is_shown_as_it_was_set_though_the_service_kept_another(tmp_path: Path, mtime_ns: int) -> None:
    world = World(tmp_path, PresentAccount())
    world.put("/f", b"x")
    world.touch("/f", mtime_ns)
    world.settle()
    assert world.file("/f").mtime_ns == PRESENT_NS
    assert world.fs.getattr("/f").mtime_ns == mtime_ns
    world.restart()
    assert world.fs.getattr("/f").mtime_ns == mtime_ns
    world.close()


@pytest.mark.parametrize("mtime_ns", FAR_TIMES_NS)
def test_a_time_of_any_year_that_somebody_else_gave_is_shown(world: World, mtime_ns: int) -> None:
    world.account.write("/f", b"x", mtime_ns)
    assert world.fs.getattr("/f").mtime_ns == mtime_ns
    world.restart()
    assert world.fs.getattr("/f").mtime_ns == mtime_ns


def test_modes_and_owners_that_nobody_set_are_the_mounts(tmp_path: Path) -> None:
    world = World(tmp_path, umask=0o027, uid=1234, gid=4321)
    world.put("/f", b"")
    shown = world.fs.getattr("/f")
    assert (shown.mode, shown.uid, shown.gid) == (stat.S_IFREG | 0o640, 1234, 4321)
    assert world.fs.getattr("/").mode == stat.S_IFDIR | 0o750
    world.close()


def test_the_top_of_the_mount_may_be_a_folder_of_the_account(tmp_path: Path) -> None:
    account = MemoryAccount()
    account.write("/sub/f", b"x")
    top = {"top": RemotePath.parse("/sub"), "top_entry": account.get("/sub")}
    world = World(tmp_path, account, settings=top)
    assert world.names() == {"f"}
    world.mkdir("/d")
    world.settle()
    assert world.remote() == {"/sub": None, "/sub/f": b"x", "/sub/d": None}
    with pytest.raises(NotPermitted):
        world.fs.rmdir("/")
    world.close()


def test_extended_attributes_tell_how_far_a_file_is(tmp_path: Path) -> None:
    world = World(tmp_path, socket="/run/mountfs.sock")
    world.put("/f", b"x")
    assert world.fs.metadata.getxattr("/f", "user.mountfs.state") != b"clean"
    world.settle()
    assert world.fs.metadata.getxattr("/f", "user.mountfs.state") == b"clean"
    assert world.fs.metadata.getxattr("/", "user.mountfs.socket") == b"/run/mountfs.sock"
    assert world.fs.metadata.listxattr("/f") == world.fs.metadata.listxattr("/") == []
    with pytest.raises(NoAttribute):
        world.fs.metadata.getxattr("/f", "user.mountfs.socket")
    world.close()


def test_attributes_that_programs_give_a_file_outlive_commit_rename_and_restart(world: World) -> None:
    calls = world.fs.metadata
    world.put("/f", b"x")
    calls.setxattr("/f", "user.origin", b"\0 \xff")
    calls.setxattr("/f", "user.a", b"", os.XATTR_CREATE)
    with pytest.raises(AlreadyExists):
        calls.setxattr("/f", "user.a", b"1", os.XATTR_CREATE)
    with pytest.raises(NoAttribute):
        calls.setxattr("/f", "user.b", b"1", os.XATTR_REPLACE)
    calls.setxattr("/f", "user.a", b"2", os.XATTR_REPLACE)
    world.settle()
    world.rename("/f", "/g")
    world.theirs("/g", b"theirs")
    world.restart()
    calls = world.fs.metadata
    assert calls.listxattr("/g") == ["user.a", "user.origin"]
    assert calls.getxattr("/g", "user.origin") == b"\0 \xff"
    calls.removexattr("/g", "user.origin")
    with pytest.raises(NoAttribute):
        calls.removexattr("/g", "user.origin")
    assert calls.listxattr("/g") == ["user.a"]


def test_attributes_are_small(world: World) -> None:
    world.put("/f", b"x")
    for number in range(3):
        world.fs.metadata.setxattr("/f", f"user.{number}", b"x" * 4096)
    for name, value in (("user.x", b"x" * 4097), ("user.x", b"x" * 4096)):
        with pytest.raises(AttributeTooLarge):
            world.fs.metadata.setxattr("/f", name, value)
    assert len(world.fs.metadata.listxattr("/f")) == 3


def test_other_attributes_are_not_taken(world: World) -> None:
    world.put("/f", b"x")
    for name in ("user.mountfs.state", "security.capability", "system.posix_acl_access", "trusted.x"):
        with pytest.raises(NotSupported):
            world.fs.metadata.setxattr("/f", name, b"x")
        with pytest.raises(NotSupported):
            world.fs.metadata.removexattr("/f", name)
    with pytest.raises(InvalidArgument):
        world.fs.metadata.setxattr("/f", "user.", b"x")
    with pytest.raises(NotSupported):
        world.file_system(keeps_attributes=False).metadata.setxattr("/f", "user.x", b"x")
