"""Bytes come from a host that knows nothing of the token: what it refuses is asked for again, a few times."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from mountfs.backends.box.downloads import ADDRESSES_TRIED
from mountfs.backends.hosts import Hosts
from mountfs.backends.silence import SLOW_S
from mountfs.backends.wire import Request, Response
from mountfs.errors import (
    Forbidden,
    MountfsError,
    NotFound,
    NotSignedIn,
    Offline,
    ServerFault,
    Throttled,
    Unreachable,
)
from mountfs.model.entry import File
from tests.fakes.clock import FakeClock
from tests.unit.backends.box.conftest import Connect
from tests.unit.backends.scripted import Reply, Script, answer, hang_up, json_answer

FILE = File("12", "x", "12:0:99", 4, 0, None)
BYTES = answer(206, b"1234", Content_Range="bytes 0-3/4")


def named(number: int) -> Reply:
    return answer(302, Location=f"/signed/{number}")


def asked(server: Script) -> list[str]:
    return [seen.path.partition("?")[0] for seen in server.seen]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_another_address_is_asked_for_where_a_fresh_one_is_refused(connect: Connect, status: int) -> None:
    with Script(named(1), answer(status), named(2), BYTES) as server:
        assert connect(server.url).read(FILE, 0, 4) == b"1234"
    assert asked(server) == ["/2.0/files/12/content", "/signed/1", "/2.0/files/12/content", "/signed/2"]
    assert [seen.headers.get("authorization") for seen in server.seen] == ["Bearer first", None] * 2


def test_a_token_that_expires_meanwhile_is_replaced_before_another_address_is_named(connect: Connect) -> None:
    with Script(named(1), answer(401), answer(401), named(2), BYTES) as server:
        assert connect(server.url).read(FILE, 0, 4) == b"1234"
    assert [seen.headers.get("authorization") for seen in server.seen] == [
        "Bearer first",
        None,
        "Bearer first",
        "Bearer second",
        None,
    ]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 407, 409, 410, 412, 413, 423, 451])
def test_a_host_that_refuses_each_address_is_a_fault_of_the_service(connect: Connect, status: int) -> None:
    """It says nothing of the credentials, of what the account may read, or of whether the file is there."""
    with Script(*[named(1), answer(status)] * 5) as server:
        backend = connect(server.url)
        with pytest.raises(ServerFault):
            backend.read(FILE, 0, 4)
        assert len(server.seen) == 2 * ADDRESSES_TRIED
    assert not isinstance(backend.trouble(), NotSignedIn)


@pytest.mark.parametrize(
    ("status", "kind", "calls"), [(401, NotSignedIn, 2), (403, Forbidden, 1), (404, NotFound, 1)]
)
def test_what_the_api_refuses_is_refused(
    connect: Connect, status: int, kind: type[MountfsError], calls: int
) -> None:
    with Script(json_answer({"code": "unknown"}, status)) as server:
        with pytest.raises(kind):
            connect(server.url).read(FILE, 0, 4)
        assert len(server.seen) == calls


BROKEN: dict[str, tuple[tuple[Reply, ...], type[MountfsError]]] = {
    "breaks the connection": ((hang_up, hang_up), Offline),
    "sends something else": ((answer(206, b"12", Content_Range="bytes 0-1/4"),), ServerFault),
    "names no end": (tuple(answer(302, Location="/signed/1") for _ in range(4)), ServerFault),
}


@pytest.mark.parametrize(("replies", "kind"), BROKEN.values(), ids=BROKEN.keys())
def test_a_host_that_does_not_serve_is_not_asked_again_before_the_api_names_it_again(
    connect: Connect, replies: tuple[Reply, ...], kind: type[MountfsError]
) -> None:
    """Each read of the file went to that host, for as long as its address was remembered."""
    with Script(named(1), BYTES, *replies, named(2), BYTES) as server:
        backend = connect(server.url)
        assert backend.read(FILE, 0, 4) == b"1234"
        with pytest.raises(kind):
            backend.read(FILE, 0, 4)
        assert backend.read(FILE, 0, 4) == b"1234"
    assert asked(server)[-2:] == ["/2.0/files/12/content", "/signed/2"]


def test_where_the_host_of_an_old_address_fails_another_is_asked_for_at_once(connect: Connect) -> None:
    with Script(named(1), BYTES, answer(500), named(2), BYTES) as server:
        backend = connect(server.url)
        assert [backend.read(FILE, 0, 4) for _ in range(2)] == [b"1234"] * 2
    assert asked(server)[-2:] == ["/2.0/files/12/content", "/signed/2"]


def test_where_the_host_of_an_old_address_is_gone_another_is_asked_for_at_once(connect: Connect) -> None:
    with ExitStack() as stack:
        host = stack.enter_context(Script(BYTES, hang_up))
        with Script(answer(302, Location=f"{host.url}/signed"), named(2), BYTES) as server:
            backend = connect(server.url)
            backend._api.unsigned_hosts = Hosts((server.url, host.url))
            assert backend.read(FILE, 0, 4) == b"1234"
            stack.close()
            assert backend.read(FILE, 0, 4) == b"1234"


@pytest.mark.parametrize(("took_s", "calls"), [(0.1, 2), (SLOW_S, 1)])
def test_where_no_name_server_answers_nobody_waits_for_it_twice(
    connect: Connect, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, took_s: float, calls: int
) -> None:
    """That is no time-out of the request, and takes as long."""
    with Script(named(1), BYTES) as server:
        backend, routes = connect(server.url), list[str]()
        assert backend.read(FILE, 0, 4) == b"1234"

    def fail(request: Request) -> Response:
        clock.advance(took_s)
        routes.append(request.route)
        raise Unreachable("no name server answers")

    monkeypatch.setattr(backend._api.http, "exchange", fail)
    with pytest.raises(Unreachable):
        backend.read(FILE, 0, 4)
    assert len(routes) == calls


def test_the_host_of_a_fresh_address_that_fails_is_a_fault(connect: Connect) -> None:
    with Script(named(1), answer(500), named(2), BYTES) as server:
        backend = connect(server.url)
        with pytest.raises(ServerFault):
            backend.read(FILE, 0, 4)
        assert backend.read(FILE, 0, 4) == b"1234"


def test_an_address_that_is_asked_too_often_stays_good(connect: Connect, clock: FakeClock) -> None:
    with Script(named(1), answer(429), BYTES) as server:
        backend = connect(server.url)
        with pytest.raises(Throttled):
            backend.read(FILE, 0, 4)
        clock.advance(60.0)
        assert backend.read(FILE, 0, 4) == b"1234"
    assert asked(server) == ["/2.0/files/12/content", "/signed/1", "/signed/1"]
