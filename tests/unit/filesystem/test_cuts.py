"""A file is cut while the journal's disk is full, or fails: of what the file is then, all see the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from mountfs.errors import NoSpace
from tests.doubles.failing_store import DISK_ERRORS, fail_store
from tests.doubles.world import MIB, World

SIZE = 3 * MIB
BODY = Random(1).randbytes(SIZE)
NEAR_END = SIZE - MIB // 2
CUT = MIB + 5


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.theirs("/f", BODY)
    yield world
    world.close()


def edited(world: World) -> tuple[int, bytes]:
    """An open file with gaps, and with bytes of ours near its end; what it has."""
    number = world.open("/f", os.O_RDWR)
    world.fs.write(number, NEAR_END, b"ours")
    expected = BODY[:NEAR_END] + b"ours" + BODY[NEAR_END + 4 :]
    assert world.fs.read(number, 0, SIZE) == expected
    return number, expected


@pytest.mark.parametrize("error", DISK_ERRORS, ids=str)
def test_a_cut_takes_effect_though_the_journal_does_not_take_it_yet(world: World, error: Exception) -> None:
    number, expected = edited(world)
    failed = fail_store(world, error)
    world.fs.ftruncate(number, CUT)
    assert failed
    assert world.fs.read(number, 0, SIZE) == expected[:CUT]
    world.close_file(number)
    world.settle()
    assert world.account.files() == {"/f": expected[:CUT]}


@pytest.mark.parametrize("ends", ["killed", "grown", "closed"])
def test_so_does_a_further_cut(world: World, ends: str) -> None:
    number, expected = edited(world)
    failed = fail_store(world, NoSpace("full"), times=2)
    for cut in (NEAR_END + 2, CUT):
        world.fs.ftruncate(number, cut)
    assert len(failed) == 2
    expected = expected[:CUT]
    assert world.fs.read(number, 0, SIZE) == expected
    if ends == "grown":
        world.fs.ftruncate(number, SIZE)
        expected += bytes(SIZE - CUT)
    if ends == "closed":
        world.close_file(number)
        world.settle()
        assert world.account.files() == {"/f": expected}
    else:
        world.restart()
        [copy] = [f"/{name}" for name in world.names() if "recovered" in name]
        assert world.get(copy) == expected


@pytest.mark.parametrize("grow", ["write", "truncate", "near"])
def test_what_is_cut_off_while_the_journal_is_full_never_comes_back(world: World, grow: str) -> None:
    number, expected = edited(world)
    failed = fail_store(world, NoSpace("full"), times=2)
    world.fs.ftruncate(number, CUT)

    def grown() -> None:
        if grow == "truncate":
            world.fs.ftruncate(number, SIZE)
        else:
            world.fs.write(number, SIZE - 1 if grow == "write" else CUT, b"z")

    with pytest.raises(NoSpace):
        grown()
    assert len(failed) == 2
    assert world.fs.read(number, 0, SIZE) == expected[:CUT]
    grown()
    is_near = grow == "near"
    behind = b"z" if is_near else bytes(SIZE - CUT - 1) + (b"z" if grow == "write" else b"\0")
    world.restart()
    [copy] = [f"/{name}" for name in world.names() if "recovered" in name]
    assert world.get(copy) == expected[:CUT] + behind


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_cut_that_the_journal_did_not_take_outlives_a_kill(world: World, is_closed: bool) -> None:
    number, expected = edited(world)
    fail_store(world, NoSpace("full"))
    world.fs.ftruncate(number, CUT)
    if is_closed:
        world.fs.flush(number)
    world.restart()
    [path] = ["/f"] if is_closed else [f"/{name}" for name in world.names() if "recovered" in name]
    assert world.get(path) == expected[:CUT]
    state = world.state(path)
    assert state.content is not None
    assert state.content.overlay is not None
    assert state.content.overlay.missing_bytes == CUT
    if is_closed:
        world.settle()
        assert world.account.files() == {"/f": expected[:CUT]}


def test_a_close_that_the_journal_does_not_take_leaves_the_cut_to_the_next(world: World) -> None:
    number, expected = edited(world)
    fail_store(world, NoSpace("full"), times=2)
    world.fs.ftruncate(number, CUT)
    with pytest.raises(NoSpace):
        world.fs.flush(number)
    assert world.fs.read(number, 0, SIZE) == expected[:CUT]
    world.close_file(number)
    world.settle()
    assert world.account.files() == {"/f": expected[:CUT]}
