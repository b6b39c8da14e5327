"""Dropbox's OAuth pages: codes with a proof key, refresh tokens, and their end (OAuth guide)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from mountfs.backends import checked
from mountfs.backends.dropbox.errors import from_response
from mountfs.backends.http import HttpClient
from mountfs.backends.oauth import Endpoint, access_token, refresh_token
from mountfs.backends.wire import Request
from mountfs.errors import ServerFault

ACCESS_TOKEN_LIFE_S = 14400.0
"""Dropbox's access tokens live for four hours (OAuth guide)."""
SCOPES = (
    "account_info.read",
    "files.metadata.read",
    "files.metadata.write",
    "files.content.read",
    "files.content.write",
)
"""What a mount needs; the application must have each ticked before anybody signs in."""


@dataclass(frozen=True, slots=True)
class DropboxGrant:
    """What a code was exchanged for; *scopes* is empty where the reply does not say."""

    access_token: str
    refresh_token: str
    scopes: frozenset[str]


def authorize_url(base: str, app_key: str, challenge: str, state: str, redirect_uri: str | None) -> str:
    """What a browser is to open. *challenge* is the S256 one of a verifier (RFC 7636); without *redirect_uri*
    the page shows a code to copy."""
    asked = {
        "client_id": app_key,
        "response_type": "code",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "token_access_type": "offline",
        "scope": " ".join(SCOPES),
        "state": state,
    }
    if redirect_uri is not None:
        asked["redirect_uri"] = redirect_uri
    return f"{base}?{urlencode(asked)}"


def redeem(
    http: HttpClient, api_url: str, app_key: str, code: str, verifier: str, redirect_uri: str | None
) -> DropboxGrant:
    """The tokens for *code*. NotSignedIn when it, or the application, is refused."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": app_key,
        "code_verifier": verifier,
    }
    if redirect_uri is not None:
        form["redirect_uri"] = redirect_uri
    endpoint = _endpoint(api_url)
    response = endpoint.ask(http, form, "code")
    with checked.reply_of(endpoint.url, endpoint.route):
        reply = checked.obj(response.json(), "the reply to a code")
        newest = refresh_token(reply)
        if newest is None:
            raise ServerFault("the reply has no refresh token")
        stated = reply.get("scope")
        scopes = frozenset(stated.split()) if isinstance(stated, str) else frozenset()
        return DropboxGrant(access_token(reply), newest, scopes)


def refresh_access_token(
    http: HttpClient, api_url: str, token: str, app_key: str, app_secret: str | None = None
) -> tuple[str, float]:
    """A fresh access token for the refresh token *token*, and its life in seconds. NotSignedIn.

    *http* must carry no tokens of its own. The refresh token stays good (it is not rotated).
    """
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": app_key}
    if app_secret:
        form["client_secret"] = app_secret
    endpoint = _endpoint(api_url, "app_key or app_secret" if app_secret else "app_key")
    response = endpoint.ask(http, form, "refresh token", is_read=True)
    with checked.reply_of(endpoint.url, endpoint.route):
        reply = checked.obj(response.json(), "the reply to a refresh token")
        return access_token(reply), checked.life_s(reply.get("expires_in"), ACCESS_TOKEN_LIFE_S)


def revoke(http: HttpClient, api_url: str, token: str) -> None:
    """Ends the access token *token*, and the refresh token it came from. NotSignedIn when it has ended."""
    route = "auth/token/revoke"
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    response = http.exchange(Request("POST", f"{api_url}/2/{route}", route, headers, b"null"))
    if response.status != 200:
        raise from_response(response, route)


def _endpoint(api_url: str, client: str = "app_key") -> Endpoint:
    return Endpoint(f"{api_url}/oauth2/token", "oauth2/token", client, from_response)
