"""Versions of ours that arrive at the service after their commit was given up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.errors import Offline
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """What is put into /f on a service whose work on a commit takes five seconds."""
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    world.account.clock = world.clock
    world.theirs("/f", b"old")
    world.names()
    yield world
    world.close()


def _give_up_first_version(world: World) -> None:
    """Its connection is cut, and the look finds nothing: the service is still at work on it."""
    world.put("/f", b"first")
    world.upload_all()
    world.advance(1.0)
    world.account.job_s = 5.0
    world.backend.fail("submit", Offline("lost"), after=True)
    world.core.committer.step(world.clock.now_s())
    world.advance(1.5)
    world.core.committer.step(world.clock.now_s())
    assert world.core.committer.current == ()
    world.account.job_s = 0.0


@pytest.mark.parametrize("is_listed", [True, False], ids=["listed before", "met by the removal"])
def test_a_file_that_was_removed_here_is_not_brought_back_by_its_own_late_version(
    world: World, *, is_listed: bool
) -> None:
    _give_up_first_version(world)
    world.fs.unlink("/f")
    world.advance(5.0)
    if is_listed:
        world.follow()
        assert world.names() == set()
    world.settle()
    world.follow()
    assert world.tree() == world.remote() == {}
    assert world.notices() == []


def test_what_others_restored_after_a_newer_version_of_ours_is_not_taken_for_a_late_one(
    world: World,
) -> None:
    _give_up_first_version(world)
    world.advance(5.0)
    world.put("/f", b"second")
    number = world.begin("/f", b"third")
    world.settle()
    assert world.remote() == {"/f": b"second"}
    world.account.write("/f", b"first")
    world.close_file(number)
    world.settle()
    world.follow()
    assert world.tree() == world.remote()
    assert sorted(world.account.files().values()) == [b"first", b"third"]


def test_a_late_version_that_was_listed_is_replaced_and_removed_as_ours(world: World) -> None:
    _give_up_first_version(world)
    world.put("/f", b"second")
    world.advance(5.0)
    world.follow()
    assert world.tree() == {"/f": b"second"}
    world.fs.unlink("/f")
    world.settle()
    assert world.tree() == world.remote() == {}
    assert world.notices() == []
