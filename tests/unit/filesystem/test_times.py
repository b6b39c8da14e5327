"""Times of access, modification and change, and the link counts of folders, as on a disk."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from mountfs.attributes import Attributes, Caller, Moment
from mountfs.files.openfile import OpenFile
from mountfs.model.entry import NS_PER_S
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World

THEN_NS = 1_500_000_000 * NS_PER_S + 123_456_789
FUTURE_NS = 4_000_000_000 * NS_PER_S + 1


def told(world: World, path: str) -> Attributes:
    return world.fs.getattr(path)


def later(world: World) -> int:
    """A time after all that was done before."""
    world.advance(2.5)
    return world.clock.wall_ns()


def test_times_of_access_and_modification_are_set_apart_and_outlive_a_restart(world: World) -> None:
    world.put("/f", b"x")
    world.fs.metadata.utimens("/f", THEN_NS, FUTURE_NS)
    world.fs.metadata.utimens("/f", Moment.OMIT, THEN_NS + 1)
    world.fs.metadata.utimens("/f", THEN_NS + 2, Moment.OMIT)
    world.settle()
    world.restart()
    assert (told(world, "/f").atime_ns, told(world, "/f").mtime_ns) == (THEN_NS + 1, THEN_NS + 2)


def test_an_open_file_has_the_time_that_is_kept_here(world: World) -> None:
    world.put("/f", b"x")
    world.settle()
    world.touch("/f", FUTURE_NS)
    world.settle()
    number = world.open("/f", os.O_RDONLY)
    assert world.fs.fgetattr(number).mtime_ns == FUTURE_NS
    world.fs.metadata.chmod("/f", 0o600)
    assert told(world, "/f").mtime_ns == FUTURE_NS
    world.close_file(number)


def test_a_time_that_is_set_while_the_file_is_closed_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = world.begin("/f", b"x")
    world.fs.flush(number)
    (file,) = world.core.files.all()
    released: list[int] = []

    def set_mtime(mtime_ns: int) -> bool:
        if not released:
            released.append(number)
            world.fs.release(number)
        return OpenFile.set_mtime(file, mtime_ns)

    monkeypatch.setattr(file, "set_mtime", set_mtime)
    world.touch("/f", THEN_NS)
    assert released
    assert told(world, "/f").mtime_ns == THEN_NS
    world.settle()
    assert told(world, "/f").mtime_ns == THEN_NS


def test_a_change_of_attributes_moves_the_change_time_alone(world: World) -> None:
    world.put("/f", b"x")
    made_ns = told(world, "/f").mtime_ns
    changes: list[Callable[[], object]] = [
        lambda: world.fs.metadata.chmod("/f", 0o600),
        lambda: world.fs.metadata.chown("/f", 1, 1),
        lambda: world.rename("/f", "/g"),
        lambda: world.rename("/g", "/f"),
    ]
    for change in changes:
        changed_ns = later(world)
        change()
        path = "/f" if world.core.view.known(["f"]) else "/g"
        assert (told(world, path).mtime_ns, told(world, path).ctime_ns) == (made_ns, changed_ns)


@pytest.mark.parametrize("mtime_ns", [THEN_NS, FUTURE_NS])
def test_a_time_that_is_set_is_no_change_time_and_a_write_is(world: World, mtime_ns: int) -> None:
    number = world.begin("/f", b"x")
    set_ns = later(world)
    world.touch("/f", mtime_ns)
    assert (told(world, "/f").mtime_ns, told(world, "/f").ctime_ns) == (mtime_ns, set_ns)
    written_ns = later(world)
    world.fs.write(number, 0, b"y")
    assert (told(world, "/f").mtime_ns, told(world, "/f").ctime_ns) == (written_ns, written_ns)
    world.close_file(number)
    set_ns = later(world)
    world.touch("/f", mtime_ns)
    world.settle()
    world.restart()
    assert (told(world, "/f").mtime_ns, told(world, "/f").ctime_ns) == (mtime_ns, set_ns)


def test_times_that_are_set_before_the_close_outlive_a_kill_without_a_row(world: World) -> None:
    number = world.begin("/f", b"x")
    set_ns = later(world)
    world.fs.metadata.utimens("/f", THEN_NS, THEN_NS + 5)
    world.fs.flush(number)
    assert not world.node("/f").is_saved
    world.restart()
    shown = told(world, "/f")
    assert (shown.mtime_ns, shown.atime_ns, shown.ctime_ns) == (THEN_NS, THEN_NS + 5, set_ns)


def test_a_version_of_somebody_elses_has_its_time(world: World) -> None:
    world.put("/f", b"x")
    world.fs.metadata.utimens("/f", THEN_NS, THEN_NS)
    world.settle()
    file = world.theirs("/f", b"theirs")
    assert told(world, "/f").mtime_ns == file.mtime_ns


def test_a_time_that_somebody_else_gives_the_same_bytes_is_shown(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    world = World(tmp_path_factory.mktemp("world"), limits=SIDE_BY_SIDE_LIMITS)
    world.put("/f", b"x")
    world.touch("/f", THEN_NS)
    world.settle()
    assert told(world, "/f").mtime_ns == THEN_NS
    world.account.write("/f", b"x", THEN_NS // NS_PER_S * NS_PER_S + 60 * NS_PER_S)
    world.follow()
    assert told(world, "/f").mtime_ns == THEN_NS // NS_PER_S * NS_PER_S + 60 * NS_PER_S
    world.close()


def test_the_time_of_a_folder_follows_its_entries(world: World) -> None:
    world.theirs("/d/old", b"x")
    world.names("/d")
    calls: list[Callable[[], object]] = [
        lambda: world.put("/d/new", b"x"),
        lambda: world.mkdir("/d/sub"),
        lambda: world.fs.symlink("/d/link", "x"),
        lambda: world.rename("/d/new", "/d/newer"),
        lambda: world.rename("/d/newer", "/top"),
        lambda: world.rename("/top", "/d/new"),
        lambda: world.fs.unlink("/d/new"),
        lambda: world.fs.rmdir("/d/sub"),
        lambda: world.theirs("/d/theirs", b"x"),
    ]
    for call in calls:
        before_ns = later(world)
        call()
        world.names("/d")
        assert told(world, "/d").mtime_ns >= before_ns
        assert told(world, "/d").ctime_ns >= before_ns
    after_ns = later(world)
    world.put("/d/old", b"written")
    world.get("/d/old")
    assert told(world, "/d").mtime_ns < after_ns


def test_the_time_of_a_folder_is_written_down_and_never_jumps_back(world: World) -> None:
    world.mkdir("/d")
    world.settle()
    changed_ns = later(world)
    world.put("/d/f", b"x")
    world.core.durability.step(world.clock.now_s() + 1.0)
    world.settle()
    world.restart()
    assert told(world, "/d").mtime_ns >= changed_ns
    world.touch("/d", THEN_NS)
    world.restart()
    assert told(world, "/d").mtime_ns == THEN_NS


def test_a_folder_that_is_listed_for_the_first_time_has_not_changed(world: World) -> None:
    world.account.write("/d/f", b"x")
    before = told(world, "/d")
    later(world)
    world.names("/d")
    assert told(world, "/d").mtime_ns == before.mtime_ns
    assert world.core.tree.folder_times.changed.keys() <= {1}


def test_a_folder_counts_the_folders_in_it_once_it_knows_them(world: World) -> None:
    world.account.write("/d/sub/f", b"x")
    assert told(world, "/d").links == 1
    world.names("/d")
    assert told(world, "/d").links == 3
    world.mkdir("/d/two")
    world.mkdir("/three")
    assert told(world, "/d").links == 4
    world.rename("/three", "/d/three")
    world.fs.symlink("/d/link", "two")
    assert told(world, "/d").links == 5
    world.rename("/d/three", "/d/two")
    assert told(world, "/d").links == 4
    world.fs.rmdir("/d/two")
    assert told(world, "/d").links == 3


def test_a_removed_file_that_is_open_has_no_links(world: World) -> None:
    number = world.fs.create("/f", os.O_RDWR | os.O_CREAT).number
    assert world.fs.fgetattr(number).links == 1
    world.fs.rename("/f", "/.fuse_hidden0000000100000001")
    assert world.fs.fgetattr(number).links == 0
    world.close_file(number)


def test_reading_moves_the_access_time_as_relatime_does(world: World) -> None:
    world.put("/f", b"x")
    world.settle()
    read_ns = later(world)
    world.get("/f")
    assert told(world, "/f").atime_ns == read_ns
    later(world)
    world.get("/f")
    assert told(world, "/f").atime_ns == read_ns
    world.advance(24 * 3600.0)
    read_ns = later(world)
    world.get("/f")
    assert told(world, "/f").atime_ns == read_ns
    later(world)
    world.fs.metadata.chmod("/f", 0o600)
    read_ns = later(world)
    world.get("/f")
    assert told(world, "/f").atime_ns == read_ns
    assert world.pending() == []


def test_a_file_that_is_opened_or_read_from_a_read_only_mount_was_not_read(world: World) -> None:
    world.theirs("/f", b"x")
    before = told(world, "/f")
    number = world.open("/f", os.O_RDONLY)
    later(world)
    world.close_file(number)
    fs = world.file_system(is_read_only=True)
    number = fs.open("/f", os.O_RDONLY).number
    fs.read(number, 0, 1)
    fs.release(number)
    assert told(world, "/f") == before


def test_a_folder_that_is_removed_and_made_again_is_new(world: World) -> None:
    world.theirs("/d/f", b"x")
    world.names("/d")
    world.fs.unlink("/d/f")
    world.settle()
    world.fs.rmdir("/d")
    made_ns = later(world)
    world.fs.mkdir("/d", 0o700, Caller(7, 8))
    shown = told(world, "/d")
    assert (shown.mtime_ns, shown.ctime_ns, shown.uid, shown.links) == (made_ns, made_ns, 7, 2)


def test_a_time_of_a_folder_that_was_set_outlives_a_kill_before_what_is_in_it_has_a_row(world: World) -> None:
    world.mkdir("/d")
    world.put("/d/f", b"x")
    assert not world.node("/d/f").is_saved
    world.touch("/d", THEN_NS)
    world.restart()
    assert world.get("/d/f") == b"x"
    assert told(world, "/d").mtime_ns == THEN_NS


def test_a_folder_may_have_the_first_time_that_there_is(world: World) -> None:
    """As those in archives that are to be the same wherever they are made."""
    world.mkdir("/d")
    world.touch("/d", 0)
    assert world.fs.getattr("/d").mtime_ns == 0
    world.settle()
    world.restart()
    assert world.fs.getattr("/d").mtime_ns == 0
