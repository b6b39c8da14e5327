"""truncate(2) by path while the journal's disk is full, or fails: it takes effect and says so, or neither."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from mountfs.errors import NoSpace
from tests.doubles.failing_store import DISK_ERRORS, fail_store
from tests.doubles.world import MIB, World

BODIES = {"small": b"0123456789", "large": Random(1).randbytes(3 * MIB)}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


@pytest.mark.parametrize("is_killed", [False, True], ids=["goes on", "killed"])
@pytest.mark.parametrize("failing", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [0, 5, 4 * MIB])
@pytest.mark.parametrize("is_pending", [False, True], ids=["sent", "pending"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_it_fails_and_leaves_the_file_as_it_was_or_succeeds(
    world: World, body: bytes, is_pending: bool, size: int, failing: int, is_killed: bool
) -> None:
    if is_pending:
        world.put("/f", body)
    else:
        world.theirs("/f", body)
        assert world.names() == {"f"}
    expected = body
    fail_store(world, DISK_ERRORS[failing % 2], skip=failing)
    with suppress(sqlite3.Error, NoSpace):
        world.fs.truncate("/f", size)
        expected = body[:size].ljust(size, b"\0")
    vars(world.core.tree.store).pop("end")  # there is room again
    assert failing or expected == body
    assert world.fs.getattr("/f").size_bytes == len(expected)
    if is_killed:
        world.restart()
    assert world.get("/f") == expected
    assert world.names() == {"f"}
    world.settle()
    assert world.account.files() == {"/f": expected}


@pytest.mark.parametrize("is_closed", [False, True])
@pytest.mark.parametrize("failing", [0, 1, 2])
def test_so_it_does_where_somebody_has_it_open_to_write(world: World, failing: int, is_closed: bool) -> None:
    world.put("/f", BODIES["small"])
    number = world.open("/f", os.O_RDWR)
    world.fs.write(number, 0, b"ours")
    if is_closed:
        world.fs.flush(number)
    expected = b"ours456789"
    fail_store(world, NoSpace("full"), skip=failing)
    with suppress(NoSpace):
        world.fs.truncate("/f", 5)
        expected = b"ours4"
    vars(world.core.tree.store).pop("end")
    assert is_closed or expected == b"ours4", "the next close writes it down"
    assert world.get("/f") == expected
    world.close_file(number)
    world.settle()
    assert world.account.files() == {"/f": expected}


def test_so_it_does_where_a_close_before_it_failed(world: World) -> None:
    world.theirs("/f", BODIES["small"])
    number = world.open("/f", os.O_RDWR)
    world.fs.write(number, 0, b"ours")
    failed = fail_store(world, NoSpace("full"), times=5)
    for end in (world.fs.flush, world.fs.release):
        with pytest.raises(NoSpace):
            end(number)
    before = len(failed)
    world.fs.truncate("/f", 5)
    assert len(failed) > before
    vars(world.core.tree.store).pop("end")
    assert world.get("/f") == b"ours4"
    world.settle()
    assert world.account.files() == {"/f": b"ours4"}
