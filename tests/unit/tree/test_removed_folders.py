"""Folders that were removed here, and in which the service has something all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.errors import Forbidden
from mountfs.ports import BackendLimits
from mountfs.tree.discard import Discard
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.soundness import faults_of
from tests.doubles.world import World

NOT_EMPTY = "not removed: it is not empty any more"


@pytest.fixture(params=[MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    limits: BackendLimits = request.param
    world = World(tmp_path, limits=limits)
    yield world
    world.close()


def left(world: World) -> None:
    """/d/f, which the service has, is called /g; /d is removed. Neither was sent yet, and the service will
    refuse the rename."""
    world.mkdir("/d")
    world.put("/d/f", b"1")
    world.settle()
    world.rename("/d/f", "/g")
    world.fs.rmdir("/d")
    world.backend.refuse("/g", Forbidden("no"))


def step(world: World, most: int = 60) -> None:
    """Steps the workers one at a time, and looks after each whether the tree is sound."""
    core = world.core
    for _ in range(most):
        for one in (core.uploader.step, core.committer.step, core.sweeper.step, core.prober.step):
            one(world.clock.now_s())
            assert faults_of(core.tree) == []
        world.advance(1.0)


def test_a_removed_folder_is_shown_again_for_a_file_whose_rename_out_of_it_is_refused(world: World) -> None:
    left(world)
    step(world)
    assert world.tree() == world.remote() == {"/d": None, "/d/f": b"1"}
    assert NOT_EMPTY in world.notices()


def test_new_bytes_of_such_a_file_are_sent(world: World) -> None:
    left(world)
    world.put("/g", b"2")
    step(world)
    assert world.tree() == world.remote() == {"/d": None, "/d/f": b"2"}
    assert world.pending() == []


def test_such_a_file_is_a_copy_where_it_is_if_something_else_has_the_name_of_the_folder(world: World) -> None:
    world.put("/e", b"e")
    left(world)
    world.put("/g", b"2")
    world.rename("/e", "/d")
    step(world)
    world.settle()
    copy = "/g (conflicted copy testhost 2023-11-14)"
    assert world.tree() == world.remote() == {"/d": b"e", copy: b"2"}
    assert world.pending() == []


def test_what_is_written_to_it_is_sent_though_others_empty_the_folder_meanwhile(world: World) -> None:
    left(world)
    number = world.begin("/g", b"2")
    while world.core.tree.refused == {}:
        step(world, 1)
    world.account.remove("/d/f")
    step(world)
    world.close_file(number)
    step(world)
    world.settle()
    assert world.tree() == world.remote() == {"/d": None, "/d/f": b"2"}
    assert world.pending() == []


# Folders that would be shown in themselves


def inside_out(world: World) -> None:
    """/q/p/d/n is called /x and has /q/p in it; /q is removed, and something else has its name. None of it
    was sent yet."""
    for path in ("/q", "/q/p", "/q/p/d", "/q/p/d/n", "/other"):
        world.mkdir(path)
    world.put("/q/p/d/n/f", b"1")
    world.settle()
    world.rename("/q/p/d/n", "/x")
    world.rename("/q/p", "/x/p")
    world.fs.rmdir("/q")
    world.rename("/other", "/q")


def test_a_refused_rename_of_a_folder_that_has_its_old_place_in_it_is_not_taken_back_into_itself(
    world: World,
) -> None:
    inside_out(world)
    world.backend.refuse("/x", Forbidden("no"))
    step(world, 10)
    copy = "(conflicted copy testhost 2023-11-14)"
    assert world.tree() == {
        "/q": None,
        f"/x {copy}": None,
        f"/x {copy}/f": b"1",
        f"/x {copy}/p {copy}": None,
        f"/x {copy}/p {copy}/d": None,
    }
    assert world.tree() == world.remote()
    assert world.pending() == []


def test_such_a_rename_is_given_up_after_that_of_what_is_in_the_folder(world: World) -> None:
    inside_out(world)
    before = world.remote()
    core = world.core
    assert Discard(core.tree, core.listings, core.copies).run(core.tree.root, is_trial=False).left == []
    assert faults_of(core.tree) == []
    step(world, 5)
    assert world.tree() == world.remote() == before
    assert world.pending() == []


def test_a_folder_does_not_follow_into_one_that_was_removed_from_what_was_moved_into_it(world: World) -> None:
    for path in ("/n", "/p", "/p/d"):
        world.mkdir(path)
    world.put("/n/f", b"1")
    world.settle()
    world.follow()
    removed = world.node("/p/d")
    world.fs.rmdir("/p/d")
    world.rename("/p", "/n/p")
    world.account.move("/n", "/p/d/n")
    world.core.listings.try_relist(removed)
    assert faults_of(world.core.tree) == []
    step(world, 5)
    world.follow()
    world.settle()
    assert world.tree() == world.remote()
    assert b"1" in world.remote().values()
    assert world.pending() == []
