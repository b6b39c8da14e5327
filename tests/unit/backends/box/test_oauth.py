"""Tokens from the token endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest

from mountfs.backends.box.oauth import ACCESS_TOKEN_LIFE_S, BoxGrant, client_credentials, refresh
from mountfs.backends.http import HttpClient
from mountfs.errors import NotSignedIn, Offline, ServerFault
from tests.fakes.clock import FakeClock
from tests.unit.backends.scripted import Reply, Script, answer, hang_up, json_answer


@pytest.fixture
def http() -> Iterator[HttpClient]:
    client = HttpClient(FakeClock())
    yield client
    client.close()


def spend(http: HttpClient, server: Script) -> BoxGrant:
    return refresh(http, f"{server.url}/oauth2/token", "client", "secret", "old")


def test_a_refresh_token_is_exchanged_for_its_successor(http: HttpClient) -> None:
    reply = {"access_token": "access", "expires_in": 3750, "token_type": "bearer", "refresh_token": "new"}
    with Script(json_answer(reply)) as server:
        assert spend(http, server) == BoxGrant("access", 3750.0, "new")
    (request,) = server.seen
    assert request.path == "/oauth2/token"
    assert "authorization" not in request.headers
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["old"],
        "client_id": ["client"],
        "client_secret": ["secret"],
    }


def test_a_client_acts_for_itself(http: HttpClient) -> None:
    with Script(json_answer({"access_token": "access"})) as server:
        grant = client_credentials(http, f"{server.url}/t", "client", "secret", "enterprise", "17")
    assert grant == BoxGrant("access", ACCESS_TOKEN_LIFE_S, None)
    form = parse_qs(server.seen[0].body.decode())
    assert form["grant_type"] == ["client_credentials"]
    assert (form["box_subject_type"], form["box_subject_id"]) == (["enterprise"], ["17"])


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (json_answer({"error": "invalid_grant", "error_description": "has expired"}, 400), NotSignedIn),
        (json_answer({"error": "invalid_client"}, 401), NotSignedIn),
        (answer(503), ServerFault),
        (json_answer({"access_token": "a"}), ServerFault),
        (json_answer({"refresh_token": "a"}), ServerFault),
        (json_answer([]), ServerFault),
        (json_answer({"access_token": "a\r\nX: y", "refresh_token": "b"}), ServerFault),
        (json_answer({"access_token": "a", "refresh_token": ["b"]}), ServerFault),
        (json_answer({"error": ["\ud800"]}, 400), ServerFault),
    ],
)
def test_what_is_no_grant_is_told(http: HttpClient, reply: Reply, kind: type[Exception]) -> None:
    with Script(reply) as server, pytest.raises(kind):
        spend(http, server)


def test_a_token_is_never_presented_twice_by_itself(http: HttpClient) -> None:
    with Script(hang_up) as server, pytest.raises(Offline):
        spend(http, server)
    assert len(server.seen) == 1


@pytest.mark.parametrize("stated", ["1e999", "-5", '"soon"', "null", "[]", "NaN"])
def test_a_spent_token_is_not_lost_for_a_life_that_makes_no_sense(http: HttpClient, stated: str) -> None:
    body = f'{{"access_token": "a", "refresh_token": "b", "expires_in": {stated}}}'.encode()
    with Script(answer(200, body)) as server:
        grant = spend(http, server)
    assert (grant.access_token, grant.refresh_token) == ("a", "b")
    assert 0 < grant.expires_in_s <= 365 * 86_400
