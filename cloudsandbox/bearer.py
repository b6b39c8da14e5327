"""The token that opens a stand-in: every user of the machine can reach its port, its owner alone has this."""

import hmac
import re
import secrets

_FITS_A_HEADER = re.compile(r"[\x21-\x7e]+")


class TokenError(ValueError):
    """A token that no HTTP header can carry."""


def chosen(token: str | None) -> str:
    """*token*, or a random one for None. Raises TokenError."""
    if token is None:
        return secrets.token_urlsafe(24)
    if not _FITS_A_HEADER.fullmatch(token):
        raise TokenError("a token is one or more printable characters of ASCII, without blanks")
    return token


def is_shown(token: str, authorization: str | None) -> bool:
    """Whether the value of a header `Authorization` shows *token*; takes as long for any that does not."""
    given = (authorization or "").encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given, f"Bearer {token}".encode())
