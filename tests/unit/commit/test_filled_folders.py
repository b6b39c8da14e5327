"""Whether folders are empty that are about to be removed with all that is in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Barrier
from typing import cast

import pytest

from daemon.commit.lookup import FOLDERS_AT_ONCE, MOST_EMPTY_PAGES, filled_folders
from mountfs.errors import Conflict, MountfsError, NotADirectory, NotFound, Throttled
from mountfs.model.entry import Folder, Listed
from mountfs.model.order import OrderKind
from mountfs.model.path import RemotePath
from mountfs.ports import Backend, FolderPage
from mountfs.tree.node import Flight
from tests.unit.commit.test_verdicts import flight, place

Page = Callable[[int], FolderPage]
"""By its number, from 0."""

ONE = Folder("1", "theirs")


class Folders:
    """A service that answers about folders by their paths, and counts what it is asked."""

    def __init__(self, pages: dict[str, Page]) -> None:
        self._pages = pages
        self.asked: list[tuple[str, str | None, int | None]] = []
        self.listed: list[str] = []

    def list_page(
        self,
        path: RemotePath,
        folder_id: str,
        cursor: str | None,
        *,
        most: int | None = None,
        is_ahead: bool = False,
    ) -> FolderPage:
        self.asked.append((path.text, cursor, most))
        return self._pages[path.text](int(cursor or 0))

    def list_folder(self, path: RemotePath, folder_id: str = "") -> Sequence[Listed]:
        self.listed.append(path.text)
        return [ONE]


def removal(path: str) -> Flight:
    return replace(flight(OrderKind.DELETE), place=place(path))


def filled(folders: Folders, *paths: str) -> list[str]:
    found = filled_folders(cast(Backend, folders), [removal(path) for path in paths])
    return [each.place.path.text for each in found]


def failing(error: MountfsError) -> Page:
    def page(number: int) -> FolderPage:
        raise error

    return page


def test_one_entry_of_a_folder_is_asked_for_whatever_is_in_it() -> None:
    folders = Folders({"/full": lambda _: FolderPage([ONE], "1"), "/empty": lambda _: FolderPage([], None)})
    assert filled(folders, "/full", "/empty") == ["/full"]
    assert folders.asked == [("/full", None, 1), ("/empty", None, 1)]
    assert folders.listed == []


def test_the_folders_of_a_batch_are_looked_into_side_by_side() -> None:
    """What others put into one after its answer goes with it."""
    others = Barrier(FOLDERS_AT_ONCE, timeout=20.0)

    def page(_: int) -> FolderPage:
        others.wait()
        return FolderPage([], None)

    paths = [f"/{number}" for number in range(2 * FOLDERS_AT_ONCE)]
    pages: dict[str, Page] = {"/first": lambda _: FolderPage([], None), **dict.fromkeys(paths, page)}
    assert filled(Folders(pages), "/first", *paths) == []


@pytest.mark.parametrize("first", ["/a", "/b"])
def test_where_the_service_fails_at_one_the_others_tell_nothing(first: str) -> None:
    pages = {"/a": failing(Throttled("slow")), "/b": failing(NotFound("n"))}
    folders = Folders(pages)
    with pytest.raises(Throttled):
        filled(folders, *sorted(pages, reverse=first == "/b"))
    assert len(folders.asked) == (1 if first == "/a" else 2)


@pytest.mark.parametrize(("error", "is_filled"), [(NotFound("n"), False), (NotADirectory("f"), True)])
def test_what_is_no_folder_any_more_is_not_emptied(error: MountfsError, is_filled: bool) -> None:
    assert filled(Folders({"/d": failing(error)}), "/d") == (["/d"] if is_filled else [])


def test_a_page_with_nothing_in_it_that_announces_another_says_nothing() -> None:
    late = Folders({"/d": lambda number: FolderPage([ONE], None) if number else FolderPage([None], "1")})
    assert filled(late, "/d") == ["/d"]
    assert late.asked == [("/d", None, 1), ("/d", "1", 1)]
    endless = Folders({"/d": lambda number: FolderPage([], str(number + 1))})
    assert filled(endless, "/d") == ["/d"]
    assert (len(endless.asked), endless.listed) == (MOST_EMPTY_PAGES, ["/d"])


def test_a_folder_whose_next_page_is_refused_is_listed_as_a_whole() -> None:
    """Else its removal, and all that are in its batch, would be taken back each time."""

    def page(number: int) -> FolderPage:
        if number:
            raise Conflict("reset")
        return FolderPage([], "1")

    folders = Folders({"/d": page})
    assert filled(folders, "/d") == ["/d"]
    assert (len(folders.asked), folders.listed) == (2, ["/d"])
