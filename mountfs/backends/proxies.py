"""The proxy that a request goes through, as messages name it: without its password."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from mountfs.backends.reasons import reason_of


def is_loopback(host: str) -> bool:
    """Whether *host*, a name or an address without brackets, is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_for(url: str) -> str | None:
    """The address of the proxy that the environment names for *url*; None where the way is direct."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return None
    if is_loopback(host) or proxy_bypass(host):
        return None
    found = getproxies()
    for name in (f"{parts.scheme}://{host}", parts.scheme, f"all://{host}", "all"):
        if found.get(name):
            return _without_password(found[name])
    return None


def _without_password(proxy: str) -> str:
    user, at, rest = proxy.rpartition("@")
    scheme, mark, _ = user.partition("://")
    return f"{scheme}{mark}***@{rest}" if at else proxy


def way_to(url: str) -> str:
    """The host of *url* as a message names it, with the proxy on the way to it."""
    host = url.split("/")[2] if url.count("/") >= 2 else url
    proxy = proxy_for(url)
    return host if proxy is None else f"{host} (through the proxy {proxy})"


def proxy_failed(url: str, error: Exception) -> str:
    """What is told when the proxy could not be connected to, or refuses to lead on."""
    host = url.split("/")[2] if url.count("/") >= 2 else url
    reason = getattr(error.args[0], "reason", None) if error.args else None
    original = getattr(reason, "original_error", None)
    # What a proxy replies to CONNECT is an OSError without a number (http.client).
    is_reply = type(original) is OSError and original.strerror is None
    told = str(original) if is_reply else reason_of(error)
    return f"the proxy {proxy_for(url)} on the way to {host} fails: {told}"


def untold(url: str, error: Exception) -> str:
    """What is told of a far side that gave no answer."""
    reason = reason_of(error)
    hint = ""
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        hint = "; if your network has an authority of its own, name its file in SSL_CERT_FILE"
    return f"{way_to(url)} does not answer: {reason}{hint}"
