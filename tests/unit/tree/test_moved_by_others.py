"""What others move into another folder, with something pending of it here: the changes tell where it went."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mountfs.ports import BackendLimits
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.soundness import faults_of
from tests.doubles.world import World

Tree = dict[str, bytes | None]


def _remove_folder(world: World) -> None:
    world.fs.unlink("/d/s/x")
    world.fs.rmdir("/d/s")


DONE: dict[str, tuple[Callable[[World], None], Tree]] = {
    "rm f": (lambda world: world.fs.unlink("/d/f"), {"E/s": None, "E/s/x": b"x"}),
    "mv f g": (
        lambda world: world.rename("/d/f", "/d/g"),
        {"/d/g": b"f", "E/s": None, "E/s/x": b"x"},
    ),
    "echo >f": (
        lambda world: world.put("/d/f", b"new"),
        {"E/f": b"new", "E/s": None, "E/s/x": b"x"},
    ),
    "rm -r s": (_remove_folder, {"E/f": b"f"}),
    "rm s/x": (lambda world: world.fs.unlink("/d/s/x"), {"E/f": b"f", "E/s": None}),
    "echo >s/x": (
        lambda world: world.put("/d/s/x", b"new"),
        {"E/f": b"f", "E/s": None, "E/s/x": b"new"},
    ),
    "echo >s/y": (
        lambda world: world.put("/d/s/y", b"new"),
        {"E/f": b"f", "E/s": None, "E/s/x": b"x", "E/s/y": b"new"},
    ),
    "mv s t": (
        lambda world: world.rename("/d/s", "/d/t"),
        {"E/f": b"f", "/d/t": None, "/d/t/x": b"x"},
    ),
}


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["by path", "by id"])
@pytest.mark.parametrize("what", DONE)
@pytest.mark.parametrize("is_known", [True, False], ids=["into a known folder", "into one never seen"])
def test_what_is_done_with_something_that_others_move_is_done_with_it_in_its_new_folder(
    tmp_path: Path, limits: BackendLimits, what: str, *, is_known: bool
) -> None:
    """The old folder is looked into first."""
    world = World(tmp_path, limits=limits)
    goal = "/e" if is_known else "/new/e"
    world.account.write("/d/f", b"f")
    world.account.write("/d/s/x", b"x")
    if is_known:
        world.account.mkdir(goal)
    world.follow()
    world.tree()
    act, expected = DONE[what]
    act(world)
    if not is_known:
        world.account.mkdir(goal)
    for name in ("f", "s"):
        world.account.move(f"/d/{name}", f"{goal}/{name}")
    world.follow()
    world.names("/d")
    world.settle()
    world.follow()
    due: Tree = {"/d": None, goal: None}
    if goal != "/e":
        due["/new"] = None
    due |= {path.replace("E", goal): body for path, body in expected.items()}
    assert world.tree() == world.remote() == due
    assert (world.notices(), world.pending(), faults_of(world.core.tree)) == ([], [], [])
    world.close()


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["by path", "by id"])
def test_what_others_sort_into_new_folders_is_followed_into_each(
    tmp_path: Path, limits: BackendLimits
) -> None:
    world = World(tmp_path, limits=limits)
    for name in ("f", "g"):
        world.theirs(f"/d/{name}", b"old")
    world.tree()
    for name in ("f", "g"):
        world.put(f"/d/{name}", b"new")
        world.account.move(f"/d/{name}", f"/sorted/{name}/{name}")
    world.follow()
    world.names("/d")
    world.settle()
    assert world.account.files() == {"/sorted/f/f": b"new", "/sorted/g/g": b"new"}
    assert world.tree() == world.remote()
    world.close()


def test_nothing_is_listed_at_once_for_what_others_move_and_nothing_was_done_with(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.account.mkdir("/e")
    world.theirs("/d/f", b"f")
    world.tree()
    world.put("/d/other", b"ours")
    before = world.backend.calls().get("list_folder", 0)
    world.account.move("/d/f", "/e/f")
    world.follow()
    assert world.backend.calls().get("list_folder", 0) == before
    assert world.tree() == {"/d": None, "/d/other": b"ours", "/e": None, "/e/f": b"f"}
    world.close()
