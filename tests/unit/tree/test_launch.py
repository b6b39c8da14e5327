"""A part of a batch is written down as a whole or not at all, whatever is raised on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mountfs.errors import NoSpace
from mountfs.model.order import OrderKind
from mountfs.tree import launch, plan, unsendable
from mountfs.tree.node import Flight, Node
from mountfs.tree.tree import Tree
from tests.doubles.world import World

BAD = "bad"


def look(world: World) -> None:
    """All names have settled, all bytes are up, and the plan is up to date."""
    for _ in range(2):
        world.advance(3.0)
        now_s = world.clock.now_s()
        while world.core.plan.look(now_s) <= now_s:
            pass
        world.upload_all()


def fail_once(monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[str]:
    """No order can be made of a file called bad, the first time; whose was to be made."""
    make, asked = launch._flight_of, list[str]()

    def making(flight_id: int, node: Node, kind: OrderKind) -> Flight:
        asked.append(node.state.name)
        if node.state.name == BAD and asked.count(BAD) == 1:
            raise error
        return make(flight_id, node, kind)

    monkeypatch.setattr(launch, "_flight_of", making)
    return asked


def test_a_folder_is_not_on_its_way_with_a_file_that_cannot_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was to make its folder by the way. Without it no batch has the folder, and nobody would hear
    of its outcome."""
    world = World(tmp_path)
    world.mkdir("/d")
    world.put(f"/d/{BAD}", b"x")
    look(world)
    asked = fail_once(monkeypatch, KeyError("a bug"))
    tree, now_s = world.core.tree, world.clock.now_s()
    assert launch.launch(tree, world.core.plan, OrderKind.PUT, 10, now_s) is None
    assert asked == ["d", BAD]
    assert world.state("/d").flight is None
    assert tree.store.flights() == []
    world.settle()
    assert world.remote() == {"/d": None, f"/d/{BAD}": b"x"}
    world.close()


def test_what_was_taken_together_with_a_file_that_cannot_be_sent_is_sent_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    for name in ("a", BAD, "c"):
        world.put(f"/{name}", b"x")
    look(world)
    fail_once(monkeypatch, KeyError("a bug"))
    world.commit_steps(4)
    assert set(world.remote()) == {"/a", "/c"}
    assert [path for path, _ in world.pending()] == [f"/{BAD}"]
    world.settle()
    assert set(world.remote()) == {"/a", f"/{BAD}", "/c"}
    world.close()


def test_what_was_decided_of_a_file_that_cannot_be_looked_at_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of what a look was to change is nothing that the next look could begin with."""
    world = World(tmp_path)
    world.put("/a", b"x")
    world.put(f"/{BAD}", b"x")
    look(world)
    before = world.state(f"/{BAD}")
    raised: list[Node] = []

    def half(tree: Tree, node: Node, _step: OrderKind) -> None:
        if node.state.name == BAD and not raised:
            raised.append(node)
            tree.change((node, replace(node.state, mtime_ns=1)))
            raise KeyError("a bug")

    monkeypatch.setattr(plan, "replaced_by", half)
    world.commit_steps(1)
    assert raised
    assert world.state(f"/{BAD}") is before
    world.settle()
    assert set(world.remote()) == {"/a", f"/{BAD}"}
    world.close()


def test_a_file_whose_look_is_undone_each_time_is_looked_at_from_time_to_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    world.put("/a", b"x")

    def half(tree: Tree, node: Node) -> None:
        tree.change((node, replace(node.state, mtime_ns=1)))
        raise KeyError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(plan, "is_lost", lambda _node: True)
        patched.setattr(plan, "lose", half)
        now_s, before = world.clock.now_s(), world.core.plan.looks
        assert world.core.plan.look(now_s) == now_s + plan.HELD_S
        assert world.core.plan.looks == before + 1
    world.settle()
    assert world.remote() == {"/a": b"x"}
    world.close()


def test_a_file_that_cannot_be_sent_is_told_of_without_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    world.put(f"/{BAD}", b"x")
    look(world)
    fail_once(monkeypatch, KeyError("a bug"))
    told: list[tuple[str, bool]] = []

    def error(_text: str, path: str, **_: object) -> None:
        told.append((path, world.core.tree.lock._is_owned()))  # type: ignore[attr-defined]

    monkeypatch.setattr(unsendable.LOG, "error", error)
    world.commit_steps(1)
    assert told == [(f"/{BAD}", False)]
    world.close()


@pytest.mark.parametrize("is_saved", [False, True], ids=["label", "row"])
def test_a_file_whose_order_cannot_be_written_down_is_sent_once_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_saved: bool
) -> None:
    world = World(tmp_path)
    world.put(f"/{BAD}", b"x")
    if is_saved:
        world.core.durability.save()
    look(world)
    fail_once(monkeypatch, NoSpace("full"))
    with pytest.raises(NoSpace):
        world.commit_steps(1)
    world.settle()
    assert world.remote() == {f"/{BAD}": b"x"}
    world.close()


def test_a_part_that_is_undone_leaves_the_detour_that_was_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mv a t; mv b a; mv t b`: one of the two goes by way of a third name, also at the second try."""
    world = World(tmp_path)
    world.account.write("/a", b"1")
    world.account.write("/b", b"2")
    world.tree()
    for source, target in (("/a", "/t"), ("/b", "/a"), ("/t", "/b")):
        world.rename(source, target)
    look(world)
    store = world.core.tree.store
    detoured = [node for node in world.core.tree.dirty.values() if node.pending and node.pending.is_detoured]
    assert len(detoured) == 1

    def full(*_given: Any, **_named: Any) -> None:
        raise NoSpace("full")

    with monkeypatch.context() as patched:
        patched.setattr(store, "save_flights", full)
        with pytest.raises(NoSpace):
            world.commit_steps(1)
    assert [node.pending and node.pending.is_detoured for node in detoured] == [True]
    world.settle()
    assert world.remote() == {"/a": b"2", "/b": b"1"}
    world.close()
