"""Replies about a folder that took so long that another folder has its name when they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mountfs.model.entry import Folder, Listed
from mountfs.model.path import RemotePath
from mountfs.ports import RemoteChanges
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """On a service that names folders which files make by the way in its news alone."""
    world = World(tmp_path)
    world.follow()
    world.names()
    world.mkdir("/d")
    world.put("/d/f", b"first")
    world.settle()
    assert world.state("/d").base == Folder("", "d")
    yield world
    world.close()


def make_anew(world: World) -> None:
    """Another folder d takes the place of the first one."""
    world.fs.unlink("/d/f")
    world.fs.rmdir("/d")
    world.settle()
    world.mkdir("/d")
    world.put("/d/f", b"second")


def follow_late(world: World, meanwhile: Callable[[], None]) -> None:
    """The changes are asked for, *meanwhile* happens, and then their reply comes."""
    ask = world.memory.changes

    def changes(cursor: str) -> RemoteChanges:
        found = ask(cursor)
        world.memory.changes = ask  # type: ignore[method-assign]
        meanwhile()
        return found

    world.memory.changes = changes  # type: ignore[method-assign]
    world.core.follower.step(world.clock.now_s())


def follow_in_pages(world: World, between: Callable[[], object]) -> None:
    """Each change comes in a page of its own, and *between* happens after each but the last."""
    world.memory.page_entries = 1
    cursor, has_more = world.core.feed.cursor, True
    while has_more:
        asked_at = world.core.feed.asks()
        page = world.memory.changes(cursor or "")
        cursor, has_more = page.cursor, page.has_more
        world.core.feed.note(page.entries, cursor, asked_at, has_more=has_more)
        if has_more:
            between()


def test_news_of_a_folder_are_not_taken_for_those_of_one_that_has_its_name_since(world: World) -> None:
    def meanwhile() -> None:
        make_anew(world)
        world.settle()

    follow_late(world, meanwhile)
    second = world.node("/d")
    world.fs.unlink("/d/f")
    world.mkdir("/d/f")
    world.settle()
    world.follow()
    assert world.node("/d") is second
    assert world.tree() == world.remote() == {"/d": None, "/d/f": None}
    assert world.notices() == []


def test_nor_for_those_of_one_that_is_just_being_made(world: World) -> None:
    world.account.job_polls = 5

    def meanwhile() -> None:
        make_anew(world)
        world.commit_steps(2)
        assert world.word("/d/f") == "committing"

    follow_late(world, meanwhile)
    second = world.node("/d")
    world.settle()
    world.fs.unlink("/d/f")
    world.mkdir("/d/f")
    world.names("/d")
    world.settle()
    world.follow()
    assert world.node("/d") is second
    assert world.tree() == world.remote() == {"/d": None, "/d/f": None}


@pytest.mark.parametrize("is_sent", [True, False], ids=["made", "just being made"])
def test_nor_where_pages_that_follow_tell_of_the_second(world: World, *, is_sent: bool) -> None:
    """After an outage, for instance, there are many."""
    make_anew(world)
    world.account.job_polls = 0 if is_sent else 3
    world.commit_steps(2)
    second = world.node("/d")

    def look() -> None:
        world.settle()
        assert world.names("/d") == {"f"}
        assert second.state.base in (Folder("", "d"), world.account.get("/d"))

    follow_in_pages(world, look)
    assert second.state.base == world.account.get("/d")
    assert world.tree() == world.remote() == {"/d": None, "/d/f": b"second"}
    assert world.node("/d") is second


def test_news_that_tell_of_both_folders_name_the_second(world: World) -> None:
    make_anew(world)
    world.settle()
    second = world.node("/d")
    world.core.follower.step(world.clock.now_s())
    standing = world.account.get("/d")
    assert standing is not None
    assert second.state.base == Folder(standing.id, "d")
    assert world.node("/d") is second


def test_a_listing_by_a_path_that_has_passed_to_another_folder_is_not_believed(world: World) -> None:
    ask, first = world.memory.list_folder, world.node("/d")

    def list_folder(path: RemotePath, folder_id: str = "") -> object:
        world.memory.list_folder = ask  # type: ignore[method-assign]
        world.rename("/d", "/e")
        world.settle()
        world.mkdir("/d")
        world.put("/d/other", b"other")
        world.settle()
        return ask(path, folder_id)

    world.memory.list_folder = list_folder  # type: ignore[method-assign,assignment]
    assert not world.core.listings.try_relist(first)
    assert world.tree() == world.remote()


def test_what_others_put_into_a_new_folder_is_seen_after_a_kill_before_its_reply(tmp_path: Path) -> None:
    """Its own news were heard before the kill, and are not told again."""
    world = World(tmp_path)
    world.follow()
    world.names()
    world.account.job_polls = 5
    world.mkdir("/new")
    world.mkdir("/new/folder")
    world.put("/new/folder/f", b"ours")
    world.commit_steps(2)
    assert world.word("/new/folder/f") == "committing"
    world.theirs("/new/theirs", b"theirs")
    world.restart()
    world.settle()
    world.follow()
    assert world.tree() == world.remote()
    world.close()


@pytest.mark.parametrize("page_entries", [1, 1000], ids=["page by page", "one page"])
@pytest.mark.parametrize("is_listed", [True, False], ids=["looked at", "not looked at"])
def test_a_folder_that_others_made_anew_before_its_id_was_known_shows_nothing_of_ours(
    world: World, page_entries: int, *, is_listed: bool
) -> None:
    world.memory.page_entries = page_entries
    world.account.remove("/d")
    world.account.mkdir("/d")
    for _ in range(3):
        world.follow()
        if is_listed:
            world.names()
    assert world.tree() == world.remote() == {"/d": None}


@pytest.mark.parametrize("ends_between", [True, False], ids=["done between two pages", "done after them"])
def test_news_in_pages_of_folders_that_are_just_being_made_cost_no_listing(
    world: World, *, ends_between: bool
) -> None:
    """As those of a large copy are: a listing for each of its folders would take longer than the copy."""
    for name in ("f", "g"):
        world.mkdir(f"/new-{name}")
        world.put(f"/new-{name}/{name}", b"ours")
    world.account.job_polls = 3
    world.commit_steps(2)
    assert world.account.get("/new-g") is not None
    before = world.memory.calls().get("list_folder", 0)
    follow_in_pages(world, world.settle if ends_between else lambda: None)
    world.settle()
    assert world.tree() == world.remote()
    assert world.state("/new-g").base == world.account.get("/new-g")
    assert world.memory.calls().get("list_folder", 0) == before


def test_a_late_listing_takes_nothing_out_of_a_folder_that_was_made_meanwhile(tmp_path: Path) -> None:
    """`mv d e; mkdir d` take effect after it was asked for; it has the first d, and what was removed in the
    second one came back."""
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    world.follow()
    world.mkdir("/d")
    world.put("/d/f", b"first")
    world.settle()
    world.follow()
    world.tree()
    world.rename("/d", "/e")
    world.mkdir("/d")
    for path in ("/d/f", "/d/g", "/d/h"):
        world.put(path, b"second")
    ask = world.memory.list_folder

    def list_folder(path: RemotePath, folder_id: str = "") -> list[Listed]:
        found = ask(path, folder_id)
        world.memory.list_folder = ask  # type: ignore[method-assign]
        world.core.feed.note_follower(is_healthy=True, is_away=True)  # no call waits for the listing
        world.settle()
        world.fs.unlink("/d/g")
        world.put("/d/f", b"third")
        world.core.feed.note_follower(is_healthy=True, is_away=False)
        return found

    world.memory.list_folder = list_folder  # type: ignore[method-assign]
    world.core.listings.try_relist(world.core.tree.root)
    assert world.names("/d") == {"f", "h"}
    world.settle()
    world.follow()
    expected = {"/d": None, "/d/f": b"third", "/d/h": b"second", "/e": None, "/e/f": b"first"}
    assert world.tree() == world.remote() == expected
    assert world.notices() == []
    world.close()
