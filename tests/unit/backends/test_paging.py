"""Pages that announce one more for ever: a listing ends with an error, and says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from mountfs.backends.box.backend import BoxBackend
from mountfs.backends.box.settings import BoxSettings
from mountfs.backends.dropbox.backend import DropboxBackend
from mountfs.backends.dropbox.settings import DropboxSettings
from mountfs.errors import ServerFault
from mountfs.model.pageguard import EMPTY_PAGES, MOST_PAGES, PageGuard
from mountfs.model.path import RemotePath
from mountfs.ports import Backend
from tests.fakes.clock import FakeClock
from tests.unit.backends.scripted import Script, json_answer
from tests.unit.backends.tokens import Tokens

Connect = Callable[[str], Backend]
Pages = Callable[[int], tuple[list[int], str | None]]
"""Number of the page -> the numbers of the files on it, and the position of the next one."""


@pytest.fixture(params=["dropbox", "box"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    opened: list[Backend] = []

    def connect(url: str) -> Backend:
        if request.param == "dropbox":
            dropbox = DropboxSettings(api_url=url, content_url=url, notify_url=url)
            opened.append(DropboxBackend(dropbox, Tokens(), FakeClock()))
        else:
            box = BoxSettings(api_url=f"{url}/2.0", upload_url=url)
            opened.append(BoxBackend(box, Tokens(), FakeClock()))
        return opened[-1]

    yield connect
    for backend in opened:
        backend.close()


def entry(number: int) -> dict[str, Any]:
    """A file in the words of both services."""
    name = f"f{number}"
    dropbox = {".tag": "file", "path_display": f"/{name}", "path_lower": f"/{name}", "rev": "01", "size": 5}
    dropbox |= {"client_modified": "2023-11-14T22:13:20Z", "content_hash": "00" * 32}
    box = {"type": "file", "etag": "3", "sha1": "00" * 20, "file_version": {"id": "99"}}
    return {**dropbox, **box, "id": f"{number}", "name": name}


def serve(pages: Pages) -> Script:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        numbers, position = pages(len(server.seen))
        stated = {"has_more": position is not None, "cursor": position or "end", "next_marker": position}
        json_answer({"entries": [entry(number) for number in numbers], **stated})(handler)

    server = Script(reply)
    return server


ENDLESS: dict[str, Pages] = {
    "the same page": lambda number: ([1], "again"),
    "the same position, other entries": lambda number: ([number], "again"),
    "nothing new at new positions": lambda number: ([1, 2], f"p{number}"),
    "nothing at all": lambda number: ([], f"p{number}"),
    "a circle": lambda number: ([number % 3], f"p{number % 3}"),
}


@pytest.mark.parametrize("pages", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_listing_that_leads_nowhere_ends_and_says_why(connect: Connect, pages: Pages) -> None:
    with serve(pages) as server:
        backend = connect(server.url)
        with pytest.raises(ServerFault, match=r"again and again|nothing in them") as caught:
            backend.list_folder(RemotePath("/x"), "7")
        assert len(server.seen) <= EMPTY_PAGES + 2  # one is asked for while the last one is read
        assert str(backend.trouble()) == str(caught.value)


def test_a_listing_that_ends_again_is_no_trouble_any_more(connect: Connect) -> None:
    with serve(lambda number: ([1], "again" if number < 3 else None)) as server:
        backend = connect(server.url)
        with pytest.raises(ServerFault):
            backend.list_folder(RemotePath("/x"), "7")
        assert [each.name for each in backend.list_folder(RemotePath("/x"), "7")] == ["f1"]
        assert backend.trouble() is None


def test_pages_with_nothing_in_them_are_read_over(connect: Connect) -> None:
    def pages(number: int) -> tuple[list[int], str | None]:
        return ([number] if number % 5 == 0 else [], f"p{number}" if number < 30 else None)

    with serve(pages) as server:
        found = connect(server.url).list_folder(RemotePath("/x"), "7")
        assert {each.name for each in found} == {f"f{number}" for number in range(5, 31, 5)}


def test_no_listing_is_endless_though_every_page_is_new() -> None:
    guard = PageGuard("list")
    with pytest.raises(ServerFault, match="does not end"):
        for number in range(MOST_PAGES + 1):
            guard.check(f"{number}", is_new=True)


@pytest.mark.parametrize("is_told_again", [False, True])
def test_entries_that_make_no_sense_count_once(connect: Connect, is_told_again: bool) -> None:
    """Pages of others of them get on; pages with the same ones again bring nothing new."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        number = len(server.seen)
        position = f"p{number}" if number < 2 * EMPTY_PAGES else None
        odd = {".tag": "file", "name": "a/b" if is_told_again else f"a/{number}"}
        stated = {"has_more": position is not None, "cursor": position or "end", "next_marker": position}
        json_answer({"entries": [odd, None], **stated})(handler)

    with Script(reply) as server:
        backend = connect(server.url)
        if is_told_again:
            with pytest.raises(ServerFault, match="nothing in them"):
                backend.list_folder(RemotePath("/x"), "7")
        else:
            assert len(backend.list_folder(RemotePath("/x"), "7")) == 4 * EMPTY_PAGES
