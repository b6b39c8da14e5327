"""How many pages are taken apart at once, and who goes first."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import pytest

from mountfs.backends.box.backend import BoxBackend
from mountfs.backends.box.settings import BoxSettings
from mountfs.backends.dropbox.backend import DropboxBackend
from mountfs.backends.dropbox.settings import DropboxSettings
from mountfs.backends.pageplaces import MOST_BYTES, PagePlaces
from mountfs.model.path import RemotePath
from tests.fakes.clock import FakeClock
from tests.unit.backends.scripted import Script, json_answer
from tests.unit.backends.tokens import Tokens
from tests.waiting import until

PATH = RemotePath("/d")


class Taker:
    """Takes a place on a thread of its own, until it is let go."""

    def __init__(self, places: PagePlaces, page_bytes: int, *, is_ahead: bool = False) -> None:
        self.has_it, self._may_go = Event(), Event()

        def take() -> None:
            with places.taken(page_bytes, is_ahead=is_ahead):
                self.has_it.set()
                self._may_go.wait()

        self._thread = Thread(target=take, daemon=True)
        self._thread.start()

    def let_go(self) -> None:
        self.may_go()
        self._thread.join(10)

    def may_go(self) -> None:
        self._may_go.set()


def until_waiting(places: PagePlaces, count: int) -> None:
    until(lambda: places.waiting == count, f"{count} wait for a place")


def test_pages_are_taken_apart_as_far_as_their_bytes_allow() -> None:
    places = PagePlaces(10)
    first, second = Taker(places, 4), Taker(places, 4)
    assert first.has_it.wait(10) and second.has_it.wait(10)
    third = Taker(places, 4)
    until_waiting(places, 1)
    second.let_go()
    assert third.has_it.wait(10)
    for each in (first, third):
        each.let_go()


def test_a_page_that_is_larger_than_all_places_has_them_to_itself() -> None:
    places = PagePlaces(10)
    small = Taker(places, 1)
    assert small.has_it.wait(10)
    large = Taker(places, 11)
    until_waiting(places, 1)
    small.let_go()
    assert large.has_it.wait(10)
    other = Taker(places, 1)
    until_waiting(places, 1)
    large.let_go()
    assert other.has_it.wait(10)
    other.let_go()


def test_who_is_waited_for_does_not_stand_behind_what_is_listed_ahead() -> None:
    places = PagePlaces(10)
    first = Taker(places, 10)
    assert first.has_it.wait(10)
    ahead = [Taker(places, 10, is_ahead=True) for _ in range(3)]
    reader = Taker(places, 10)
    until_waiting(places, 4)
    first.let_go()
    assert reader.has_it.wait(10)
    assert not any(each.has_it.is_set() for each in ahead)
    reader.let_go()
    for each in ahead:
        each.may_go()  # whichever of them has it first
    for each in ahead:
        each.let_go()
    assert all(each.has_it.is_set() for each in ahead)


def test_a_page_that_fails_gives_its_place_back() -> None:
    places = PagePlaces(10)
    with pytest.raises(ValueError, match="no"), places.taken(10):
        raise ValueError("no")
    with places.taken(10):
        pass


def dropbox(url: str) -> DropboxBackend:
    settings = DropboxSettings(api_url=url, content_url=url, notify_url=url)
    return DropboxBackend(settings, Tokens(), FakeClock())


def box(url: str) -> BoxBackend:
    return BoxBackend(BoxSettings(api_url=f"{url}/2.0", upload_url=url), Tokens(), FakeClock())


CALLS: dict[str, tuple[Callable[[str], Any], Callable[[Any], object]]] = {
    "dropbox, a page": (dropbox, lambda it: it.list_page(PATH, "7", None)),
    "dropbox, a later page": (dropbox, lambda it: it.list_page(PATH, "7", "cursor")),
    "dropbox, a folder": (dropbox, lambda it: it.list_folder(PATH, "7")),
    "dropbox, a tree": (dropbox, lambda it: it.list_tree("7", None)),
    "box, a page": (box, lambda it: it.list_page(PATH, "7", None)),
    "box, a folder": (box, lambda it: it.list_folder(PATH, "7")),
}


@pytest.mark.parametrize(("connect", "call"), CALLS.values(), ids=CALLS.keys())
def test_each_page_of_a_listing_needs_a_place_once_it_has_come(
    connect: Callable[[str], Any], call: Callable[[Any], object]
) -> None:
    ended = Event()
    with Script(json_answer({"entries": [], "has_more": False, "cursor": "end"})) as server:
        backend = connect(server.url)
        places = backend._api.page_places

        def ask() -> None:
            call(backend)
            ended.set()

        with places.taken(MOST_BYTES):
            thread = Thread(target=ask, daemon=True)
            thread.start()
            until_waiting(places, 1)
            assert len(server.seen) == 1
            assert not ended.is_set()
        assert ended.wait(10)
        thread.join(10)
        backend.close()
