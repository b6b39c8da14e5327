"""Tables of configuration keys: how each is parsed, and what is said when that fails.

A parser takes what TOML or ``-o key=value`` holds (so a number may come as text) and returns the
typed value, or raises ValueError whose text completes the sentence "key = value: ...".
"""

from __future__ import annotations

import difflib
import grp
import math
import pwd
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from daemon.failure import BadSettings
from mountfs.model.rates import SLOWEST_BYTES_S, Rates

SHOWN_CHARS = 100
"""Of a wrong value, in a complaint."""
LONGEST_SHOWN = 10**SHOWN_CHARS

Parser = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table: the record's field it fills, and its parser."""

    field: str
    parse: Parser
    is_secret: bool = False
    is_required: bool = False


def read_table(where: str, table: Mapping[str, object], keys: Mapping[str, Key]) -> dict[str, object]:
    """The typed values of *table* by field; *where* opens each complaint (file and section)."""
    for name in table:
        if name not in keys:
            raise BadSettings(f"{where}: unknown key '{name}'{nearest(name, keys)}")
    for name, key in keys.items():
        if key.is_required and name not in table:
            raise BadSettings(f"{where}: the key '{name}' is missing; add it")
    values: dict[str, object] = {}
    for name, value in table.items():
        try:
            values[keys[name].field] = keys[name].parse(value)
        except ValueError as error:
            shown = "" if keys[name].is_secret else f" = {_shown(value)}"
            raise BadSettings(f"{where}: {name}{shown}: {error}") from None
    return values


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a complaint about an unknown *name*: the nearest known one, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known are {', '.join(names)}" if names else ""


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"'{shortened(value)}'"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= LONGEST_SHOWN:
        return "a number of too many digits"  # Python refuses to write out the longest
    return shortened(str(value))


def shortened(given: str) -> str:
    """For a complaint of one line."""
    return given if len(given) <= SHOWN_CHARS else f"{given[:SHOWN_CHARS]}..."


def text(value: object) -> str:
    """Any text that is not empty and stays on one line."""
    if not isinstance(value, str):
        raise ValueError("must be text in quotes")
    if not value.strip():
        raise ValueError("is empty; give it a value or leave it out")
    if not value.isprintable():
        raise ValueError("holds a character that does not print; remove it")
    return value.strip()


def token(value: object) -> str:
    """A secret that travels in an HTTP header: printable ASCII without spaces."""
    given = text(value)
    if not given.isascii() or " " in given:
        raise ValueError("holds spaces or characters that no token has; paste it again")
    return given


def boolean(value: object) -> bool:
    """A truth value: TOML's own, or true, false, yes, no, on, off, 1, 0."""
    words = {"true": True, "yes": True, "on": True, "1": True}
    words |= {"false": False, "no": False, "off": False, "0": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise ValueError("must be true or false")


_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def seconds(value: object) -> float:
    """A duration of zero or more: 0.25, "90s", "5m"."""
    hint = "must be a number of seconds, such as 0.25, 90 or 5m"
    if isinstance(value, str):
        number = value.strip().rstrip("abcdefghijklmnopqrstuvwxyz")
        unit = value.strip()[len(number) :] or "s"
        if unit not in _UNITS_S:
            raise ValueError(hint)
        try:
            result = float(number) * _UNITS_S[unit]
        except ValueError:
            raise ValueError(hint) from None
    elif isinstance(value, int | float) and not isinstance(value, bool):
        try:
            result = float(value)
        except OverflowError:
            raise ValueError(hint) from None
    else:
        raise ValueError(hint)
    if not math.isfinite(result) or result < 0:
        raise ValueError("must be zero or more, and finite")
    return result


_UNITS_BYTES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


def size(value: object) -> int:
    """A number of bytes, zero or more: 500000, "300M", "20G"."""
    found = _bytes(value, r"(\d{1,18})")
    if found is None:
        raise ValueError("must be a number of bytes, such as 500000, 300M or 20G")
    return found


def rates(value: object) -> Rates:
    """Bytes a second, ``UP`` or ``UP:DOWN``: ``512K``, ``2M:10M``, ``off:1M``."""
    hint = "must be UP or UP:DOWN in bytes a second, such as 512K, 2M:10M or off:1M"
    found: list[int | None] = []
    for part in value.lower().split(":") if isinstance(value, str) else [value]:
        if isinstance(part, str) and part.strip() in ("off", "0", ""):
            found.append(None)
            continue
        bytes_s = _bytes(part, r"(\d{1,12}(?:\.\d+)?)", after="(?:/s)?")
        if bytes_s is None:
            raise ValueError(hint)
        found.append(bytes_s or None)
    if len(found) > 2:
        raise ValueError(hint)
    if any(each is not None and each < SLOWEST_BYTES_S for each in found):
        raise ValueError(f"must be at least {SLOWEST_BYTES_S // 1024}K, or off")
    return Rates(*found)


def _bytes(value: object, number: str, after: str = "") -> int | None:
    """*value* as a number of bytes; None: it is none."""
    text = value if isinstance(value, str) else str(value) if type(value) is int else ""
    match = re.fullmatch(f"{number}([kmgt]?)(?:i?b)?{after}", text.strip().lower())
    return None if match is None else int(Decimal(match[1]) * _UNITS_BYTES[match[2]])


def names(value: object) -> tuple[str, ...]:
    """Names of programs: a list, or text with a colon between two of them; "" for none."""
    given = value.split(":") if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(each, str) and each.isprintable() for each in given):
        raise ValueError('must be names of programs, such as ["tumblerd", "updatedb"] or "tumblerd:updatedb"')
    return tuple(each.strip() for each in given if each.strip())


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a page is served: an address of this machine alone, and a port, 0 being any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def loopback(value: object) -> Listen | None:
    """``127.0.0.1:8123``, or ``off``."""
    hint = "must be an address of this machine and a port, such as 127.0.0.1:8123, or off"
    if value in ("off", "", False):
        return None
    host, colon, port = str(value).rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(hint)
    if host in ("localhost", "[::1]"):
        host = "127.0.0.1"
    if not is_loopback(host):
        raise ValueError(f"{hint}: others could see what is in the account; forward it through ssh instead")
    return Listen(host, int(port))


