"""Symbolic links that the service keeps, as rclone does."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.attributes import Caller, Links
from mountfs.errors import AlreadyExists, InvalidArgument, IsADirectory, NotADirectory, NotFound, NotPermitted
from mountfs.published import leads_out
from tests.doubles.world import World

ANNA = Caller(1001, 1002)


@pytest.fixture
def linked(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, links=Links.RCLONE)
    yield world
    world.close()


def is_link(world: World, path: str) -> bool:
    return stat.S_ISLNK(world.fs.getattr(path).mode)


def listed(world: World, path: str = "/") -> dict[str, bool]:
    """Names, and whether readdir tells a link."""
    number = world.fs.opendir(path)
    try:
        return {name: stat.S_ISLNK(mode) for name, mode, _ in world.fs.readdir(number)}
    finally:
        world.fs.releasedir(number)


def test_a_link_is_a_small_file_at_the_service(linked: World) -> None:
    linked.mkdir("/d")
    linked.fs.symlink("/d/l", "../f \u00e9", ANNA)
    linked.settle()
    assert linked.remote() == {"/d": None, "/d/l.rclonelink": "../f \u00e9".encode()}
    assert linked.pending() == []
    for _ in range(2):
        assert listed(linked, "/d") == {"l": True}
        told = linked.fs.getattr("/d/l")
        assert (told.mode, told.size_bytes, told.uid) == (stat.S_IFLNK | 0o777, 7, ANNA.uid)
        assert linked.fs.readlink("/d/l") == "../f \u00e9"
        linked.restart()


def test_a_link_of_somebody_elses_is_shown_as_one(linked: World) -> None:
    linked.theirs("/d/l.rclonelink", b"f")
    assert listed(linked, "/d") == {"l": True}
    assert is_link(linked, "/d/l")
    assert linked.fs.readlink("/d/l") == "f"
    with pytest.raises(NotFound):
        linked.fs.getattr("/d/l.rclonelink")
    linked.theirs("/d/l.rclonelink", b"longer")
    assert linked.fs.readlink("/d/l") == "longer"
    linked.fs.metadata.utimens("/d/l", 7)
    linked.fs.unlink("/d/l")
    linked.settle()
    assert linked.remote() == {"/d": None}


def test_elsewhere_it_is_a_file(world: World) -> None:
    world.theirs("/l.rclonelink", b"f")
    assert listed(world) == {"l.rclonelink": False}
    assert world.get("/l.rclonelink") == b"f"
    with pytest.raises(InvalidArgument):
        world.fs.readlink("/l.rclonelink")


def test_what_cannot_be_a_link_is_a_file(linked: World) -> None:
    linked.theirs("/empty.rclonelink", b"")
    linked.theirs("/long.rclonelink", b"x" * 4096)
    linked.theirs("/.rclonelink", b"x")
    linked.theirs("/both.rclonelink", b"x")
    linked.theirs("/both", b"file")
    assert not any(listed(linked).values())
    assert linked.get("/both.rclonelink") == b"x"
    assert linked.get("/both") == b"file"


def test_a_link_takes_its_ending_along(linked: World) -> None:
    linked.fs.symlink("/a", "x")
    linked.settle()
    linked.rename("/a", "/b")
    assert listed(linked) == {"b": True}
    linked.settle()
    assert linked.remote() == {"/b.rclonelink": b"x"}
    linked.fs.symlink("/c", "y")
    linked.rename("/c", "/b")
    assert linked.fs.readlink("/b") == "y"
    linked.settle()
    assert linked.remote() == {"/b.rclonelink": b"y"}


def test_links_and_files_take_each_others_place(linked: World) -> None:
    linked.fs.symlink("/l", "x")
    linked.put("/f", b"file")
    linked.settle()
    linked.rename("/f", "/l")
    assert listed(linked) == {"l": False}
    linked.settle()
    assert linked.remote() == {"/l": b"file"}
    linked.fs.symlink("/new", "y")
    linked.rename("/new", "/l")
    assert listed(linked) == {"l": True}
    linked.settle()
    assert linked.remote() == {"/l.rclonelink": b"y"}
    linked.mkdir("/d")
    with pytest.raises(IsADirectory):
        linked.rename("/l", "/d")
    with pytest.raises(NotADirectory):
        linked.rename("/d", "/l")


def test_a_name_is_taken_once(linked: World) -> None:
    linked.fs.symlink("/l", "x")
    linked.put("/f", b"file")
    for path in ("/l", "/f"):
        with pytest.raises(AlreadyExists):
            linked.fs.symlink(path, "y")
    with pytest.raises(AlreadyExists):
        linked.fs.mknod("/l", stat.S_IFIFO)
    assert linked.fs.readlink("/l") == "x"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "a/../../x", "..//.././x", "a/.."])
def test_a_link_of_somebody_elses_that_may_lead_out_is_not_followed(linked: World, target: str) -> None:
    linked.theirs("/d/l.rclonelink", target.encode())
    assert listed(linked, "/d") == {"l": True}
    with pytest.raises(NotPermitted):
        linked.fs.readlink("/d/l")
    assert linked.file_system(links=Links.RCLONE, contains_links=False).readlink("/d/l") == target


def test_a_link_that_was_made_here_may_lead_out(linked: World) -> None:
    linked.mkdir("/d")
    linked.fs.symlink("/d/l", "/etc/hostname")
    linked.settle()
    linked.restart()
    assert linked.fs.readlink("/d/l") == "/etc/hostname"
    linked.theirs("/d/l.rclonelink", b"/etc/shadow")
    with pytest.raises(NotPermitted):
        linked.fs.readlink("/d/l")


@pytest.mark.parametrize("body", [b"a\0b", b"\n"])
def test_what_no_target_can_be_is_none(linked: World, body: bytes) -> None:
    linked.theirs("/l.rclonelink", body)
    with pytest.raises(InvalidArgument):
        linked.fs.readlink("/l")


@pytest.mark.parametrize(
    ("target", "depth", "is_out"),
    [
        ("x", 0, False),
        ("a/b/c", 0, False),
        ("../x", 1, False),
        ("./../x", 1, False),
        ("..", 0, True),
        ("../..", 1, True),
        ("x/..", 5, True),
        ("/", 9, True),
        (".", 0, False),
    ],
)
def test_what_may_lead_out(target: str, depth: int, is_out: bool) -> None:
    assert leads_out(target, depth) is is_out
