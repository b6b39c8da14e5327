"""From an authorization page to tokens and back, at both stand-ins; and what refusals are about."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from cloudsandbox.box import BoxSandbox
from cloudsandbox.dropbox import DropboxSandbox
from mountfs.backends.box import oauth as box
from mountfs.backends.dropbox import oauth as dropbox
from mountfs.backends.http import HttpClient
from mountfs.clock import SystemClock
from mountfs.errors import NotSignedIn, ServerFault
from tests.doubles.person import Person
from tests.unit.backends.scripted import Script, answer, json_answer

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
BACK = "http://localhost:53697/"
KEYS = ("sandbox-client", "sandbox-secret")


@pytest.fixture
def http() -> Iterator[HttpClient]:
    client = HttpClient(SystemClock())
    yield client
    client.close()


@pytest.fixture
def person() -> Iterator[Person]:
    made = Person()
    yield made
    made.close()


def code_in(where: str) -> str:
    return parse_qs(urlsplit(where).query)["code"][0]


def test_dropbox_grants_a_refresh_token_that_lasts_until_it_is_revoked(
    http: HttpClient, person: Person
) -> None:
    with DropboxSandbox(token="sandbox") as sandbox:
        url = sandbox.base_url
        asked = dropbox.authorize_url(f"{url}/oauth2/authorize", "sandbox-app", CHALLENGE, "s", None)
        grant = dropbox.redeem(http, url, "sandbox-app", person.copies_code(asked), VERIFIER, None)
        assert grant.scopes == frozenset(dropbox.SCOPES)
        for _ in range(2):
            token, _ = dropbox.refresh_access_token(http, url, grant.refresh_token, "sandbox-app")
        dropbox.revoke(http, url, token)
        with pytest.raises(NotSignedIn, match="the refresh token is not accepted"):
            dropbox.refresh_access_token(http, url, grant.refresh_token, "sandbox-app")
        with pytest.raises(NotSignedIn):
            dropbox.revoke(http, url, token)


def test_dropbox_sends_the_browser_back_to_the_address_that_the_code_is_redeemed_with(
    http: HttpClient, person: Person
) -> None:
    with DropboxSandbox(token="sandbox") as sandbox:
        url = sandbox.base_url
        asked = dropbox.authorize_url(f"{url}/oauth2/authorize", "sandbox-app", CHALLENGE, "s", BACK)
        code = code_in(person.is_sent_to(asked))
        assert dropbox.redeem(http, url, "sandbox-app", code, VERIFIER, BACK).refresh_token


def test_box_grants_tokens_that_last_until_they_are_revoked(http: HttpClient, person: Person) -> None:
    with BoxSandbox(token="sandbox") as sandbox:
        page = f"{sandbox.base_url}/api/oauth2/authorize"
        code = code_in(person.is_sent_to(box.authorize_url(page, KEYS[0], "s", BACK)))
        first = box.redeem(http, sandbox.token_url, *KEYS, code)
        assert first.refresh_token is not None
        second = box.refresh(http, sandbox.token_url, *KEYS, first.refresh_token)
        assert second.refresh_token is not None
        box.revoke(http, sandbox.token_url, *KEYS, second.refresh_token)
        with pytest.raises(NotSignedIn, match="the refresh token is not accepted"):
            box.refresh(http, sandbox.token_url, *KEYS, second.refresh_token)


@pytest.mark.parametrize("error", ["invalid_client", "invalid_client_id"])
def test_a_wrong_application_is_not_called_a_wrong_token(http: HttpClient, error: str) -> None:
    refusal = json_answer({"error": error, "error_description": "who?"}, 400)
    with Script(refusal) as server:
        for key, secret in (("app_key", None), ("app_key or app_secret", "hush")):
            with pytest.raises(NotSignedIn) as caught:
                dropbox.refresh_access_token(http, server.url, "r", "key", secret)
            assert str(caught.value) == f"the {key} is not accepted: who?"
        with pytest.raises(NotSignedIn) as caught:
            box.refresh(http, f"{server.url}/oauth2/token", "c", "s", "r")
        assert str(caught.value) == "the client_id or client_secret is not accepted: who?"


def test_what_is_wrong_with_each_grant_is_named(http: HttpClient) -> None:
    with (
        DropboxSandbox(token="sandbox") as sandbox,
        pytest.raises(NotSignedIn, match="the code is not accepted: code does"),
    ):
        dropbox.redeem(http, sandbox.base_url, "sandbox-app", "made up", VERIFIER, None)
    with BoxSandbox(token="sandbox") as sandbox_box:
        url = sandbox_box.token_url
        with pytest.raises(NotSignedIn, match="the code is not accepted: The authorization code has expired"):
            box.redeem(http, url, *KEYS, "made up")
        with pytest.raises(NotSignedIn, match="the account of box_subject_type and box_subject_id is not"):
            box.client_credentials(http, url, *KEYS, "enterprise", "1")
    refusal = {"error": "unauthorized_client", "error_description": "ask your admin"}
    told = "the application is not allowed to do this: ask your admin"
    with Script(json_answer(refusal, 400)) as server, pytest.raises(NotSignedIn, match=told):
        box.client_credentials(http, server.url, "c", "s", "enterprise", "1")


def test_a_grant_without_a_refresh_token_is_none(http: HttpClient) -> None:
    with Script(json_answer({"access_token": "a"})) as server:
        with pytest.raises(ServerFault, match="no refresh token"):
            dropbox.redeem(http, server.url, "key", "code", VERIFIER, None)
        with pytest.raises(ServerFault, match="no refresh token"):
            box.redeem(http, server.url, "c", "s", "code")


REFRESHES: dict[str, Callable[[HttpClient, str], object]] = {
    "dropbox": lambda http, url: dropbox.refresh_access_token(http, url, "r", "key"),
    "box": lambda http, url: box.refresh(http, f"{url}/t", *KEYS, "r"),
    "box, for itself": lambda http, url: box.client_credentials(http, f"{url}/t", *KEYS, "user", "1"),
}


SENSELESS = b'{"error": "soon"}', b'{"access_token": 1}', b"[]", b"welcome"


@pytest.mark.parametrize("body", SENSELESS)
@pytest.mark.parametrize("refresh", REFRESHES)
def test_a_grant_that_makes_no_sense_is_told_with_its_host_and_route(
    http: HttpClient, refresh: str, body: bytes
) -> None:
    with Script(answer(200, body)) as server, pytest.raises(ServerFault) as raised:
        REFRESHES[refresh](http, server.url)
    assert "oauth2/token" in str(raised.value)
    assert urlsplit(server.url).netloc in str(raised.value)


NO_REFUSALS = b"", b"blocked by policy", b'{"message": "no"}', b'{"error": "Bad Request"}', b"<html>no</html>"


@pytest.mark.parametrize("body", NO_REFUSALS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 451])
@pytest.mark.parametrize("refresh", REFRESHES)
def test_what_no_token_endpoint_says_refuses_no_credentials(
    http: HttpClient, refresh: str, status: int, body: bytes
) -> None:
    """RFC 6749, 5.2: a refusal is 400, or 401, and names its error by a word such as ``invalid_grant``."""
    with Script(answer(status, body)) as server, pytest.raises(ServerFault):
        REFRESHES[refresh](http, server.url)


@pytest.mark.parametrize("refresh", REFRESHES)
def test_a_refusal_that_names_its_error_counts_with_403_as_well(http: HttpClient, refresh: str) -> None:
    refusal, told = json_answer({"error": "unauthorized_client"}, 403), "the application is not allowed"
    with Script(refusal) as server, pytest.raises(NotSignedIn, match=told):
        REFRESHES[refresh](http, server.url)


@pytest.mark.parametrize("status", [400, 401])
@pytest.mark.parametrize("refresh", REFRESHES)
def test_a_refusal_counts_that_says_more_behind_its_word(http: HttpClient, refresh: str, status: int) -> None:
    """As Dropbox does of an unknown application."""
    reply = json_answer({"error": "invalid_client: Invalid client_id or client_secret"}, status)
    with (
        Script(reply) as server,
        pytest.raises(NotSignedIn, match="is not accepted: invalid_client: Invalid"),
    ):
        REFRESHES[refresh](http, server.url)
