"""What others move into another folder, with something pending of it here: the changes tell where it went."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from mountfs.model.path import RemotePath
from mountfs.ports import BackendLimits, FolderPage
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.soundness import faults_of
from tests.doubles.world import World
from tests.waiting import DEADLINE_S

Tree = dict[str, bytes | None]

BOTH = pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["by path", "by id"])


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


@BOTH
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


@BOTH
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


def _moved_once(tmp_path: Path, limits: BackendLimits) -> World:
    """d/f was edited here, and others have moved it to e, which is known; nothing tells of that yet."""
    world = World(tmp_path, limits=limits)
    world.account.mkdir("/e")
    world.theirs("/d/f", b"f")
    world.tree()
    world.put("/d/f", b"new")
    world.account.move("/d/f", "/e/f")
    return world


def _check_followed(world: World) -> None:
    """Once d is looked into."""
    assert world.names("/d") == set()
    world.settle()
    world.follow()
    assert world.tree() == world.remote()
    assert world.account.files() == {"/e/f": b"new"}
    world.close()


@BOTH
def test_it_is_followed_though_the_old_folder_is_looked_into_while_the_new_one_is_listed(
    tmp_path: Path, limits: BackendLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of 100,000 files is listed for half a minute."""
    world = _moved_once(tmp_path, limits)
    list_page = world.memory.list_page
    looked: list[set[str]] = []

    def listing(path: RemotePath, *arguments: Any, **options: Any) -> FolderPage:
        if path.text == "/e" and not looked:
            looked.append(set())
            looker = threading.Thread(target=lambda: looked.append(world.names("/d")))
            looker.start()
            looker.join(DEADLINE_S)
        return list_page(path, *arguments, **options)

    monkeypatch.setattr(world.memory, "list_page", listing)
    world.follow()
    assert looked == [set(), {"f"}]
    _check_followed(world)


@BOTH
def test_it_is_followed_by_the_next_process_where_this_one_dies_before(
    tmp_path: Path, limits: BackendLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = _moved_once(tmp_path, limits)
    with monkeypatch.context() as dying:
        dying.setattr(world.memory, "list_page", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            world.follow()
    world.restart()
    world.follow()
    _check_followed(world)


@BOTH
def test_it_is_followed_where_the_network_was_away_meanwhile(tmp_path: Path, limits: BackendLimits) -> None:
    world = _moved_once(tmp_path, limits)
    world.memory.is_online = False
    world.follow()
    world.memory.is_online = True
    world.advance(60.0)
    world.follow()
    _check_followed(world)


@BOTH
def test_it_is_followed_into_a_folder_that_earlier_changes_told_of(
    tmp_path: Path, limits: BackendLimits
) -> None:
    """Nobody has looked where that is: `mkdir -p new/e`, and a minute later `mv d/f new/e/`."""
    world = World(tmp_path, limits=limits)
    world.theirs("/d/f", b"f")
    world.tree()
    world.put("/d/f", b"new")
    world.account.mkdir("/new/e")
    world.follow()
    world.account.move("/d/f", "/new/e/f")
    world.follow()
    assert world.names("/d") == set()
    world.settle()
    assert world.account.files() == {"/new/e/f": b"new"}
    assert world.tree() == world.remote()
    world.close()
