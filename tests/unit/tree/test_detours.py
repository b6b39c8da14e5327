"""Moves by a third name: what has to leave a folder whose name goes to the folder that it is moved into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.errors import Busy
from mountfs.ports import BackendLimits
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.soundness import faults_of
from tests.doubles.world import World


@pytest.fixture(params=[MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """With an old folder d, which a new one is to replace."""
    limits: BackendLimits = request.param
    world = World(tmp_path, limits=limits)
    world.follow()
    world.mkdir("/d")
    for name in ("f", "g"):
        world.put(f"/d/{name}", name.encode())
    world.settle()
    world.follow()
    yield world
    world.settle()
    world.follow()
    assert world.tree() == world.remote()
    assert world.pending() == []
    assert world.notices() == []
    assert faults_of(world.core.tree) == []
    world.close()


def test_what_is_moved_from_a_folder_into_the_one_that_replaces_it_arrives_there(world: World) -> None:
    world.mkdir("/new")
    world.rename("/d/g", "/new/g")
    world.fs.unlink("/d/f")
    world.rename("/new", "/d")
    world.settle()
    assert world.remote() == {"/d": None, "/d/g": b"g"}


def test_a_folder_is_not_made_where_a_file_of_the_replaced_folder_is_still_to_be_removed(
    world: World,
) -> None:
    world.mkdir("/new")
    world.rename("/d/g", "/new/x")
    world.fs.unlink("/d/f")
    world.rename("/new", "/d")
    world.mkdir("/d/f")
    world.backend.refuse("/d/f", Busy("locked"))
    world.settle()
    assert world.remote() == {"/d": None, "/d/f": None, "/d/x": b"g"}


def test_so_does_a_folder_that_is_moved_into_a_new_folder_below_it(world: World) -> None:
    world.mkdir("/d/sub")
    world.put("/d/sub/h", b"h")
    world.settle()
    world.mkdir("/new")
    world.mkdir("/new/below")
    for name in ("f", "g"):
        world.fs.unlink(f"/d/{name}")
    world.rename("/d/sub", "/new/below/sub")
    world.rename("/new", "/d")
    world.settle()
    assert world.remote() == {"/d": None, "/d/below": None, "/d/below/sub": None, "/d/below/sub/h": b"h"}


def test_so_does_a_file_that_is_moved_on_while_it_has_its_third_name(world: World) -> None:
    world.account.job_polls = 2
    world.mkdir("/new")
    world.rename("/d/g", "/new/g")
    world.fs.unlink("/d/f")
    world.rename("/new", "/d")
    for _ in range(20):
        world.commit_steps(1)
        if ".renaming" in str(world.remote()):
            break
    world.rename("/d/g", "/g")
    world.settle()
    assert world.remote() == {"/d": None, "/g": b"g"}
