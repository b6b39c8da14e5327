"""What answers in the place of the service: the portal of a hotel, a proxy that blocks."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from mountfs.backends.box.backend import BoxBackend
from mountfs.backends.box.entries import Revision
from mountfs.backends.box.errors import RequestTooLarge
from mountfs.backends.box.settings import BoxSettings
from mountfs.backends.dropbox.backend import DropboxBackend
from mountfs.backends.dropbox.settings import DropboxSettings
from mountfs.errors import (
    Conflict,
    Forbidden,
    MountfsError,
    NotFound,
    NotSignedIn,
    Refused,
    ServerFault,
    Transient,
)
from mountfs.model.entry import File, Place
from mountfs.model.order import Delete, MakeFolder, Move
from mountfs.model.path import RemotePath
from mountfs.ports import Done
from tests.fakes.clock import FakeClock
from tests.unit.backends.scripted import Reply, Script, answer, json_answer, raw
from tests.unit.backends.tokens import Tokens

PAGE = b"\xef\xbb\xbf\n<!DOCTYPE html><html><body>Please sign in to the network</body></html>"
PLACE = Place(RemotePath("/d/f"), "7")


def file_of(size_bytes: int) -> File:
    return File("1", "f", Revision("1", "2", "3").text, size_bytes, 0, None)


CALLS: dict[str, Callable[[Any], object]] = {
    "account": lambda it: it.account(),
    "space": lambda it: it.space(),
    "list": lambda it: it.list_folder(RemotePath("/d"), "7"),
    "stat": lambda it: it.stat(PLACE),
    "read some": lambda it: it.read(file_of(20), 0, 20),
    "read more": lambda it: it.read(file_of(9999), 10, 20),
    "changes": lambda it: it.changes("1"),
    "remove": lambda it: it.submit([Delete(PLACE, is_folder=False, item_id="1", base_revision="1:2:3")]),
    "remove folder": lambda it: it.submit([Delete(PLACE, is_folder=True, item_id="1")]),
    "move": lambda it: it.submit([Move(PLACE, Place(RemotePath("/d/g"), "7"), is_folder=False, item_id="1")]),
    "make": lambda it: it.submit([MakeFolder(PLACE)]),
}


@pytest.fixture(params=["dropbox", "box"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Any]]:
    opened: list[Any] = []

    def connect(url: str) -> Any:
        backend: Any
        if request.param == "dropbox":
            backend = DropboxBackend(DropboxSettings(url, url, url), Tokens(), FakeClock())
        else:
            backend = BoxBackend(BoxSettings(url, url), Tokens(), FakeClock())
        opened.append(backend)
        return backend

    yield connect
    for backend in opened:
        backend.close()


@pytest.mark.parametrize("body", [b"{}", b"welcome", b"[]"])
@pytest.mark.parametrize("name", ["account", "space"])
def test_what_makes_no_sense_of_whose_account_it_is_is_told_with_host_and_route(
    connect: Callable[[str], Any], name: str, body: bytes
) -> None:
    """It is all that ``login``, ``mount`` and ``doctor`` have to tell when that is asked first."""
    reply, told = answer(200, body, Content_Type="application/json"), r"users/\w+: "
    with Script(reply) as server, pytest.raises(ServerFault, match=told) as raised:
        CALLS[name](connect(server.url))
    assert urlsplit(server.url).netloc in str(raised.value)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 410, 411, 413, 414, 431])
@pytest.mark.parametrize("name", CALLS)
def test_a_web_page_is_no_answer_of_the_service(
    connect: Callable[[str], Any], name: str, status: int
) -> None:
    _is_no_answer(connect, name, answer(status, PAGE, Content_Type="text/html"))


BARE: dict[str, Reply] = {
    **{f"{status} empty": answer(status) for status in (400, 403, 405, 411, 413, 414, 431)},
    "400 text": answer(400, b"400 Bad Request"),
    "400 of a gateway": json_answer({"message": "Bad Request", "status": 400}, 400),
    "413 text": answer(413, b"Request Entity Too Large"),
    "403 text": answer(403, b"blocked by policy"),
    "404 text": answer(404, b"404 page not found\n"),
    "404 empty": answer(404),
    "404 of a gateway": json_answer({"message": "no Route matched with those values"}, 404),
    "409 empty": answer(409),
    "410 empty": answer(410),
    "451 text": answer(451, b"unavailable for legal reasons"),
    "407 empty": answer(407),
    "451 empty": answer(451),
    **{
        f"{status} of a gateway's {error}": json_answer({"error": error}, status)
        for status in (403, 409)
        for error in ("Forbidden", {"code": 403, "message": "no"})
    },
}


@pytest.mark.parametrize("reply", BARE)
@pytest.mark.parametrize("name", CALLS)
def test_what_lacks_the_services_own_words_is_no_answer_of_it(
    connect: Callable[[str], Any], name: str, reply: str
) -> None:
    _is_no_answer(connect, name, BARE[reply])


OWN_WORDS: dict[str, Reply] = {
    "code": json_answer({"type": "error", "status": 403, "code": "something_new"}, 403),
    "OAuth": json_answer({"error": "insufficient_scope", "error_description": "needs more"}, 403),
    "none": answer(403, Box_Request_Id="0a1b"),
    "of the token": answer(403, WWW_Authenticate='Bearer realm="Service", error="insufficient_scope"'),
}


@pytest.mark.parametrize("reply", OWN_WORDS)
@pytest.mark.parametrize("name", CALLS)
def test_what_box_refuses_is_refused_whichever_way_it_says_so(name: str, reply: str) -> None:
    """A scope that the token lacks it tells as OAuth does (RFC 6750, 3.1), or with a header alone."""
    with Script(OWN_WORDS[reply]) as server:
        backend = BoxBackend(BoxSettings(server.url, server.url), Tokens(), FakeClock())
        try:
            outcome = CALLS[name](backend)
        except MountfsError as error:
            outcome = Done((error,))
        assert isinstance(outcome, Done)
        assert all(isinstance(each, Forbidden) for each in outcome.outcomes)
    backend.close()


REMOVALS = ("remove", "remove folder")


@pytest.mark.parametrize("body", [b"", b"OK", b"{}"])
@pytest.mark.parametrize("name", REMOVALS)
def test_a_removal_takes_effect_only_by_the_word_of_the_service(
    connect: Callable[[str], Any], name: str, body: bytes
) -> None:
    """Box says 204; a server on the way that takes everything says 200."""
    with Script(answer(200, body)) as server:
        try:
            outcome = CALLS[name](connect(server.url))
        except Transient as error:
            outcome = Done((error,))
        assert isinstance(outcome, Done)
        assert all(isinstance(each, Transient) for each in outcome.outcomes)


def _is_no_answer(connect: Callable[[str], Any], name: str, reply: Reply) -> None:
    """Neither yes nor no: what is there is not gone, and what is pending is not refused."""
    with Script(reply) as server:
        backend = connect(server.url)
        try:
            outcome = CALLS[name](backend)
        except ServerFault as error:
            outcome = Done((error,))
        assert isinstance(outcome, Done)
        assert all(isinstance(each, ServerFault) for each in outcome.outcomes)
        assert isinstance(backend.trouble(), ServerFault) or name.startswith("read")


@pytest.mark.parametrize("body", [b"", b"404 page not found\n", PAGE])
def test_only_the_service_says_that_a_folder_is_gone(body: bytes) -> None:
    with Script(answer(404, body), json_answer({"code": "not_found"}, 404)) as server:
        backend = BoxBackend(BoxSettings(server.url, server.url), Tokens(), FakeClock())
        with pytest.raises(ServerFault, match="a network to sign in to"):
            backend.list_folder(RemotePath("/d"), "7")
        with pytest.raises(NotFound):
            backend.list_folder(RemotePath("/d"), "7")
    backend.close()


def test_a_web_page_says_nothing_of_the_credentials(connect: Callable[[str], Any]) -> None:
    with Script(answer(401, PAGE), json_answer({}, 401)) as server:
        backend = connect(server.url)
        with pytest.raises(ServerFault):
            backend.account()
        assert len(server.seen) == 1
        with pytest.raises(NotSignedIn):
            backend.account()


def _chunked(body: bytes) -> bytes:
    return b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def _zipped(body: bytes) -> bytes:
    packed = gzip.compress(body)
    return b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(packed), packed)


@pytest.mark.parametrize("rest", [_chunked, _zipped, lambda body: b"Connection: close\r\n\r\n" + body])
def test_a_web_page_whose_length_nobody_states_is_no_file(
    connect: Callable[[str], Any], rest: Callable[[bytes], bytes]
) -> None:
    """No window of it either; a file whose length it has is read, though."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    with Script(raw(head + rest(PAGE))) as server:
        backend = connect(server.url)
        for size_bytes, offset in ((20, 0), (50, 10), (9999, 0), (9999, 10), (2**40, 0)):
            with pytest.raises(ServerFault, match=f"a file of {size_bytes} bytes"):
                backend.read(file_of(size_bytes), offset, 20)
        for offset in (0, 10):
            assert backend.read(file_of(len(PAGE)), offset, 20) == PAGE[offset : offset + 20]


