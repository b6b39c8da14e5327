"""Files that are open while the service renames them: Dropbox gives the same bytes another revision then."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.ports import BackendLimits
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World


@pytest.fixture(params=[MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    limits: BackendLimits = request.param
    world = World(tmp_path, limits=limits)
    world.follow()
    world.mkdir("/d")
    world.put("/d/log", b"log")
    world.put("/other", b"other")
    world.settle()
    yield world
    assert world.tree() == world.remote()
    assert world.notices() == []
    world.close()


def write_after_rename(world: World, source: str, target: str) -> None:
    """As a program does whose log is rotated."""
    number = world.open("/d/log", os.O_RDWR)
    world.rename(source, target)
    world.settle()
    world.follow()
    world.names("/d" if source != "/d" else target)
    world.fs.write(number, 0, b"more")
    world.close_file(number)


@pytest.mark.parametrize(("source", "target"), [("/d/log", "/d/log.1"), ("/d", "/e")], ids=["file", "folder"])
def test_what_was_written_after_the_rename_is_removed_with_the_file(
    world: World, source: str, target: str
) -> None:
    write_after_rename(world, source, target)
    written = target if source == "/d/log" else f"{target}/log"
    world.fs.unlink(written)
    world.settle()
    assert written not in world.remote()


def test_what_was_written_after_the_rename_replaces_another_file(world: World) -> None:
    write_after_rename(world, "/d/log", "/d/log.1")
    world.rename("/d/log.1", "/other")
    world.settle()
    assert world.remote() == {"/d": None, "/other": b"more"}


def test_what_was_written_after_the_rename_is_sent_at_the_first_try(world: World) -> None:
    write_after_rename(world, "/d/log", "/d/log.1")
    before = world.backend.calls()["submit"]
    world.settle()
    assert world.remote()["/d/log.1"] == b"more"
    assert world.backend.calls()["submit"] == before + 1
