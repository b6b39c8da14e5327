"""Folders whose entries are told from their rows, without a node for each."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from mountfs.attributes import Caller
from tests.doubles.world import World

FILES = 1200


def _listed(world: World, path: str) -> dict[str, tuple[int, int]]:
    """Type, permissions and number of each entry, by name; none comes twice."""
    number = world.fs.opendir(path)
    try:
        entries = world.fs.readdir(number)
    finally:
        world.fs.releasedir(number)
    assert len({name for name, _, _ in entries}) == len(entries)
    return {name: (mode, inode) for name, mode, inode in entries}


@pytest.fixture
def known(tmp_path: Path) -> World:
    """A mount that knows a large folder from the one before it, and has nothing of it in memory."""
    world = World(tmp_path)
    for number in range(FILES):
        world.account.write(f"/d/f{number}", b"x")
    world.account.mkdir("/d/sub")
    world.follow()
    _listed(world, "/d")
    world.restart()
    world.follow()
    return world


def _nodes(world: World) -> int:
    return len(world.core.tree.nodes)


def test_a_listing_makes_no_nodes_and_costs_no_call(known: World) -> None:
    known.fs.getattr("/d")
    before, calls = _nodes(known), known.memory.calls()
    listed = _listed(known, "/d")
    assert len(listed) == FILES + 1
    assert stat.S_ISDIR(listed["sub"][0]) and stat.S_ISREG(listed["f7"][0])
    assert (_nodes(known), known.memory.calls()) == (before, calls)


def test_it_tells_what_stat_tells(known: World) -> None:
    listed = _listed(known, "/d")
    for name in ("f0", f"f{FILES - 1}", "sub"):
        attributes = known.fs.getattr(f"/d/{name}")
        assert listed[name] == (attributes.mode, attributes.inode)


def test_modes_that_are_kept_here_are_told(known: World) -> None:
    known.fs.metadata.chmod("/d/f3", 0o700)
    known.restart()
    known.follow()
    assert _listed(known, "/d")["f3"][0] == stat.S_IFREG | 0o700


def test_what_is_pending_is_shown(known: World) -> None:
    known.fs.mknod("/d/new", 0o644, caller=Caller(1, 1))
    known.fs.unlink("/d/f1")
    known.fs.rename("/d/f2", "/d/renamed")
    expected = ({f"f{number}" for number in range(FILES)} | {"new", "renamed", "sub"}) - {"f1", "f2"}
    assert set(_listed(known, "/d")) == expected
    known.restart()
    known.follow()
    assert set(_listed(known, "/d")) == expected
