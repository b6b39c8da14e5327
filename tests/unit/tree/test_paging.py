"""Folders whose listing has several pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from mountfs.errors import Conflict, NotFound, ServerFault
from mountfs.model.entry import File, Odd, Placed, Seen
from mountfs.model.path import RemotePath
from mountfs.ports import FolderPage
from mountfs.tree.load import Asker
from mountfs.tree.node import remote_id
from mountfs.tree.treewalk import TreeWalk
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.waiting import until

PAGE = 5
COUNT = 4 * PAGE + 1
NAMES = {f"f{number:02}" for number in range(COUNT)}

OnPage = Callable[[int, FolderPage], FolderPage]
"""Called with the number of a page, from 1, and the page; what it gives is the page."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    for name in sorted(NAMES):
        made.account.write(f"/long/{name}", name.encode())
    made.follow()
    made.memory.listing_entries = PAGE
    made.names()
    yield made
    made.close()


def on_pages(world: World, then: OnPage) -> list[int]:
    """Has *then* called for each page of /long; gives, for each page that was asked for, how many rows the
    folder had by then."""
    inner, rows = world.memory.list_page, list[int]()
    folder_id = world.node("/long").id

    def list_page(
        path: RemotePath,
        folder_id: str,
        cursor: str | None,
        *,
        most: int | None = None,
        is_ahead: bool = False,
    ) -> FolderPage:
        rows.append(booked(world))
        return then(len(rows), inner(path, folder_id, cursor, most=most, is_ahead=is_ahead))

    def booked(world: World) -> int:
        with world.core.tree.lock:
            return len(list(world.core.tree.store.children(folder_id)))

    world.memory.list_page = list_page  # type: ignore[method-assign]
    return rows


def rows_in(world: World, path: str) -> list[str]:
    folder = world.node(path)
    with world.core.tree.lock:
        return sorted(row.name for row in world.core.tree.store.children(folder.id))


def test_pages_become_rows_as_they_come(world: World) -> None:
    """One page is booked while the next one is asked for."""
    rows = on_pages(world, lambda _, page: page)
    assert world.names("/long") == NAMES
    assert len(rows) == 5
    assert all(count >= PAGE * (number - 1) for number, count in enumerate(rows))


def test_a_folder_that_is_known_is_listed_page_by_page_as_well(world: World) -> None:
    world.names("/long")
    world.account.remove("/long/f07")
    world.theirs("/long/new", b"x")
    rows = on_pages(world, lambda _, page: page)
    assert world.names("/long") == (NAMES - {"f07"}) | {"new"}
    assert len(rows) == 5
    assert rows_in(world, "/long") == sorted((NAMES - {"f07"}) | {"new"})


def again(number: int, page: FolderPage) -> FolderPage:
    twice = File("twice", "twice", "1", 1, 0, "")
    return replace(page, entries=[*page.entries, twice]) if number in (1, 4) else page


def other_of_that_name(number: int, page: FolderPage) -> FolderPage:
    other = File("other", "F00", "1", 1, 0, "")
    return replace(page, entries=[*page.entries, other]) if number == 4 else page


def gone(number: int, page: FolderPage) -> FolderPage:
    return replace(page, entries=[*page.entries, None]) if number == 3 else page


def void(number: int, page: FolderPage) -> FolderPage:
    if number == 3:
        raise Conflict("reset")
    return page


def void_at_once(number: int, page: FolderPage) -> FolderPage:
    raise Conflict("reset")


def leads_nowhere(number: int, page: FolderPage) -> FolderPage:
    """The second page names itself as the next one."""
    cursor = (page.cursor or "").replace(str(COUNT - 2 * PAGE), str(COUNT - PAGE))
    return replace(page, cursor=cursor) if number == 2 else page


def one_is_odd(number: int, page: FolderPage) -> FolderPage:
    return replace(page, entries=[*page.entries, Odd("odd", "no size")]) if number == 2 else page


