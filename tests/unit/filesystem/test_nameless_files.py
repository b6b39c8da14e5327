"""What programs set of a file that they have open, and that others have removed or moved meanwhile."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mountfs.fuse.operations import Operations
from mountfs.ports import BackendLimits
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.unit.fuse.test_operations import Info

LATER_NS = 1_800_000_000 * 10**9


def set_all(ops: Operations, path: str) -> list[int]:
    """As libfuse answers fchmod(2), fchown(2) and futimens(2): each change, then the question what it is."""
    ops("chmod", path, stat.S_IFREG | 0o640)
    modes = [ops("getattr", path).mode]
    ops("chown", path, 7, 8)
    modes.append(ops("getattr", path).mode)
    ops("utimens", path, (LATER_NS, LATER_NS))
    modes.append(ops("getattr", path).mode)
    return [stat.S_IMODE(mode) for mode in modes]


@pytest.mark.parametrize("folder", ["", "/d"], ids=["the file", "its folder"])
@pytest.mark.parametrize("is_written", [False, True], ids=["read", "written"])
def test_the_end_of_a_copy_succeeds_on_what_others_removed_and_brings_nothing_back(
    world: World, folder: str, *, is_written: bool
) -> None:
    path = f"{folder}/f"
    world.theirs(path, b"old")
    world.names(folder or "/")
    ops, info = Operations(world.fs), Info(os.O_RDWR)
    ops("open", path, info)
    world.account.remove(folder or path)
    world.follow()
    world.names()
    if is_written:
        ops("write", path, b"new", 0, info)
    assert set_all(ops, path) == [0o640] * 3
    ops("setxattr", path, "user.a", b"1", 0)
    assert ops("getxattr", path, "user.a") == b"1"
    told = ops("getattr", None, info)
    assert (stat.S_IMODE(told.mode), told.uid, told.gid, told.mtime_ns) == (0o640, 7, 8, LATER_NS)
    with pytest.raises(FileNotFoundError):
        ops("getattr", path)  # who looks for it by its name finds none
    ops("flush", path, info)
    ops("release", path, info)
    with pytest.raises(FileNotFoundError):
        ops("chmod", path, 0o600)
    world.settle()
    world.restart()
    assert world.pending() == []
    assert world.tree() == world.remote() == {}


def test_what_others_moved_is_set_where_it_is_now(tmp_path: Path) -> None:
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    world.theirs("/f", b"old")
    world.names()
    ops, info = Operations(world.fs), Info(os.O_RDWR)
    ops("open", "/f", info)
    world.account.move("/f", "/g")
    world.follow()
    assert world.names() == {"g"}
    assert set_all(ops, "/f") == [0o640] * 3
    ops("flush", "/f", info)
    ops("release", "/f", info)
    told = world.fs.getattr("/g")
    assert (stat.S_IMODE(told.mode), told.uid, told.gid, told.mtime_ns) == (0o640, 7, 8, LATER_NS)
    world.settle()
    assert world.remote() == {"/g": b"old"}
    world.close()


@pytest.mark.parametrize("is_written", [False, True], ids=["read", "written"])
def test_the_time_of_a_new_file_is_not_given_to_one_that_was_open_by_its_name(
    tmp_path: Path, *, is_written: bool
) -> None:
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    world.theirs("/f", b"old")
    world.names()
    ops, info = Operations(world.fs), Info(os.O_RDWR)
    ops("open", "/f", info)
    if is_written:
        ops("write", "/f", b"ours", 0, info)
    world.account.move("/f", "/g")
    world.follow()
    assert world.names() == {"g"}
    world.put("/f", b"new")
    before = ops("getattr", None, info).mtime_ns
    ops("utimens", "/f", (LATER_NS, LATER_NS))
    assert world.fs.getattr("/f").mtime_ns == LATER_NS
    assert ops("getattr", None, info).mtime_ns == before
    ops("flush", "/f", info)
    ops("release", "/f", info)
    world.settle()
    assert world.fs.getattr("/g").mtime_ns == before
    world.close()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["by path", "by id"])
def test_a_change_that_fails_leaves_nothing_to_be_told(tmp_path: Path, limits: BackendLimits) -> None:
    world = World(tmp_path, limits=limits)
    ops, info = Operations(world.fs), Info(os.O_RDWR)
    world.theirs("/f", b"old")
    world.names()
    ops("open", "/f", info)
    world.account.remove("/f")
    world.follow()
    ops("chmod", "/f", 0o600)
    with pytest.raises(FileNotFoundError):
        ops("chmod", "/other", 0o600)
    with pytest.raises(FileNotFoundError):
        ops("getattr", "/f")
    ops("release", "/f", info)
    world.close()


def test_what_is_asked_of_the_handle_after_a_change_leaves_nothing_to_be_told(world: World) -> None:
    """ftruncate(2) of a setuid file: its mode is set by the path, and the question is put to the handle."""
    ops, info = Operations(world.fs), Info(os.O_RDWR)
    world.theirs("/f", b"old")
    world.names()
    ops("open", "/f", info)
    ops("chmod", "/f", 0o600)
    ops("getattr", "/f", info)
    world.account.remove("/f")
    world.follow()
    with pytest.raises(FileNotFoundError):
        ops("getattr", "/f")
    ops("release", "/f", info)
