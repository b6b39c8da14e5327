"""Bytes of ours in a folder that a bug took away."""

from __future__ import annotations

import os

import pytest

from mountfs.tree.node import FORGOTTEN
from tests.doubles.soundness import faults_of
from tests.doubles.world import World

COPY = "f (recovered copy testhost 2023-11-14)"


@pytest.mark.parametrize("is_new", [False, True])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_they_are_a_recovered_copy_at_the_top(world: World, is_new: bool, is_restarted: bool) -> None:
    world.mkdir("/d")
    if not is_new:
        world.put("/d/f", b"1")
    world.settle()
    world.put("/d/f", b"22")
    world.core.durability.save()
    folder = world.node("/d")
    with world.core.tree.transaction():
        world.core.tree.change((folder, FORGOTTEN))
    world.account.remove("/d")
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
    world.core.durability.save()
    folder = world.node("/d")
    with world.core.tree.transaction():
        world.core.tree.change((folder, FORGOTTEN))
    world.account.remove("/d")
    if is_restarted:
        world.restart()
    else:
        world.commit_steps(3)
        world.close_file(number)
    world.settle()
    assert world.tree() == {f"/{COPY}": b"22"}
    assert faults_of(world.core.tree) == []
