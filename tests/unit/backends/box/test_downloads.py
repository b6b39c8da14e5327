"""Bytes come from a host that knows nothing of the token: what it refuses is asked for again, a few times."""

from __future__ import annotations

import pytest

from mountfs.backends.box.downloads import ADDRESSES_TRIED
from mountfs.errors import Forbidden, MountfsError, NotFound, NotSignedIn, ServerFault
from mountfs.model.entry import File
from tests.unit.backends.box.conftest import Connect
from tests.unit.backends.scripted import Reply, Script, answer

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


@pytest.mark.parametrize("status", [401, 403, 404, 410])
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
    with Script(answer(status)) as server:
        with pytest.raises(kind):
            connect(server.url).read(FILE, 0, 4)
        assert len(server.seen) == calls
