"""In which order the service is told: what must take effect first, and how circles of names are opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mountfs.model.order import Move, OrderKind
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World

THERE = {"/a": b"a", "/b": b"b", "/d/x": b"x", "/d/in/y": b"y", "/e/z": b"z"}
Act = Callable[[World], object]


@pytest.fixture(params=[MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side-by-side"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(tmp_path, limits=request.param)
    for path, body in THERE.items():
        made.account.write(path, body)
    made.follow()
    made.tree()
    yield made
    made.close()


def do(world: World, acts: tuple[Act, ...]) -> None:
    for act in acts:
        act(world)


def rename(source: str, target: str) -> Act:
    return lambda world: world.rename(source, target)


def sent(world: World) -> list[str]:
    """Every order, oldest first, in the words of the shell."""
    words = {OrderKind.PUT: "put", OrderKind.MAKE_FOLDER: "mkdir", OrderKind.DELETE: "rm"}
    orders = [order for batch in world.account.submits for order in batch]
    return [
        f"mv {each.source} {each.place}" if isinstance(each, Move) else f"{words[each.kind]} {each.place}"
        for each in orders
    ]


ORDERS: dict[str, tuple[tuple[Act, ...], list[str]]] = {
    "a name is left before it is taken": (
        (rename("/b", "/c"), rename("/a", "/b")),
        ["mv /b /c", "mv /a /b"],
    ),
    "a name is free after a removal": (
        (lambda w: w.fs.unlink("/b"), rename("/a", "/b")),
        ["rm /b", "mv /a /b"],
    ),
    "a new file takes over the place of the one removed before it": (
        (lambda w: w.fs.unlink("/b"), lambda w: w.put("/b", b"new")),
        ["put /b"],
    ),
    "a file moved aside and written anew keeps its history": (
        (rename("/b", "/b~"), lambda w: w.put("/b", b"new"), lambda w: w.fs.unlink("/b~")),
        ["put /b"],
    ),
    "a folder is emptied before it is removed": (
        (rename("/e/z", "/z"), lambda w: w.fs.rmdir("/e")),
        ["mv /e/z /z", "rm /e"],
    ),
    "a new folder is made before anything is moved into it": (
        (lambda w: w.mkdir("/new"), rename("/a", "/new/a")),
        ["mkdir /new", "mv /a /new/a"],
    ),
    "a folder is renamed before what is new in it is sent": (
        (rename("/e", "/f"), lambda w: w.put("/f/new", b"new")),
        ["mv /e /f", "put /f/new"],
    ),
    "a folder leaves the one that is moved into it": (
        (rename("/d/in", "/in"), rename("/d", "/in/d")),
        ["mv /d/in /in", "mv /d /in/d"],
    ),
}


@pytest.mark.parametrize("case", ORDERS)
def test_what_must_take_effect_first_is_sent_first(world: World, case: str) -> None:
    acts, orders = ORDERS[case]
    do(world, acts)
    shown = world.tree()
    world.settle()
    assert sent(world) == orders
    assert world.remote() == world.tree() == shown
    assert world.notices() == []


TWO_FILES = (rename("/a", "/x"), rename("/b", "/a"), rename("/x", "/b"))
CIRCLES: dict[str, tuple[Act, ...]] = {
    "two files": TWO_FILES,
    "three files": (rename("/a", "/x"), rename("/b", "/a"), rename("/d/x", "/b"), rename("/x", "/d/x")),
    "two folders": (rename("/d", "/x"), rename("/e", "/d"), rename("/x", "/e")),
    "a file and a folder": (rename("/a", "/x"), rename("/e", "/a"), rename("/x", "/e")),
    "a folder and one in it": (rename("/d/in", "/x"), rename("/d", "/x/in"), rename("/x", "/d")),
    "a file and the folder it is in": (rename("/e/z", "/z"), rename("/e", "/q"), rename("/z", "/e")),
    "two files that are written anew as well": (
        *TWO_FILES,
        lambda w: w.put("/a", b"newer a"),
        lambda w: w.put("/b", b"newer b"),
    ),
}


@pytest.mark.parametrize("case", CIRCLES)
def test_names_that_are_exchanged_get_where_they_are_to_be(world: World, case: str) -> None:
    do(world, CIRCLES[case])
    shown = world.tree()
    world.settle()
    assert world.remote() == world.tree() == shown
    assert world.pending() == []
    assert world.notices() == []


def test_of_two_names_that_are_exchanged_one_takes_a_third_for_a_moment(world: World) -> None:
    ids = {path: world.file(path).id for path in ("/a", "/b")}
    do(world, TWO_FILES)
    world.settle()
    moves = sent(world)
    assert len(moves) == 3
    assert sum(".renaming" in move for move in moves) == 2
    assert (world.file("/a").id, world.file("/b").id) == (ids["/b"], ids["/a"])
