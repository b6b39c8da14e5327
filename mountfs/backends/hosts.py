"""Which addresses a service's replies may send us to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import SplitResult, urljoin, urlsplit

from mountfs.errors import ServerFault

_PLAIN = re.compile(r"[!#-;=?-Z\[\]_a-z~]+")
"""Printable ASCII but for what no address holds unquoted: two parsers of one might not agree about the rest
(RFC 3986, 2)."""
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Hosts:
    """The addresses that are configured, and the service's own domains.

    *configured*: base addresses; any path on their scheme, host and port is fine. *domains*: those whose
    hosts, at any depth, may be named with https. *plain_domains*: also with http, for calls without a secret.
    """

    configured: tuple[str, ...]
    domains: tuple[str, ...] = ()
    plain_domains: tuple[str, ...] = ()

    def check(self, url: str, what: str) -> str:
        """*url*, if the service may name it for *what*. ServerFault: nothing may be sent there."""
        if not self.trusts(url):
            parts = _split(url)
            host = "nowhere" if parts is None else f"{parts.scheme}://{parts.netloc}"
            raise ServerFault(f"{what}: the service names an address that is not its own: {host[:100]}")
        return url

    def trusts(self, url: str) -> bool:
        """Whether the service may name *url*."""
        if not _PLAIN.fullmatch(url):
            return False
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        return _trusts(self, parts.scheme, parts.netloc)

    def follow(self, base: str, location: str, what: str) -> str:
        """The address of a redirect from *base*, checked. ServerFault."""
        try:
            return self.check(urljoin(base, location), what)
        except ValueError:
            raise ServerFault(f"{what}: the service names no valid address") from None

    def is_trusted(self, parts: SplitResult) -> bool:
        """Whether it may name what is at *parts*: an address of a host."""
        if _origin(parts) in {_origin(split) for split in map(_split, self.configured) if split is not None}:
            return True
        host = parts.hostname or ""
        if parts.scheme == "https":
            return _is_within(host, (*self.domains, *self.plain_domains))
        return parts.scheme == "http" and _is_within(host, self.plain_domains)


@lru_cache(maxsize=256)
def _trusts(hosts: Hosts, scheme: str, netloc: str) -> bool:
    """Each call asks for one of a few hosts: taking it apart would take longer than the rest of a check."""
    parts = _split(f"{scheme}://{netloc}")
    return parts is not None and hosts.is_trusted(parts)


def _split(url: str) -> SplitResult | None:
    """None for what is no plain absolute address, or names a user: that is a host's name in disguise."""
    if not _PLAIN.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port  # asking for the port is what checks it
    except ValueError:
        return None
    return parts if parts.hostname and "@" not in parts.netloc else None


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)


def _is_within(host: str, domains: Iterable[str]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)
