"""Calls that change the tree: what they make of what is there, and what the service need not hear of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.errors import DirectoryNotEmpty, InvalidArgument, IsADirectory, MountfsError, NotADirectory
from tests.doubles.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """/a, /b and /d/x are at the service; /d and /empty are folders."""
    made = World(tmp_path)
    for path in ("/a", "/b", "/d/x"):
        made.account.write(path, path.encode())
    made.account.mkdir("/empty")
    made.follow()
    made.tree()
    yield made
    made.close()


def test_a_folder_that_is_removed_and_made_again_at_once_is_the_same_one(world: World) -> None:
    before = world.node("/empty").id
    world.fs.rmdir("/empty")
    world.mkdir("/Empty")
    assert world.node("/empty").id == before
    world.settle()
    assert world.remote() == world.tree()
    assert "/Empty" in world.remote()


def test_what_was_never_sent_goes_without_a_word_to_the_service(world: World) -> None:
    world.put("/new", b"new")
    world.mkdir("/folder")
    world.put("/folder/new", b"new")
    world.rename("/folder", "/other")
    world.fs.unlink("/new")
    world.fs.unlink("/other/new")
    world.fs.rmdir("/other")
    world.settle()
    assert world.account.submits == []
    assert world.pending() == []


def test_a_rename_to_the_name_it_has_changes_nothing(world: World) -> None:
    world.rename("/a", "/a")
    world.rename("/d", "/d")
    assert world.pending() == []


def test_only_the_last_of_several_versions_that_were_closed_is_sent(world: World) -> None:
    for body in (b"1", b"2", b"3"):
        world.put("/a", body)
    world.settle()
    assert world.file("/a").size_bytes == 1
    assert world.revisions_of("/a") == 2
    assert world.get("/a") == b"3"


@pytest.mark.parametrize(
    ("source", "target", "error"),
    [
        ("/d", "/d/in", InvalidArgument),
        ("/empty", "/d", DirectoryNotEmpty),
        ("/a", "/d", IsADirectory),
        ("/empty", "/a", NotADirectory),
        ("/a", "/b/x", NotADirectory),
    ],
)
def test_a_rename_that_rename_2_refuses_changes_nothing(
    world: World, source: str, target: str, error: type[MountfsError]
) -> None:
    shown = world.tree()
    with pytest.raises(error):
        world.rename(source, target)
    assert world.tree() == shown
    assert world.pending() == []


def test_what_others_put_into_a_folder_keeps_it_from_being_removed_here(world: World) -> None:
    world.theirs("/empty/theirs", b"x")
    with pytest.raises(DirectoryNotEmpty):
        world.fs.rmdir("/empty")
    with pytest.raises(DirectoryNotEmpty):
        world.rename("/d", "/empty")
