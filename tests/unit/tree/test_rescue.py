"""Bytes of ours in a folder that a bug took away."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest

from mountfs.model.order import Order
from mountfs.ports import Launch
from mountfs.tree.node import FORGOTTEN, Node
from mountfs.tree.plan import Plan
from tests.doubles.soundness import faults_of
from tests.doubles.world import World

COPY = "f (recovered copy testhost 2023-11-14)"


def lose_the_folder(world: World) -> None:
    """What a bug did: the folder has vanished, and what is in it was kept in it."""
    world.core.durability.save()
    folder = world.node("/d")
    with world.core.tree.transaction():
        world.core.tree.change((folder, FORGOTTEN))
    world.account.remove("/d")


@pytest.mark.parametrize("is_new", [False, True])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_they_are_a_recovered_copy_at_the_top(world: World, is_new: bool, is_restarted: bool) -> None:
    world.mkdir("/d")
    if not is_new:
        world.put("/d/f", b"1")
    world.settle()
    world.put("/d/f", b"22")
    lose_the_folder(world)
    if is_restarted:
        world.restart()
    world.settle()
    assert world.tree() == {f"/{COPY}": b"22"}
    assert [word for _, word in world.pending()] == ["failed"]
    assert world.notices() == [f"the folder it was in has vanished; what there is, is in {COPY}"]
    assert faults_of(world.core.tree) == []
    world.rename(f"/{COPY}", "/f")
    world.settle()
    assert world.tree() == world.remote() == {"/f": b"22"}
    assert world.pending() == []


@pytest.mark.parametrize("is_restarted", [False, True])
def test_what_was_closed_last_is_kept(world: World, is_restarted: bool) -> None:
    world.mkdir("/d")
    world.settle()
    world.put("/d/f", b"1")
    number = world.open("/d/f", os.O_RDWR)
    world.fs.write(number, 0, b"22")
    world.fs.flush(number)
    lose_the_folder(world)
    if is_restarted:
        world.restart()
    else:
        world.commit_steps(3)
        world.close_file(number)
    world.settle()
    assert world.tree() == {f"/{COPY}": b"22"}
    assert faults_of(world.core.tree) == []


def test_a_new_file_that_was_removed_on_its_way_is_in_no_folder_and_ends_with_its_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("/f", b"x")
    submit, decide = world.account.submit, Plan._decide
    failed: list[Node] = []

    def deciding(plan: Plan, node: Node, *args: Any) -> None:
        if node.state.flight is not None and not failed:
            failed.append(node)
            raise KeyError("a bug")
        decide(plan, node, *args)

    def submitting(orders: Sequence[Order]) -> Launch:
        if not failed:
            world.fs.unlink("/f")
            monkeypatch.setattr(Plan, "_decide", deciding)
            world.core.plan.look(world.clock.now_s())
        return submit(orders)

    monkeypatch.setattr(world.account, "submit", submitting)
    world.settle()
    assert len(failed) == 1
    assert world.tree() == world.remote() == {}
    assert world.pending() == []
    assert faults_of(world.core.tree) == []