@pytest.mark.parametrize("is_known", [False, True], ids=["new", "known"])
@pytest.mark.parametrize(
    "case", [again, other_of_that_name, gone, void, void_at_once, leads_nowhere, one_is_odd]
)
def test_a_listing_that_is_not_plain_is_asked_for_as_a_whole(
    world: World, case: OnPage, is_known: bool
) -> None:
    if is_known:
        world.names("/long")
        world.account.remove("/long/f07")
        world.theirs("/long/f07", b"new")
    on_pages(world, case)
    assert world.names("/long") == NAMES
    assert rows_in(world, "/long") == sorted(NAMES)
    assert world.get("/long/f03") == b"f03"


def test_a_listing_of_one_page_is_asked_for_once_whatever_is_on_it(world: World) -> None:
    """On Box two names may differ in how their accents are composed: each time one of them is odd."""
    world.memory.listing_entries = COUNT + 1
    odd = Odd("f00", "something else in the folder has this name, in other letters")
    rows = on_pages(world, lambda _, page: replace(page, entries=[*page.entries, odd]))
    before = world.memory.calls()["list_folder"]
    assert world.names("/long") == NAMES
    assert len(rows) == world.memory.calls()["list_folder"] - before == 1


@pytest.mark.parametrize("number", [1, 2, 4, 5])
def test_a_page_that_fails_leaves_no_rows_and_no_folder_that_is_shown_in_part(
    world: World, number: int
) -> None:
    world.backend.fail("list_folder", ServerFault("500"), skip=number - 1, times=2)
    with pytest.raises(ServerFault):
        world.names("/long")
    assert rows_in(world, "/long") == []
    rows = on_pages(world, lambda _, page: page)
    assert world.names("/long") == NAMES
    assert len(rows) == 5


