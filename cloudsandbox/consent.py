"""Authorization pages: somebody lets an application use the account (RFC 6749, section 4.1)."""

import base64
import hashlib
import html
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from aiohttp import web

MOST_CODES = 1000
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_STYLE = "body{font-family:sans-serif;max-width:34em;margin:4em auto}code{font-size:1.2em}"


class CodeRefused(Exception):
    """The token endpoint does not take the code: `invalid_grant` with this description."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What somebody agreed to: the application, where its code was sent, and what it may do."""

    client_id: str
    redirect_uri: str | None
    scopes: frozenset[str] = frozenset()
    is_offline: bool = False
    challenge: str | None = None
    challenge_method: str = "plain"


@dataclass(slots=True)
class Codes:
    """Authorization codes: each is good once, for a while, and for the application that asked. Any thread."""

    _given: dict[str, tuple[Consent, float]] = field(default_factory=dict)

    def issue(self, consent: Consent, expires_s: float) -> str:
        """A new code for *consent*, good until *expires_s*."""
        while len(self._given) >= MOST_CODES:
            del self._given[next(iter(self._given))]
        code = secrets.token_urlsafe(32)
        self._given[code] = (consent, expires_s)
        return code

    def is_known(self, code: str) -> bool:
        """Whether it was given out here, and not redeemed."""
        return code in self._given

    def redeem(self, code: str, client_id: str, now_s: float) -> Consent:
        """What the code stands for; it is spent. Raises CodeRefused."""
        consent, expires_s = self._given.pop(code, (None, 0.0))
        if consent is None or expires_s <= now_s:
            raise CodeRefused("code doesn't exist or has expired")
        if consent.client_id != client_id:
            raise CodeRefused("code was issued to another client_id")
        return consent


def check_verifier(consent: Consent, verifier: str | None) -> None:
    """The proof key of RFC 7636: what was sent with the code must be what the challenge was made of.

    Raises CodeRefused.
    """
    if consent.challenge is None:
        if verifier:
            raise CodeRefused("unexpected code verifier")
        return
    proof = verifier or ""
    if consent.challenge_method == "S256":
        digest = hashlib.sha256(proof.encode()).digest()
        proof = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    if not 43 <= len(verifier or "") <= 128 or not secrets.compare_digest(proof, consent.challenge):
        raise CodeRefused("invalid code verifier")


def is_redirect_allowed(uri: str, registered: list[str]) -> bool:
    """Whether *uri* is one of the application's; with none registered, any on this machine is."""
    if registered:
        return uri in registered
    try:
        parts = urlsplit(uri)
        return parts.scheme == "http" and parts.hostname in _LOOPBACK and parts.port != 0
    except ValueError:
        return False


def redirect_with(uri: str, **parameters: str | None) -> web.Response:
    """Sends the browser back to the application."""
    given = {name: value for name, value in parameters.items() if value is not None}
    mark = "&" if "?" in uri else "?"
    return web.Response(status=302, headers={"Location": f"{uri}{mark}{urlencode(given)}"})


def page(title: str, body: str, status: int = 200) -> web.Response:
    """A page; *title* is text, *body* HTML."""
    text = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>{body}</body></html>"
    )
    # Another site must not show it in a frame and have it clicked.
    headers = {"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
    return web.Response(status=status, text=text, content_type="text/html", headers=headers)


def refusal_page(text: str) -> web.Response:
    """What is wrong with the request itself: shown, and not sent to an address that may be a stranger's."""
    return page("This request cannot be granted", f'<p id="error">{html.escape(text)}</p>', 400)


def code_page(code: str) -> web.Response:
    """The code to copy, where there is no address to send the browser to."""
    return page("Copy this code", f'<p>Paste it into the application:</p><code id="code">{code}</code>')


def consent_page(
    service: str, request: Mapping[str, str], scopes: list[str], error: str = ""
) -> web.Response:
    """Asks for the token, and whether the application may; the form posts *request* back with both."""
    hidden = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in request.items()
        if name not in ("decision", "password")
    )
    listed = "".join(f"<li><code>{html.escape(scope)}</code></li>" for scope in scopes)
    told = f'<p id="error">{html.escape(error)}</p>' if error else ""
    return page(
        f"{service} (stand-in)",
        f"<p>The application <b>{html.escape(request.get('client_id', ''))}</b> asks for:</p>"
        f'<ul>{listed}</ul>{told}<form method="post">{hidden}'
        '<p><label>The sandbox\'s token <input type="password" name="password" autofocus></label></p>'
        '<button name="decision" value="allow">Allow</button> '
        '<button name="decision" value="deny">Cancel</button></form>',
        403 if error else 200,
    )
