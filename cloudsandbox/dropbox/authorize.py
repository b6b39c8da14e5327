"""Dropbox's authorization page, and the code that it gives out exchanged for tokens."""

import re
import secrets
import time
from collections.abc import Mapping

from aiohttp import web

from cloudsandbox.consent import (
    CodeRefused,
    Codes,
    Consent,
    check_verifier,
    code_page,
    consent_page,
    is_redirect_allowed,
    redirect_with,
    refusal_page,
)
from cloudsandbox.dropbox.dispatch import json_response
from cloudsandbox.dropbox.errors import Refused
from cloudsandbox.dropbox.routes_users import ACCOUNT_ID, refused
from cloudsandbox.dropbox.service import DropboxAccount
from cloudsandbox.dropbox.tokens import ALL_SCOPES

PATH = "/oauth2/authorize"
CODE_LIFETIME_S = 600.0
_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class Authorization:
    """The page under PATH, and the grant `authorization_code`. On the loop."""

    def __init__(self, account: DropboxAccount) -> None:
        self._account = account
        self._codes = Codes()

    async def page(self, request: web.Request) -> web.Response:
        """GET shows the page, POST is the answer of whoever looks at it."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        asked = form if request.method == "POST" else dict(request.query)
        wrong = self._complaint(asked)
        if wrong is not None:
            return refusal_page(wrong)
        redirect_uri, state = asked.get("redirect_uri"), asked.get("state")
        if "decision" not in form:
            return consent_page("Dropbox", asked, sorted(self._scopes(asked)))
        if form["decision"] != "allow":
            if redirect_uri is None:
                return refusal_page("The request was cancelled.")
            said = "The user chose not to give your app access to their Dropbox account."
            return redirect_with(redirect_uri, error="access_denied", error_description=said, state=state)
        try:
            self._account.tokens.check(form.get("password", ""), None)
        except Refused:
            return consent_page("Dropbox", asked, sorted(self._scopes(asked)), "That is not the token.")
        code = self._codes.issue(self._consent(asked), time.time() + CODE_LIFETIME_S)
        return (
            code_page(code) if redirect_uri is None else redirect_with(redirect_uri, code=code, state=state)
        )

    def _complaint(self, asked: Mapping[str, str]) -> str | None:
        switches = self._account.switches
        redirect_uri = asked.get("redirect_uri")
        if asked.get("client_id") != switches.app_key:
            return f'Invalid client_id: "{asked.get("client_id", "")}"'
        if asked.get("response_type") != "code":
            return 'Invalid response_type: expected "code"'
        if redirect_uri is not None and not is_redirect_allowed(redirect_uri, switches.redirect_uris):
            return (
                f'Invalid redirect_uri: "{redirect_uri}": it must be one of those that are registered for '
                "the app, to the last character"
            )
        if asked.get("token_access_type", "online") not in ("online", "offline"):
            return "Invalid token_access_type"
        if "code_challenge" in asked and not _CHALLENGE.fullmatch(asked["code_challenge"]):
            return "Invalid code_challenge"
        if asked.get("code_challenge_method", "plain") not in ("S256", "plain"):
            return "Invalid code_challenge_method"
        missing = frozenset(asked.get("scope", "").split()) - self._ticked
        if missing:
            return f"This app does not have the scopes it asks for: {' '.join(sorted(missing))}"
        return None

    def _scopes(self, asked: Mapping[str, str]) -> frozenset[str]:
        wanted = frozenset(asked.get("scope", "").split())
        return wanted or self._ticked

    @property
    def _ticked(self) -> frozenset[str]:
        return frozenset(self._account.switches.app_scopes) or ALL_SCOPES

    def _consent(self, asked: Mapping[str, str]) -> Consent:
        return Consent(
            asked["client_id"],
            asked.get("redirect_uri"),
            self._scopes(asked),
            asked.get("token_access_type") == "offline",
            asked.get("code_challenge"),
            asked.get("code_challenge_method", "plain"),
        )

    async def exchange(self, form: Mapping[str, str]) -> web.Response:
        """The grant `authorization_code` of the token endpoint: PKCE, or the application's secret."""
        switches, client_id = self._account.switches, form.get("client_id", "")
        if client_id != switches.app_key:
            return refused("invalid_client", "Invalid client_id")
        secret = form.get("client_secret")
        if secret is not None and secret != switches.app_secret:
            return refused("invalid_client", "Invalid client_id or client_secret")
        try:
            consent = self._codes.redeem(form.get("code", ""), client_id, time.time())
            if form.get("redirect_uri") != consent.redirect_uri:
                raise CodeRefused("redirect_uri mismatch")
            check_verifier(consent, form.get("code_verifier"))
        except CodeRefused as error:
            return refused("invalid_grant", str(error))
        if secret is None and consent.challenge is None:
            return refused("invalid_request", 'No "client_secret" or "code_verifier" given')
        return await self._granted(consent)

    async def _granted(self, consent: Consent) -> web.Response:
        account, lifetime_s = self._account, self._account.switches.token_lifetime_s
        refresh_token = secrets.token_urlsafe(48) if consent.is_offline else None
        issued = await account.run(account.tokens.issue, refresh_token, consent.scopes, float(lifetime_s))
        reply = {
            "access_token": issued.token,
            "token_type": "bearer",
            "expires_in": lifetime_s,
            "scope": " ".join(sorted(consent.scopes)),
            "uid": "12345",
            "account_id": ACCOUNT_ID,
        }
        return json_response(reply if refresh_token is None else {**reply, "refresh_token": refresh_token})
