"""A file has one inode number, by whatever name it is asked for, for as long as it exists."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mountfs.ports import BackendLimits
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World


def listed(world: World, folder: str) -> dict[str, int]:
    """As readdir tells them."""
    number = world.fs.opendir(folder)
    try:
        return {name: inode for name, _, inode in world.fs.readdir(number)}
    finally:
        world.fs.releasedir(number)


def inode(world: World, path: str) -> int:
    """As stat, fstat and readdir all tell it."""
    told = world.fs.getattr(path).inode
    folder, _, name = path.rpartition("/")
    assert listed(world, folder or "/")[name] == told
    if not world.node(path).is_folder:
        number = world.fs.open(path, os.O_RDONLY).number
        assert world.fs.fgetattr(number).inode == told
        world.close_file(number)
    return told


def test_all_spellings_of_a_name_have_one_number(world: World) -> None:
    world.mkdir("/Dir")
    number = world.begin("/Dir/Doc", b"x")
    told = world.fs.fgetattr(number).inode
    for path in ("/Dir/Doc", "/dir/doc", "/DIR/DOC"):
        assert world.fs.getattr(path).inode == told
        again = world.fs.open(path, os.O_RDWR).number
        assert world.fs.fgetattr(again).inode == told
        world.close_file(again)
    for path in ("/Dir", "/dir", "/DIR"):
        assert listed(world, path) == {"Doc": told}
        assert world.fs.getattr(path).inode == listed(world, "/")["Dir"]
    world.close_file(number)


def test_things_that_differ_have_numbers_that_differ(world: World) -> None:
    world.theirs("/d/a", b"")
    world.put("/d/b", b"")
    world.mkdir("/e")
    paths = ["/", "/d", "/d/a", "/d/b", "/e"]
    assert len({world.fs.getattr(path).inode for path in paths}) == len(paths)


@pytest.mark.parametrize("is_remote", [True, False])
def test_a_file_keeps_its_number_through_writes_commits_and_restarts(world: World, is_remote: bool) -> None:
    if is_remote:
        world.theirs("/f", b"0")
    else:
        world.put("/f", b"0")
    told = inode(world, "/f")
    number = world.begin("/f", b"1")
    assert inode(world, "/f") == told
    world.close_file(number)
    assert inode(world, "/f") == told
    world.restart()
    assert inode(world, "/f") == told
    world.settle()
    assert inode(world, "/f") == told
    world.restart()
    assert inode(world, "/f") == told
    assert world.account.files() == {"/f": b"1"}


@pytest.mark.parametrize("is_settled", [True, False])
@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side-by-side"])
def test_what_is_renamed_keeps_its_number_and_so_does_what_is_in_it(
    tmp_path: Path, limits: BackendLimits, is_settled: bool
) -> None:
    world = World(tmp_path, limits=limits)
    world.mkdir("/d")
    world.put("/d/f", b"x")
    if is_settled:
        world.settle()
    folder, file = inode(world, "/d"), inode(world, "/d/f")
    world.rename("/d", "/e")
    world.rename("/e/f", "/e/G")
    world.rename("/e/g", "/e/g")
    assert (inode(world, "/e"), inode(world, "/e/g")) == (folder, file)
    world.settle()
    assert world.remote() == {"/e": None, "/e/g": b"x"}
    assert (inode(world, "/e"), inode(world, "/e/g")) == (folder, file)
    world.restart()
    world.follow()
    assert (inode(world, "/e"), inode(world, "/e/g")) == (folder, file)
    world.close()


def test_a_file_that_was_saved_by_a_rename_over_it_has_the_number_of_the_one_that_was_written(
    world: World,
) -> None:
    world.theirs("/doc", b"old")
    old = inode(world, "/doc")
    world.put("/.doc.x7Zq1P", b"new")
    written = inode(world, "/.doc.x7Zq1P")
    world.rename("/.doc.x7Zq1P", "/doc")
    assert inode(world, "/doc") == written != old
    world.settle()
    assert inode(world, "/doc") == written
    world.restart()
    assert inode(world, "/doc") == written
    assert len(world.account.submits) == 1


def test_what_others_rename_or_write_keeps_its_number(world: World) -> None:
    world.theirs("/d/f", b"x")
    folder, file = inode(world, "/d"), inode(world, "/d/f")
    world.account.write("/d/f", b"y")
    world.account.move("/d/f", "/d/g")
    world.account.move("/d", "/e")
    world.follow()
    assert (inode(world, "/e"), inode(world, "/e/g")) == (folder, file)


def test_a_number_is_not_given_again_after_a_restart(world: World) -> None:
    world.put("/f", b"")
    told = inode(world, "/f")
    world.fs.unlink("/f")
    world.restart()
    world.put("/g", b"")
    assert inode(world, "/g") > told
