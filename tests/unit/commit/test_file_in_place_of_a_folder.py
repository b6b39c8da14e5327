"""Others put a file in place of a folder with changes of ours in it, or of one that we are about to make."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mountfs.ports import BackendLimits
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.soundness import faults_of
from tests.doubles.world import World

COPY = "d (conflicted copy testhost 2023-11-14)"
TOLD = f"a file has its name at the service: this folder is kept as {COPY}"


@pytest.fixture(params=[MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    limits: BackendLimits = request.param
    world = World(tmp_path, limits=limits)
    world.account.write("/d/a", b"old")
    world.account.write("/d/e/b", b"old")
    world.follow()
    world.tree()
    yield world
    world.close()


def replace_folder(world: World) -> None:
    world.account.remove("/d")
    world.account.write("/d", b"theirs")


def settle(world: World) -> None:
    for _ in range(3):
        world.settle()
        world.follow()
        world.tree()
        assert faults_of(world.core.tree) == []


CHANGES: dict[str, tuple[Callable[[World], None], dict[str, bytes | None]]] = {
    "a new file": (lambda world: world.put("/d/n", b"ours"), {"/n": b"ours"}),
    "an edit": (lambda world: world.put("/d/a", b"ours"), {"/a": b"ours"}),
    "deeper": (lambda world: world.put("/d/e/n", b"ours"), {"/e": None, "/e/n": b"ours"}),
    "a new folder": (lambda world: world.mkdir("/d/m"), {"/m": None}),
    "a file moved into it": (lambda world: world.rename("/x", "/d/x"), {"/x": b"other"}),
    "a folder moved into it": (lambda world: world.rename("/k", "/d/k"), {"/k": None, "/k/f": b"other"}),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("when", ["heard of first", "heard of by the refusal", "after a restart"])
def test_a_folder_with_changes_of_ours_is_kept_beside_a_file_that_others_put_in_its_place(
    world: World, what: str, when: str
) -> None:
    change, ours = CHANGES[what]
    if what.endswith("moved into it"):
        world.theirs("/x" if "/x" in ours else "/k/f", b"other")
        world.tree()
    change(world)
    replace_folder(world)
    if when == "heard of first":
        world.follow()
        world.tree()
    elif when == "after a restart":
        world.restart()
    settle(world)
    kept = {f"/{COPY}{path}": body for path, body in ours.items()}
    assert world.tree() == world.remote() == {"/d": b"theirs", f"/{COPY}": None} | kept
    assert world.pending() == []
    assert world.notices() == [TOLD]


def test_a_file_that_is_open_in_it_goes_on_in_the_copy(world: World) -> None:
    number = world.open("/d/a", os.O_RDWR)
    world.fs.write(number, 0, b"ours")
    replace_folder(world)
    settle(world)
    world.fs.write(number, 4, b", and more")
    world.close_file(number)
    settle(world)
    assert (
        world.tree()
        == world.remote()
        == {
            "/d": b"theirs",
            f"/{COPY}": None,
            f"/{COPY}/a": b"ours, and more",
        }
    )


@pytest.mark.parametrize("is_empty", [True, False], ids=["empty", "with a file"])
def test_a_new_folder_is_kept_beside_a_file_that_others_made_first(world: World, *, is_empty: bool) -> None:
    world.account.remove("/d")
    world.follow()
    world.tree()
    world.mkdir("/d")
    if not is_empty:
        world.put("/d/n", b"ours")
    world.account.write("/d", b"theirs")
    settle(world)
    ours = {} if is_empty else {f"/{COPY}/n": b"ours"}
    assert world.tree() == world.remote() == {"/d": b"theirs", f"/{COPY}": None} | ours
    assert world.pending() == []
    assert world.notices() == [TOLD]


def test_a_folder_without_changes_of_ours_goes(world: World) -> None:
    replace_folder(world)
    settle(world)
    assert world.tree() == world.remote() == {"/d": b"theirs"}
    assert world.notices() == []
