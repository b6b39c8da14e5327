"""Machines that share an account, as the configuration describes them: ``[fleet]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast
from urllib.parse import urlsplit

from daemon.config.keys import Key, address, choice, is_loopback, read_table, seconds, text, token
from daemon.config.secrets import KeptSecret, apart, secret
from daemon.failure import BadSettings

LEASE_S = 15.0
"""The turn of a machine that died is free again after this time, by default. A machine that lives renews it
three times as often, so that one lost message costs nothing."""
SHORTEST_LEASE_S = 2.0
LONGEST_LEASE_S = 300.0


class Fallback(StrEnum):
    """What a machine does while the fleet's server does not answer."""

    WAIT = "wait"
    ALONE = "alone"


@dataclass(frozen=True, slots=True)
class Fleet:
    """Where the machines meet. ``name``: of this one, for people; None: its host name. ``lease_s``: the turn
    of a machine that died is free after so long; all machines have to say the same."""

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    fallback: Fallback = Fallback.WAIT
    name: str | None = None
    lease_s: float = LEASE_S
    kept: tuple[KeptSecret, ...] = ()


def redis_url(value: object) -> str:
    """``redis://HOST[:PORT][/DATABASE]``, or ``rediss://`` with TLS; passwords stand elsewhere."""
    hint = "must look like redis://HOST:6379/0, or rediss:// with TLS"
    given, parts = address(value, ("redis", "rediss"), hint)
    if parts.username or parts.password:
        raise ValueError("must not hold a password; give it as the key password")
    if parts.query or parts.fragment or not (parts.path in ("", "/") or parts.path[1:].isdecimal()):
        raise ValueError("must be only scheme, host, port and the number of a database")
    return given


def lease(value: object) -> float:
    """A duration that a turn may last unheard."""
    found = seconds(value)
    if not SHORTEST_LEASE_S <= found <= LONGEST_LEASE_S:
        raise ValueError(f"must lie between {SHORTEST_LEASE_S:.0f} and {LONGEST_LEASE_S:.0f} seconds")
    return found


FLEET_KEYS: Mapping[str, Key] = {
    "url": Key("url", redis_url, is_required=True),
    "username": Key("username", token),
    "password": Key("password", secret, is_secret=True),
    "fallback": Key("fallback", choice(*Fallback)),
    "name": Key("name", text),
    "lease": Key("lease_s", lease),
}


def read_fleet(where: str, section: Mapping[str, object]) -> Fleet:
    """The typed values of the section; *where* opens each complaint. BadSettings."""
    fleet = Fleet(**cast("dict[str, Any]", apart(read_table(where, section, FLEET_KEYS))))
    parts = urlsplit(fleet.url)
    has_password = fleet.password is not None or any(each.key == "password" for each in fleet.kept)
    if has_password and parts.scheme == "redis" and not is_loopback(parts.hostname or ""):
        raise BadSettings(f"{where}: password would travel in clear; use rediss:// in url")
    return fleet
