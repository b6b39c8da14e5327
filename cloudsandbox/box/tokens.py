"""Access and refresh tokens: which are good now. A refresh token is good once."""

import secrets
import sqlite3
import time
from typing import Any

from cloudsandbox.box.errors import unauthorized
from cloudsandbox.box.switches import BoxSwitches
from cloudsandbox.consent import CodeRefused, Codes


class GrantRefused(Exception):
    """The token endpoint says no: HTTP 400 with these two words."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description


class Tokens:
    """The tokens of an account: access tokens also in memory for the loop, the rows for the next start."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.switches = BoxSwitches()
        self.codes = Codes()
        self._access = dict(connection.execute("SELECT token, expires_s FROM access_token"))
        self._spent = {row[0] for row in connection.execute("SELECT token FROM spent")}

    def check(self, header: str | None) -> None:
        """Raise Refusal (401) unless the header Authorization has a token that is good now."""
        kind, _, token = (header or "").partition(" ")
        if kind != "Bearer" or not token:
            raise unauthorized(is_token_known=False)
        expires_s = self._access.get(token)
        if expires_s is None and token in (self.switches.access_tokens or []):
            expires_s = float("inf")
        if token in self._spent or expires_s is None or expires_s <= time.time():
            raise unauthorized()

    def grant(self, form: dict[str, str]) -> dict[str, Any]:
        """The reply to a token request. On the state thread. Raises GrantRefused."""
        self._check_client(form)
        match form.get("grant_type"):
            case "refresh_token":
                self._spend_refresh_token(form.get("refresh_token", ""))
                return self._reply(has_refresh_token=True)
            case "authorization_code":
                self._redeem(form.get("code", ""), form)
                return self._reply(has_refresh_token=True)
            case "client_credentials":
                subject = f"{form.get('box_subject_type')}:{form.get('box_subject_id')}"
                if subject not in self.switches.subjects:
                    raise GrantRefused("invalid_grant", "Grant credentials are invalid")
                return self._reply(has_refresh_token=False)
        raise GrantRefused("unsupported_grant_type", "Invalid grant_type parameter or parameter missing")

    def revoke(self, form: dict[str, str]) -> None:
        """Kill an access or refresh token. On the state thread. Raises GrantRefused."""
        self._check_client(form)
        token = form.get("token", "")
        if not token:
            raise GrantRefused("invalid_request", "The token to revoke is missing")
        self._spend(token)

    def issue(self, lifetime_s: float, token: str | None = None) -> str:
        """Give out an access token. On the state thread."""
        issued = token or secrets.token_urlsafe(24)
        expires_s = time.time() + lifetime_s
        self._db.execute("INSERT OR REPLACE INTO access_token VALUES (?, ?)", (issued, expires_s))
        self._db.execute("DELETE FROM spent WHERE token = ?", (issued,))
        self._access[issued] = expires_s
        self._spent.discard(issued)
        return issued

    def _check_client(self, form: dict[str, str]) -> None:
        switches = self.switches
        secret = form.get("client_secret", "")
        if form.get("client_id") != switches.client_id or secret != switches.client_secret:
            raise GrantRefused("invalid_client", "The client credentials are invalid")

    def _redeem(self, code: str, form: dict[str, str]) -> None:
        if self.codes.is_known(code):
            try:
                self.codes.redeem(code, form.get("client_id", ""), time.time())
            except CodeRefused as error:
                raise GrantRefused("invalid_grant", str(error)) from None
        elif code not in (self.switches.authorization_codes or []) or code in self._spent:
            raise GrantRefused("invalid_grant", "The authorization code has expired")
        self._spend(code)

    def _spend_refresh_token(self, token: str) -> None:
        row = self._db.execute("SELECT expires_s FROM refresh_token WHERE token = ?", (token,)).fetchone()
        is_known = row[0] > time.time() if row is not None else token in (self.switches.refresh_tokens or [])
        if not is_known or token in self._spent:
            raise GrantRefused("invalid_grant", "Refresh token has expired")
        self._spend(token)

    def _spend(self, token: str) -> None:
        self._db.execute("INSERT OR IGNORE INTO spent VALUES (?)", (token,))
        self._spent.add(token)

    def _reply(self, has_refresh_token: bool) -> dict[str, Any]:
        lifetime_s = self.switches.token_lifetime_s
        reply: dict[str, Any] = {
            "access_token": self.issue(lifetime_s),
            "expires_in": lifetime_s,
            "token_type": "bearer",
            "restricted_to": [],
        }
        if has_refresh_token:
            reply["refresh_token"] = secrets.token_urlsafe(48)
            expires_s = time.time() + self.switches.refresh_lifetime_s
            self._db.execute("INSERT INTO refresh_token VALUES (?, ?)", (reply["refresh_token"], expires_s))
        return reply
