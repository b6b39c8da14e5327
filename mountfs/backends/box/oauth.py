"""Box's OAuth pages: codes, refresh tokens that are good for one use, client credentials, and their end."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from mountfs.backends import checked
from mountfs.backends.box.errors import from_response
from mountfs.backends.http import HttpClient
from mountfs.backends.oauth import Endpoint, access_token
from mountfs.backends.oauth import refresh_token as refresh_token_in
from mountfs.errors import ServerFault

ROUTE = "POST oauth2/token"
CLIENT = "client_id or client_secret"
ACCESS_TOKEN_LIFE_S = 3600.0
"""About an hour, where the reply does not say."""


@dataclass(frozen=True, slots=True)
class BoxGrant:
    """A fresh access token with its life from now on, and the refresh token that replaces the one given."""

    access_token: str
    expires_in_s: float
    refresh_token: str | None


def refresh(
    http: HttpClient, token_url: str, client_id: str, client_secret: str, refresh_token: str
) -> BoxGrant:
    """Spends *refresh_token*. NotSignedIn when it is refused; *http* must carry no tokens of its own."""
    return _granted(
        http,
        token_url,
        {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": client_id,
            "client_secret": client_secret,
        },
        "refresh token",
        is_renewable=True,
    )


def client_credentials(
    http: HttpClient,
    token_url: str,
    client_id: str,
    client_secret: str,
    subject_type: str,
    subject_id: str,
) -> BoxGrant:
    """As the application itself: *subject_type* is ``enterprise`` or ``user``. NotSignedIn."""
    return _granted(
        http,
        token_url,
        {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            "box_subject_type": subject_type,
            "box_subject_id": subject_id,
        },
        "account of box_subject_type and box_subject_id",
    )


def authorize_url(base: str, client_id: str, state: str, redirect_uri: str) -> str:
    """What a browser is to open; it is sent to *redirect_uri* with a code that lives for 30 s."""
    asked = {"client_id": client_id, "response_type": "code", "redirect_uri": redirect_uri, "state": state}
    return f"{base}?{urlencode(asked)}"


def redeem(http: HttpClient, token_url: str, client_id: str, client_secret: str, code: str) -> BoxGrant:
    """The tokens for *code*. NotSignedIn when it, or the application, is refused."""
    form = {"grant_type": "authorization_code", "code": code}
    form |= {"client_id": client_id, "client_secret": client_secret}
    return _granted(http, token_url, form, "code", is_renewable=True)


def revoke(http: HttpClient, token_url: str, client_id: str, client_secret: str, token: str) -> None:
    """Ends *token*, of either kind, and the other one of the pair. NotSignedIn when it is none."""
    url = f"{token_url.removesuffix('/token')}/revoke"
    endpoint = Endpoint(url, "POST oauth2/revoke", CLIENT, from_response)
    form = {"client_id": client_id, "client_secret": client_secret, "token": token}
    endpoint.ask(http, form, "token", is_read=True)


def _granted(
    http: HttpClient, token_url: str, form: dict[str, str], what: str, *, is_renewable: bool = False
) -> BoxGrant:
    """*is_renewable*: a grant without a refresh token is none."""
    # No read: a request that is repeated might spend the refresh token twice.
    response = Endpoint(token_url, ROUTE, CLIENT, from_response).ask(http, form, what)
    with checked.reply_of(token_url, ROUTE):
        body = checked.obj(response.json(), "the reply")
        life_s = checked.life_s(body.get("expires_in"), ACCESS_TOKEN_LIFE_S)
        grant = BoxGrant(access_token(body), life_s, refresh_token_in(body))
        if is_renewable and grant.refresh_token is None:
            raise ServerFault("the reply has no refresh token")
    return grant
