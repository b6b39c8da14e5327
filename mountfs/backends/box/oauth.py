"""Box's token endpoint: refresh tokens that are good for one use, and client credentials."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from mountfs.backends import checked
from mountfs.backends.box.errors import body_of, from_response
from mountfs.backends.http import HttpClient
from mountfs.backends.wire import Request
from mountfs.errors import NotSignedIn, ServerFault

ROUTE = "POST oauth2/token"
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
    grant = _granted(
        http,
        token_url,
        {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": client_id,
            "client_secret": client_secret,
        },
    )
    if grant.refresh_token is None:
        raise ServerFault(f"{ROUTE}: the reply has no refresh token")
    return grant


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
    )


def _granted(http: HttpClient, token_url: str, form: dict[str, str]) -> BoxGrant:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    # No read: a request that is repeated might spend the refresh token twice.
    response = http.exchange(Request("POST", token_url, ROUTE, headers, urlencode(form).encode()))
    if response.status in (400, 401, 403):
        body = body_of(response)
        try:
            reason = checked.text(body.get("error_description") or body.get("error"), "the reason")
        except ServerFault:
            reason = f"HTTP {response.status}"
        raise NotSignedIn(f"the credentials are not accepted: {reason}")
    if response.status != 200:
        raise from_response(response, ROUTE)
    body = body_of(response)
    access_token = checked.token(body.get("access_token"), "access_token", checked.MOST_SECRET_CHARS)
    refresh_token = body.get("refresh_token")
    if refresh_token is not None:
        refresh_token = checked.token(refresh_token, "refresh_token", checked.MOST_SECRET_CHARS)
    return BoxGrant(access_token, checked.life_s(body.get("expires_in"), ACCESS_TOKEN_LIFE_S), refresh_token)
