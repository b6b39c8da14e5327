"""The local disk fails while the plan writes something down: what it was about is planned again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from mountfs.errors import MountfsError
from mountfs.ports import BackendLimits
from tests.doubles.failing_store import DISK_ERRORS, fail_store
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World


def settle_stubbornly(world: World) -> None:
    """As the daemon's workers do it: a step that raised is made again, later."""
    for _ in range(20):
        try:
            world.settle()
        except (sqlite3.Error, MountfsError):
            world.advance(0.5)
        else:
            return
    raise AssertionError("no step goes well")


def save_by_rename(world: World) -> None:
    """`mv f f~`, the new version is written as f, `rm f~`: vim."""
    world.rename("/f", "/f~")
    world.put("/f", b"new")
    world.fs.unlink("/f~")


def save_over(world: World) -> None:
    """The new version is written as t, `mv t f`: most others."""
    world.put("/t", b"new")
    world.rename("/t", "/f")


@pytest.mark.parametrize("limits", [MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS], ids=["batches", "side by side"])
@pytest.mark.parametrize("save", [save_by_rename, save_over])
@pytest.mark.parametrize("at", ["begin", "end"])
@pytest.mark.parametrize("skip", range(5))
def test_a_version_saved_over_another_is_sent_once_the_disk_has_recovered(
    tmp_path: Path,
    limits: BackendLimits,
    save: Callable[[World], None],
    at: Literal["begin", "end"],
    skip: int,
) -> None:
    world = World(tmp_path, limits=limits)
    world.account.write("/f", b"old")
    assert world.names() == {"f"}
    save(world)
    failed = fail_store(world, DISK_ERRORS[0], skip=skip, at=at)
    settle_stubbornly(world)
    assert failed
    assert world.remote() == {"/f": b"new"}
    assert (world.pending(), world.notices()) == ([], [])
    world.close()
