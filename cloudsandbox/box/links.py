"""Signed download URLs: what they are for and until when is in the URL itself."""

import base64
import hmac
import secrets
import sqlite3

from cloudsandbox.box.errors import Refusal, not_found


class Links:
    """Signs and reads the tokens of download URLs; the secret is kept with the state."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        row = connection.execute("SELECT value FROM meta WHERE name = 'link_secret'").fetchone()
        self._secret = row[0] if row is not None else secrets.token_hex(16)
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('link_secret', ?)", (self._secret,))

    def sign(self, version: int, expires_s: float) -> str:
        """A token for a version, good until *expires_s*, seconds of the epoch."""
        said = f"{version}.{expires_s:.3f}"
        return base64.urlsafe_b64encode(f"{said}.{self._mac(said)}".encode()).decode().rstrip("=")

    def read(self, token: str, now_s: float) -> int:
        """The version a token is for. Raises Refusal: 404 for a forged one, 403 when its time is over."""
        try:
            text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
            said, _, mac = text.rpartition(".")
            version, _, expires_s = said.partition(".")
            is_signed = hmac.compare_digest(mac, self._mac(said))
        except ValueError:
            raise not_found() from None
        if not is_signed:
            raise not_found()
        if float(expires_s) <= now_s:
            raise Refusal(403, "forbidden", "The download URL has expired")
        return int(version)

    def _mac(self, said: str) -> str:
        return hmac.new(self._secret.encode(), said.encode(), "sha256").hexdigest()
