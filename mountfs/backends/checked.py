"""What a reply states, checked before it is believed: counts, times, names and tokens.

A reply may be broken, from a portal in between, or hostile. Each parser here gives a value that the store,
the kernel and a header can hold, or raises ServerFault; *what* names the field in its message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from mountfs.backends.proxies import way_to
from mountfs.errors import ServerFault
from mountfs.model.entry import NS_PER_S

MOST_COUNT = 2**53
"""JSON's numbers are exact up to here (RFC 8259, 6). No file, quota or account is larger."""
LONGEST_WAIT_S = 3600.0
"""What any longer time to wait is taken for; how much of it is granted is decided elsewhere (throttle)."""
MOST_NAME_BYTES = 1024
"""The kernel's FUSE_NAME_MAX: of a folder with a longer name in it, it shows nothing at all."""
MOST_TOKEN_CHARS = 4096
"""Ids have tens of characters, cursors hundreds."""
MOST_ID_CHARS = 100
"""Of an account: its id becomes the name of a folder."""
MOST_SECRET_CHARS = 16_384
"""Access tokens may hold claims and thus be long; a header takes 64 KiB (http.client)."""
MOST_LIFE_S = 365 * 86_400.0
"""Of a token, as it is stated."""
MOST_TEXT_CHARS = 1000
_SHOWN_CHARS = 60


def count(value: Any, what: str, most: int = MOST_COUNT) -> int:
    """A whole number from 0 to *most*. It may come as a float or as text, also in exponent form: Box."""
    if type(value) is int and 0 <= value <= most:
        return value
    number = value
    if isinstance(number, str) and number.isascii() and len(number) <= 32:
        try:
            number = float(number)
        except ValueError:
            raise _nonsense(value, what) from None
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= most:
        raise _nonsense(value, what)
    return number


def seconds(value: Any, what: str, most: float = LONGEST_WAIT_S) -> float:
    """A duration of zero or more; a longer one than *most* counts as *most*."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise _nonsense(value, what)
    return float(min(value, most))


def life_s(value: Any, default_s: float) -> float:
    """How long a token is good for; *default_s* where that makes no sense: no token is lost for it."""
    try:
        return seconds(value, "expires_in", MOST_LIFE_S)
    except ServerFault:
        return default_s


def time_ns(value: Any, what: str) -> int:
    """Nanoseconds since 1970, in whole seconds, of an RFC 3339 time with an offset."""
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ServerFault(f"{what}: a time without an offset: {brief(value)}")
        return int(moment.timestamp()) * NS_PER_S
    except (TypeError, ValueError, OverflowError):
        raise _nonsense(value, what) from None


def name(value: Any) -> str:
    """One component of a path, as a folder of the mount can show it."""
    if not isinstance(value, str) or value in ("", ".", "..") or "/" in value or "\0" in value:
        raise _nonsense(value, "name")
    length = len(value) if value.isascii() else len(_utf8(value, "name"))
    if length > MOST_NAME_BYTES:
        raise ServerFault(f"name: longer than a name can be: {brief(value)}")
    return value


def token(value: Any, what: str, most_chars: int = MOST_TOKEN_CHARS) -> str:
    """An id, a cursor, a hash, an access token: printable ASCII without spaces, fit for a header."""
    if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
        raise _nonsense(value, what)
    if " " in value or len(value) > most_chars:
        raise _nonsense(value, what)
    return value


def plain(value: str) -> str:
    """An id as a part of an account's key, which is the name of a folder."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", value)


def are_tokens(*values: Any) -> bool:
    """Whether ``token`` would take each of *values*, at a third of the cost. False may also stand for so many
    characters together as one may have alone."""
    try:
        together = "".join(values)
    except TypeError:
        return False
    is_short = all(values) and len(together) <= MOST_TOKEN_CHARS
    return is_short and together.isascii() and together.isprintable() and " " not in together


def text(value: Any, what: str) -> str:
    """Words for people, cut after MOST_TEXT_CHARS; they may hold anything that UTF-8 can."""
    if not isinstance(value, str) or not value:
        raise _nonsense(value, what)
    _utf8(value[:MOST_TEXT_CHARS], what)
    return value[:MOST_TEXT_CHARS]


def words(value: str, most_chars: int) -> str:
    """The beginning of *value*, for a message: what is no valid text in it becomes question marks."""
    return value[:most_chars].encode("utf-8", "replace").decode()


def obj(value: Any, what: str) -> Mapping[str, Any]:
    """A JSON object."""
    if type(value) is not dict and not isinstance(value, Mapping):
        raise _nonsense(value, what)
    return value


def brief(value: Any) -> str:
    """*value* in a few characters, for a message: what it holds may be of any size and depth."""
    if isinstance(value, Mapping | list):
        return "an object" if isinstance(value, Mapping) else "a list"
    if isinstance(value, str):
        value = value[:_SHOWN_CHARS]
    return f"{value!a:.{_SHOWN_CHARS}}"


@contextmanager
def reply_of(url: str, route: str) -> Iterator[None]:
    """Within it, the ServerFault for what a reply states names the host and the route that it came from."""
    try:
        yield
    except ServerFault as error:
        raise ServerFault(f"{route}: what {way_to(url)} answered is of no use: {error}") from error


def _utf8(value: str, what: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise ServerFault(f"{what}: not valid text: {brief(value)}") from None


def _nonsense(value: Any, what: str) -> ServerFault:
    return ServerFault(f"{what} makes no sense: {brief(value)}")
