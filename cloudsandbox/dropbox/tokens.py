"""Access and refresh tokens: which are known, until when, and what they may do."""

import json
import secrets
import sqlite3
import time
from dataclasses import dataclass

from cloudsandbox.dropbox.errors import unauthorized
from cloudsandbox.dropbox.switches import DropboxSwitches

ALL_SCOPES = frozenset(
    {
        "account_info.read",
        "files.metadata.read",
        "files.metadata.write",
        "files.content.read",
        "files.content.write",
    }
)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token that the refresh flow or a test gave out; expires_s is in seconds of the epoch."""

    token: str
    refresh_token: str | None
    scopes: frozenset[str]
    expires_s: float


class Tokens:
    """The tokens of an account: a copy in memory for the loop, the rows for the next start."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.switches = DropboxSwitches()
        self._revoked = {row[0] for row in connection.execute("SELECT token FROM revoked")}
        self._issued = {
            row[0]: IssuedToken(row[0], row[1], frozenset(json.loads(row[2])), row[3])
            for row in connection.execute("SELECT token, refresh_token, scopes, expires_s FROM token")
        }
        self._families: dict[str, frozenset[str]] = {}
        for each in self._issued.values():
            self._note_family(each)

    def _note_family(self, issued: IssuedToken) -> None:
        """A refresh token that was granted may do what any access token of it may."""
        family = issued.refresh_token
        if family is not None and family not in (self.switches.refresh_tokens or []):
            self._families[family] = self._families.get(family, frozenset()) | issued.scopes

    def check(self, token: str, scope: str | None) -> None:
        """Raise Refused (401) unless the token is good now for a route of this scope."""
        issued = self._issued.get(token)
        configured = self.switches.access_tokens or {}
        if token in self._revoked or (issued is None and token not in configured):
            raise unauthorized("invalid_access_token")
        if issued is not None:
            if issued.expires_s <= time.time():
                raise unauthorized("expired_access_token")
            scopes = issued.scopes
        else:
            named = configured[token]
            scopes = ALL_SCOPES if named is None else frozenset(named)
        if scope is not None and scope not in scopes:
            raise unauthorized("missing_scope", required_scope=scope)

    def is_refresh_token(self, token: str) -> bool:
        """Whether the refresh flow accepts it."""
        is_known = token in (self.switches.refresh_tokens or []) or token in self._families
        return is_known and token not in self._revoked

    def scopes_of(self, refresh_token: str) -> frozenset[str]:
        """What may be had for it: what was granted with it."""
        return self._families.get(refresh_token, ALL_SCOPES)

    def issue(
        self, refresh_token: str | None, scopes: frozenset[str], lifetime_s: float, token: str | None = None
    ) -> IssuedToken:
        """Give out an access token. On the state thread."""
        issued = IssuedToken(
            token or "sl." + secrets.token_urlsafe(48), refresh_token, scopes, time.time() + lifetime_s
        )
        self._db.execute(
            "INSERT OR REPLACE INTO token VALUES (?, ?, ?, ?)",
            (issued.token, refresh_token, json.dumps(sorted(scopes)), issued.expires_s),
        )
        self._db.execute("DELETE FROM revoked WHERE token = ?", (issued.token,))
        self._issued[issued.token] = issued
        self._note_family(issued)
        self._revoked.discard(issued.token)
        return issued

    def revoke(self, token: str) -> None:
        """Kill an access token, its refresh token, and all that came from that. On the state thread."""
        dead = {token}
        issued = self._issued.get(token)
        if issued is not None and issued.refresh_token is not None:
            family = issued.refresh_token
            dead |= {family} | {each.token for each in self._issued.values() if each.refresh_token == family}
        self._revoked |= dead
        self._db.executemany("INSERT OR IGNORE INTO revoked VALUES (?)", [(each,) for each in sorted(dead)])