def octal_mode(value: object) -> int:
    """Permission bits in octal, as text: TOML would read a bare 022 or 22 as something else."""
    hint = 'must be octal in quotes, such as "022"'
    if not isinstance(value, str):
        raise ValueError(hint)
    try:
        mode = int(value.removeprefix("0o"), 8)
    except ValueError:
        raise ValueError(hint) from None
    if not 0 <= mode <= 0o777:
        raise ValueError("must lie between 000 and 777")
    return mode


def user_id(value: object) -> int:
    """A numeric user id, or the name of a user of this machine."""
    return _identity(value, "user", lambda name: pwd.getpwnam(name).pw_uid)


def group_id(value: object) -> int:
    """A numeric group id, or the name of a group of this machine."""
    return _identity(value, "group", lambda name: grp.getgrnam(name).gr_gid)


def _identity(value: object, what: str, look_up: Callable[[str], int]) -> int:
    if isinstance(value, str) and value and not value.isdecimal():
        try:
            return look_up(value)
        except (KeyError, ValueError):
            raise ValueError(f"this machine knows no {what} of that name") from None
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise ValueError(f"must be a {what}'s number or name")
    number = int(value)
    if not 0 <= number < 2**32 - 1:
        raise ValueError(f"is no {what} number")
    return number


def directory(value: object) -> Path:
    """An absolute path; ``~`` is expanded."""
    try:
        path = Path(text(value)).expanduser()
    except RuntimeError:
        raise ValueError("names the home directory of an unknown user") from None
    if not path.is_absolute():
        raise ValueError("must be an absolute path")
    return path


def choice(*words: StrEnum) -> Parser:
    """A parser that takes one of *words*."""

    def parse(value: object) -> StrEnum:
        for word in words:
            if value == word:
                return word
        raise ValueError(f"must be one of {', '.join(words)}")

    return parse


def url(value: object) -> str:
    """A service's base address: https, or http to this machine alone, since tokens travel on it."""
    given, parts = address(value, ("http", "https"), "must look like https://api.dropboxapi.com")
    if parts.username or parts.query or parts.fragment or " " in given:
        raise ValueError("must be only scheme, host, port and path")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("would send the token in clear; use https")
    return given


def address(value: object, schemes: Collection[str], hint: str) -> tuple[str, SplitResult]:
    """*value* without slashes at its end, and its parts. ValueError with *hint* for one that has no host or
    none of *schemes*."""
    given = text(value).rstrip("/")
    try:
        parts = urlsplit(given)
        host, _ = parts.hostname, parts.port  # asking for the port is what checks it
    except ValueError:
        raise ValueError("is no valid address") from None
    if parts.scheme not in schemes or not host:
        raise ValueError(hint)
    return given, parts


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine itself, whatever it is called elsewhere."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
