"""A state directory that was put back from a backup: what was sent since is not done again to others."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World


@pytest.fixture(params=[MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["dropbox", "box"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "state", limits=request.param)
    yield made
    made.close()


def test_what_a_backup_has_pending_and_was_sent_since_harms_nobody(world: World, tmp_path: Path) -> None:
    for name in ("edited", "changed", "removed", "back", "moved"):
        world.theirs(f"/{name}", b"old")
    world.names()
    world.settle()
    world.put("/new", b"new")
    world.put("/edited", b"ours")
    world.put("/changed", b"ours")
    world.fs.unlink("/removed")
    world.fs.unlink("/back")
    world.fs.rename("/moved", "/there")
    state, backup = tmp_path / "state", tmp_path / "backup"
    world.close()
    shutil.copytree(state, backup)
    world.start()
    world.settle()
    assert world.remote() == {"/new": b"new", "/edited": b"ours", "/changed": b"ours", "/there": b"old"}
    world.theirs("/changed", b"theirs")
    world.theirs("/back", b"theirs")
    world.theirs("/moved", b"theirs")
    world.close()
    shutil.rmtree(state)
    shutil.copytree(backup, state)
    world.start()
    world.settle()
    world.follow()
    world.settle()
    found = world.remote()
    copies = {path: body for path, body in found.items() if "conflicted copy" in path}
    assert {path: body for path, body in found.items() if path not in copies} == {
        "/new": b"new",
        "/edited": b"ours",
        "/changed": b"theirs",
        "/back": b"theirs",
        "/moved": b"theirs",
        "/there": b"old",
    }
    assert set(copies.values()) <= {b"ours"}
    assert world.tree() == found
