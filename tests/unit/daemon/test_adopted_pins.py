"""What a mount keeps on this machine for reading goes to the one that takes it over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.upkeep.pinner import Pinner
from mountfs.model.path import RemotePath
from tests.doubles.memory_account import MemoryAccount
from tests.doubles.world import World
from tests.unit.daemon.test_adoption import Estate


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    made = Estate(tmp_path, MemoryAccount())
    made.account.write("/kept/d/f", b"f")
    made.account.write("/kept/g", b"g")
    made.account.write("/other", b"o")
    yield made
    made.close()


def pinner_of(world: World) -> Pinner:
    return Pinner(world.core.view, world.core.blocks, world.core.reader, world.clock)


def pin(world: World, *paths: str) -> None:
    """And has all of it fetched."""
    pinner = pinner_of(world)
    for path in paths:
        pinner.pin(world.node(path))
    run(world, pinner)


def run(world: World, pinner: Pinner) -> None:
    while pinner.step(world.clock.now_s()) <= world.clock.now_s():
        pass


def pinned(world: World) -> dict[str, tuple[int, int]]:
    """By path: files, and bytes that are here."""
    pinner = pinner_of(world)
    run(world, pinner)
    return {str(kept.path): (kept.files, kept.cached_bytes) for kept in pinner.kept()}


def test_what_they_pinned_is_pinned_and_fetched_here(estate: Estate) -> None:
    pin(estate.theirs, "/kept")
    ours = estate.take_over()
    assert pinned(ours) == {"/kept": (2, 2)}
    ours.memory.is_online = False
    assert ours.get("/kept/d/f") == b"f"


def test_their_pins_come_to_ours_and_what_both_pinned_is_pinned_once(estate: Estate) -> None:
    pin(estate.ours, "/other", "/kept/g")
    pin(estate.theirs, "/kept/g", "/kept/d")
    ours = estate.take_over()
    assert pinned(ours) == {"/other": (1, 1), "/kept/g": (1, 1), "/kept/d": (1, 1)}
    assert pinner_of(ours).unpin(RemotePath.parse("/kept/d"))
    assert set(pinned(ours)) == {"/other", "/kept/g"}


def test_a_pin_follows_what_they_renamed_or_made_and_had_not_sent(estate: Estate) -> None:
    theirs = estate.theirs
    theirs.put("/new", b"new")
    pin(theirs, "/new", "/kept")
    theirs.rename("/kept", "/renamed")
    ours = estate.take_over()
    ours.settle()
    assert pinned(ours) == {"/new": (1, 3), "/renamed": (2, 2)}


def test_a_pin_of_what_is_not_there_stays_and_finds_what_comes(estate: Estate) -> None:
    pin(estate.theirs, "/other")
    estate.account.remove("/other")
    estate.ours.follow()
    estate.ours.tree()
    ours = estate.take_over()
    assert pinned(ours) == {"/other": (0, 0)}
    ours.theirs("/other", b"again")
    assert pinned(ours) == {"/other": (1, 5)}
