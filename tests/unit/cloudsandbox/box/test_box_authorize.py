"""Box's authorization page and the codes it gives out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from cloudsandbox.box import BoxSandbox
from tests.doubles.person import Person, shown

BACK = "http://localhost:53697/"
KEYS = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}


@pytest.fixture
def sandbox() -> Iterator[BoxSandbox]:
    """Its exchanges are not recorded: the specification of the API has no pages for people."""
    with BoxSandbox(token="sandbox") as running:
        yield running


@pytest.fixture
def person() -> Iterator[Person]:
    made = Person()
    yield made
    made.close()


def address(sandbox: BoxSandbox, **parameters: str) -> str:
    given = {"client_id": "sandbox-client", "response_type": "code", "redirect_uri": BACK, **parameters}
    return f"{sandbox.base_url}/api/oauth2/authorize?{urlencode(given)}"


def code_in(where: str) -> str:
    return parse_qs(urlsplit(where).query)["code"][0]


def exchange(wire: Any, code: str, **fields: str) -> Any:
    form = {"grant_type": "authorization_code", "code": code, **KEYS, **fields}
    return wire.call("POST", "/oauth2/token", data=form)


def test_a_code_is_good_once_for_tokens_that_can_be_revoked(
    sandbox: BoxSandbox, wire: Any, person: Person
) -> None:
    where = person.is_sent_to(address(sandbox, state="s"))
    assert parse_qs(urlsplit(where).query)["state"] == ["s"]
    granted = exchange(wire, code_in(where)).json()
    assert exchange(wire, code_in(where)).json()["error"] == "invalid_grant"
    bearer = {"Authorization": f"Bearer {granted['access_token']}"}
    assert wire.ok("GET", "/2.0/users/me", headers=bearer)
    wire.ok("POST", "/oauth2/revoke", data={**KEYS, "token": granted["refresh_token"]})
    refresh = {"grant_type": "refresh_token", "refresh_token": granted["refresh_token"], **KEYS}
    assert wire.call("POST", "/oauth2/token", data=refresh).json()["error"] == "invalid_grant"


def test_a_wrong_secret_does_not_spend_the_code(sandbox: BoxSandbox, wire: Any, person: Person) -> None:
    code = code_in(person.is_sent_to(address(sandbox)))
    assert exchange(wire, code, client_secret="wrong").json()["error"] == "invalid_client"
    assert exchange(wire, code).status_code == 200


def test_who_cancels_sends_the_browser_back_without_a_code(sandbox: BoxSandbox, person: Person) -> None:
    where = person.is_sent_to(address(sandbox, state="s"), "deny")
    told = parse_qs(urlsplit(where).query)
    assert (told["error"], told["state"], "code" in told) == (["access_denied"], ["s"], False)


def test_who_does_not_have_the_token_grants_nothing(sandbox: BoxSandbox) -> None:
    stranger = Person(token="guessed")
    reply = stranger.decides(address(sandbox))
    assert (reply.status_code, shown(reply, "error")) == (403, "That is not the token.")
    stranger.close()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"client_id": "other"}, "invalid_client"),
        ({"redirect_uri": "http://evil.example/"}, "redirect_uri_mismatch"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
def test_what_is_wrong_with_the_request_is_shown_and_goes_nowhere(
    sandbox: BoxSandbox, person: Person, wrong: dict[str, str], told: str
) -> None:
    page = person.looks_at(address(sandbox, **wrong))
    assert page.status_code == 400
    assert told in shown(page, "error")