def test_a_kill_between_two_pages_shows_no_part_of_a_folder(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(number: int, page: FolderPage) -> FolderPage:
        if number == 5:
            raise KeyboardInterrupt
        return page

    on_pages(world, killed)
    with monkeypatch.context() as patched:
        patched.setattr(TreeWalk, "give_up", lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            world.names("/long")
    assert rows_in(world, "/long")
    world.account.remove("/long/f01")
    world.restart()
    world.follow()
    assert world.names("/long") == NAMES - {"f01"}
    assert rows_in(world, "/long") == sorted(NAMES - {"f01"})


def test_a_folder_that_others_remove_between_two_pages_is_gone(world: World) -> None:
    def removed(number: int, page: FolderPage) -> FolderPage:
        if number == 3:
            world.account.remove("/long")
            raise NotFound("no such folder")
        return page

    on_pages(world, removed)
    with pytest.raises(NotFound):
        world.names("/long")
    assert world.names() == set()


def test_pages_of_a_listing_ahead_are_asked_for_as_such_until_somebody_waits_for_it(world: World) -> None:
    folder, inner, asked = world.node("/long"), world.memory.list_page, list[bool]()
    reader = Thread(target=world.names, args=("/long",))

    def list_page(
        path: RemotePath, folder_id: str, cursor: str | None, *, is_ahead: bool, **_: object
    ) -> FolderPage:
        asked.append(is_ahead)
        if len(asked) == 3:
            reader.start()
            until(lambda: world.core.listings._loads[folder.id].asker is Asker.PROGRAM, "the reader waits")
        return inner(path, folder_id, cursor)

    world.memory.list_page = list_page  # type: ignore[method-assign, assignment]
    world.core.listings.load(folder, asker=Asker.AHEAD)
    reader.join(10)
    assert asked == [True, True, True, False, False]


def test_a_folder_that_is_on_two_pages_shows_what_is_in_it(world: World) -> None:
    """It was renamed while the pages were read, or given another owner."""
    world.account.write("/long/f00x/inside", b"x")
    world.follow()
    twice = world.account.get("/long/f00x")

    def again(number: int, page: FolderPage) -> FolderPage:
        others = [each for each in page.entries if each != twice]
        return replace(page, entries=[*others, twice] if number in (1, 4) else others)

    on_pages(world, again)
    assert world.names("/long") == NAMES | {"f00x"}
    assert world.names("/long/f00x") == {"inside"}


def walk_of_all(world: World) -> TreeWalk:
    """A recursive listing that has come to /long."""
    tree = world.core.tree
    walk = TreeWalk(tree, tree.root, tree.store.next_id())
    walk.book([("/long", "", world.account.get("/long"))])
    return walk


def test_a_walk_that_is_given_up_takes_nothing_from_a_listing_beside_it(world: World) -> None:
    walks: list[TreeWalk] = []

    def beside(number: int, page: FolderPage) -> FolderPage:
        if number == 1:
            walks.append(walk_of_all(world))
        if number == 4:
            walks[0].give_up()
        return page

    on_pages(world, beside)
    assert world.names("/long") == NAMES


def test_a_listing_that_fails_takes_nothing_from_a_walk_beside_it(world: World) -> None:
    walks: list[TreeWalk] = []

    def beside(number: int, page: FolderPage) -> FolderPage:
        if number == 1:
            walks.append(walk_of_all(world))
        if number == 3:
            walks[0].book([placed(COUNT - 1)])
            world.backend.fail("list_folder", ServerFault("500"), times=2)
        return page

    def placed(at: int) -> Placed:
        path = f"/long/f{at:02}"
        return path, "/long", world.file(path)

    on_pages(world, beside)
    with pytest.raises(ServerFault):
        world.names("/long")
    walks[0].book(map(placed, range(COUNT - 1)))
    walks[0].finish(frozenset())
    assert world.names("/long") == NAMES


@pytest.fixture
def by_id(tmp_path: Path) -> Iterator[World]:
    """News are by ids alone, as those of Box, and say nothing of the folder that something was in."""
    made = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    for name in sorted(NAMES):
        made.account.write(f"/long/{name}", name.encode())
    made.account.mkdir("/other")
    made.follow()
    made.names()
    yield made
    made.close()


@pytest.mark.parametrize("page_entries", [PAGE, COUNT + 1], ids=["pages", "page"])
def test_what_others_remove_while_its_page_is_on_its_way_is_not_shown_for_ever(
    by_id: World, page_entries: int
) -> None:
    world = by_id
    world.memory.listing_entries = page_entries
    asked = list[int]()

    def removed(number: int, page: FolderPage) -> FolderPage:
        last = page.entries[-1]
        if page.cursor is None and not asked:
            assert last is not None
            asked.append(number)
            world.account.remove(f"/long/{last.name}")
            world.follow()
        return page

    on_pages(world, removed)
    world.names("/long")
    assert world.names("/long") == set(sorted(NAMES)[:-1])
    assert asked


def test_what_others_do_elsewhere_has_no_folder_listed_once_more(by_id: World) -> None:
    world = by_id

    def done(number: int, page: FolderPage) -> FolderPage:
        world.theirs(f"/other/{number}", b"x")
        return page

    before = world.memory.calls()["list_folder"]
    world.memory.listing_entries = PAGE
    rows = on_pages(world, done)
    world.names("/long")
    assert world.names("/long") == NAMES
    assert len(rows) == world.memory.calls()["list_folder"] - before == 5


def test_what_is_told_of_a_file_that_is_known_there_has_no_folder_listed_once_more(by_id: World) -> None:
    """As of what was sent from here just before."""
    world = by_id
    world.names("/long")
    world.theirs("/long/theirs", b"x")
    world.memory.listing_entries = PAGE

    def told(number: int, page: FolderPage) -> FolderPage:
        echo = Seen(world.file("/long/f03"), folder_id=remote_id(world.node("/long")))
        world.core.feed.note([echo], world.core.feed.cursor or "", world.core.feed.asks())
        return page

    rows = on_pages(world, told)
    world.names("/long")
    assert world.names("/long") == NAMES | {"theirs"}
    assert len(rows) == 5
