"""Dropbox's authorization page and the codes it gives out."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from cloudsandbox.dropbox import DropboxSandbox
from tests.doubles.person import Person, shown

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
BACK = "http://localhost:53697/"


@pytest.fixture
def person() -> Iterator[Person]:
    made = Person()
    yield made
    made.close()


def address(sandbox: DropboxSandbox, **parameters: str | None) -> str:
    given = {
        "client_id": "sandbox-app",
        "response_type": "code",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "token_access_type": "offline",
        **parameters,
    }
    kept = {name: value for name, value in given.items() if value is not None}
    return f"{sandbox.base_url}/oauth2/authorize?{urlencode(kept)}"


def exchange(wire: Any, code: str, **fields: str | None) -> Any:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": "sandbox-app",
        "code_verifier": VERIFIER,
        **fields,
    }
    kept = {name: value for name, value in form.items() if value is not None}
    return wire.session.post(f"{wire.url}/oauth2/token", data=kept, timeout=20)


def test_a_code_with_its_proof_is_good_for_a_refresh_token(
    sandbox: DropboxSandbox, wire: Any, person: Person
) -> None:
    granted = exchange(wire, person.copies_code(address(sandbox))).json()
    assert granted["token_type"] == "bearer"
    assert "files.content.write" in granted["scope"].split()
    form = {
        "grant_type": "refresh_token",
        "refresh_token": granted["refresh_token"],
        "client_id": "sandbox-app",
    }
    fresh = wire.session.post(f"{wire.url}/oauth2/token", data=form, timeout=20).json()
    for token in (granted["access_token"], fresh["access_token"]):
        bearer = {"Authorization": f"Bearer {token}"}
        assert wire.rpc("users/get_current_account", headers=bearer).status_code == 200
    wire.rpc("auth/token/revoke", headers={"Authorization": f"Bearer {granted['access_token']}"})
    again = wire.session.post(f"{wire.url}/oauth2/token", data=form, timeout=20)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


def test_the_browser_is_sent_back_with_code_and_state(
    sandbox: DropboxSandbox, wire: Any, person: Person
) -> None:
    where = person.is_sent_to(address(sandbox, redirect_uri=BACK, state="s&=1"))
    assert where.startswith(BACK)
    told = parse_qs(urlsplit(where).query)
    assert told["state"] == ["s&=1"]
    assert exchange(wire, told["code"][0], redirect_uri=BACK).status_code == 200


def test_without_offline_there_is_no_refresh_token(
    sandbox: DropboxSandbox, wire: Any, person: Person
) -> None:
    code = person.copies_code(address(sandbox, token_access_type=None))
    assert "refresh_token" not in exchange(wire, code).json()


def test_who_cancels_sends_the_browser_back_without_a_code(sandbox: DropboxSandbox, person: Person) -> None:
    where = person.is_sent_to(address(sandbox, redirect_uri=BACK, state="s"), "deny")
    told = parse_qs(urlsplit(where).query)
    assert (told["error"], told["state"], "code" in told) == (["access_denied"], ["s"], False)


def test_who_does_not_have_the_token_grants_nothing(sandbox: DropboxSandbox) -> None:
    stranger = Person(token="guessed")
    reply = stranger.decides(address(sandbox, redirect_uri=BACK))
    assert (reply.status_code, shown(reply, "error")) == (403, "That is not the token.")
    stranger.close()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"client_id": "other"}, "Invalid client_id"),
        ({"redirect_uri": "http://evil.example/"}, "Invalid redirect_uri"),
        ({"redirect_uri": "http://localhost.evil.example/"}, "Invalid redirect_uri"),
        ({"response_type": "token"}, "Invalid response_type"),
        ({"code_challenge": "short"}, "Invalid code_challenge"),
        ({"code_challenge_method": "S512"}, "Invalid code_challenge_method"),
        ({"token_access_type": "for ever"}, "Invalid token_access_type"),
        (
            {"scope": "files.content.write contacts.read"},
            "does not have the scopes it asks for: contacts.read",
        ),
    ],
)
def test_what_is_wrong_with_the_request_is_shown_and_goes_nowhere(
    sandbox: DropboxSandbox, person: Person, wrong: dict[str, str], told: str
) -> None:
    page = person.looks_at(address(sandbox, **wrong))
    assert page.status_code == 400
    assert told in shown(page, "error")


def test_only_a_registered_address_is_sent_to(sandbox: DropboxSandbox, person: Person) -> None:
    sandbox.set_switches(redirect_uris=[BACK])
    assert person.looks_at(address(sandbox, redirect_uri=BACK)).status_code == 200
    assert person.looks_at(address(sandbox, redirect_uri=BACK.rstrip("/"))).status_code == 400


@pytest.mark.parametrize(
    ("fields", "error", "told"),
    [
        ({"code_verifier": "w" * 64}, "invalid_grant", "invalid code verifier"),
        ({"code_verifier": "v"}, "invalid_grant", "invalid code verifier"),
        ({"code_verifier": None}, "invalid_grant", "invalid code verifier"),
        ({"redirect_uri": "http://localhost:1/"}, "invalid_grant", "redirect_uri mismatch"),
        ({"client_id": "other"}, "invalid_client", "Invalid client_id"),
        ({"client_secret": "wrong"}, "invalid_client", "Invalid client_id or client_secret"),
        ({"code": "made up"}, "invalid_grant", "doesn't exist or has expired"),
    ],
)
def test_a_code_is_refused_to_others_than_who_asked_for_it(
    sandbox: DropboxSandbox, wire: Any, person: Person, fields: dict[str, str], error: str, told: str
) -> None:
    code = person.copies_code(address(sandbox))
    reply = exchange(wire, **{"code": code, **fields})
    assert (reply.status_code, reply.json()["error"]) == (400, error)
    assert told in reply.json()["error_description"]


def test_a_code_without_proof_wants_the_secret(sandbox: DropboxSandbox, wire: Any, person: Person) -> None:
    plain = {"code_challenge": None, "code_challenge_method": None}
    code = person.copies_code(address(sandbox, **plain))
    assert exchange(wire, code, code_verifier=None).json()["error"] == "invalid_request"
    code = person.copies_code(address(sandbox, **plain))
    assert exchange(wire, code, code_verifier=None, client_secret="sandbox-secret").status_code == 200


def test_a_code_is_good_once(sandbox: DropboxSandbox, wire: Any, person: Person) -> None:
    code = person.copies_code(address(sandbox))
    assert exchange(wire, code).status_code == 200
    assert exchange(wire, code).json()["error"] == "invalid_grant"


def test_the_scopes_granted_are_those_of_every_later_token(
    sandbox: DropboxSandbox, wire: Any, person: Person
) -> None:
    granted = exchange(wire, person.copies_code(address(sandbox, scope="files.metadata.read"))).json()
    assert granted["scope"] == "files.metadata.read"
    form = {
        "grant_type": "refresh_token",
        "refresh_token": granted["refresh_token"],
        "client_id": "sandbox-app",
    }
    fresh = wire.session.post(f"{wire.url}/oauth2/token", data=form, timeout=20).json()
    bearer = {"Authorization": f"Bearer {fresh['access_token']}"}
    assert wire.rpc("users/get_current_account", headers=bearer).status_code == 401
    more = {**form, "scope": "account_info.read"}
    reply = wire.session.post(f"{wire.url}/oauth2/token", data=more, timeout=20)
    assert reply.json()["error"] == "invalid_scope"


def test_what_the_page_shows_of_the_request_is_no_markup(sandbox: DropboxSandbox, person: Person) -> None:
    page = person.looks_at(address(sandbox, client_id="<script>alert(1)</script>"))
    assert "<script>" not in page.text
    page = person.looks_at(address(sandbox, state='"><script>alert(1)</script>'))
    assert "<script>" not in page.text
