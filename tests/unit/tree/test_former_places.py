"""Changes that name a folder by the path that it had before a move of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.tree import formerplaces
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """On a service whose changes name paths, and whose moves give files no new revisions."""
    world = World(tmp_path)
    world.account.tree.moves_renew_revisions = False
    for path in ("/d/f", "/d/g/h", "/d/kept"):
        world.account.write(path, path.encode())
    world.follow()
    world.tree()
    yield world
    world.close()


def _moved_after_a_removal(world: World) -> None:
    """Others remove d/f and d/g, which is not heard of, and then `mv d e` takes effect."""
    world.account.remove("/d/f")
    world.account.remove("/d/g")
    world.rename("/d", "/e")
    world.settle()


@pytest.mark.parametrize("new", ["folder", "folder with a file of that name", "file", "folder of others"])
def test_what_others_removed_is_gone_also_where_something_new_has_the_old_path(
    world: World, new: str
) -> None:
    _moved_after_a_removal(world)
    match new:
        case "folder":
            world.mkdir("/d")
        case "file":
            world.put("/d", b"new")
        case "folder of others":
            world.account.write("/d/g/theirs", b"theirs")
        case _:
            world.mkdir("/d")
            world.put("/d/f", b"new")
    world.settle()
    world.follow()
    assert world.tree() == world.remote()
    assert world.names("/e") == {"kept"}


def test_what_others_removed_is_gone_also_after_a_kill(world: World) -> None:
    _moved_after_a_removal(world)
    world.restart()
    world.follow()
    assert world.tree() == world.remote()
    assert not world.core.listings.former_places
    world.restart()
    assert not world.core.listings.former_places


def test_what_others_removed_is_gone_also_where_more_folders_were_moved_than_are_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formerplaces, "KEPT", 1)
    for name in ("x", "y"):
        world.mkdir(f"/{name}")
    world.settle()
    _moved_after_a_removal(world)
    for name in ("x", "y"):
        world.rename(f"/{name}", f"/{name}2")
        world.settle()
    world.follow()
    assert world.tree() == world.remote()


def test_what_is_only_the_echo_of_what_was_in_a_folder_before_it_was_moved_costs_no_listing(
    world: World,
) -> None:
    for name in ("a", "b"):
        world.put(f"/d/g/{name}", name.encode())
    world.settle()
    world.rename("/d/g", "/g")
    world.settle()
    world.mkdir("/d/g")
    world.put("/d/g/a", b"new")
    world.settle()
    world.follow()
    doubted = world.node("/g").part.listing
    assert not doubted.doubted_at > doubted.listed_at
    assert world.tree() == world.remote()


def test_a_move_whose_news_were_read_before_its_reply_leaves_no_former_place(world: World) -> None:
    world.account.job_polls = 1
    world.rename("/d", "/e")
    world.commit_steps(2)
    assert world.word("/e") == "committing"
    world.follow()
    world.settle()
    assert not world.core.listings.former_places


def test_where_changes_name_folders_by_ids_no_former_places_are_kept(tmp_path: Path) -> None:
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    world.mkdir("/d")
    world.settle()
    world.rename("/d", "/e")
    world.settle()
    world.follow()
    assert not world.core.listings.former_places
    world.close()