def test_a_file_that_is_a_web_page_is_read(connect: Callable[[str], Any]) -> None:
    with Script(answer(200, PAGE, Content_Type="text/html")) as server:
        assert connect(server.url).read(file_of(len(PAGE)), 0, len(PAGE)) == PAGE


@pytest.mark.parametrize("status", [400, 411, 413, 414, 415, 431])
def test_what_box_says_bare_of_a_requests_form_is_its_own_word(status: int) -> None:
    """It is refused and told, and not sent for ever."""
    with Script(answer(status, Box_Request_Id="0a1b")) as server:
        backend = BoxBackend(BoxSettings(server.url, server.url), Tokens(), FakeClock())
        launch = backend.submit([MakeFolder(PLACE)])
        assert isinstance(launch, Done)
        assert [type(each) for each in launch.outcomes] == [RequestTooLarge if status == 413 else Refused]
    backend.close()


def test_a_position_that_box_refuses_bare_is_void() -> None:
    """The mount lists anew; it would ask with the same position for ever."""
    with Script(answer(400, Box_Request_Id="0a1b")) as server:
        backend = BoxBackend(BoxSettings(server.url, server.url), Tokens(), FakeClock())
        with pytest.raises(Conflict, match="is void"):
            backend.changes("1")
    backend.close()
