"""Which authorities a connection trusts, read once for all connections.

urllib3 reads the file of certificates for each connection. The 140 that come with requests cost 14 ms of the
processor's time, and 780 KiB for as long as the connection is open.
"""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cachetools import LRUCache
from urllib3.exceptions import SSLError
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

KEPT = 8
"""A file for all hosts is the rule, and a newer version of it."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What urllib3 says of a connection. ``reqs``: whether a certificate is asked for at all; the others as
    in ``ssl.SSLContext.load_verify_locations``."""

    reqs: int | str | None
    file: str | None
    folder: str | None
    data: str | bytes | None


class Contexts:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: LRUCache[Any, ssl.SSLContext] = LRUCache(KEPT)

    def of(self, trust: Trust) -> ssl.SSLContext:
        """The context of all connections with that trust, until the file or folder changes: who replaces an
        authority does not restart the mount for it. urllib3's SSLError where they cannot be read."""
        key = trust, _state(trust.file), _state(trust.folder)
        with self._lock:
            context = self._made.get(key)
            if context is None:
                context = self._made[key] = _loaded(trust)
            return context


def _loaded(trust: Trust) -> ssl.SSLContext:
    context = create_urllib3_context(cert_reqs=resolve_cert_reqs(trust.reqs))
    if trust.file or trust.folder or trust.data:
        try:
            context.load_verify_locations(trust.file, trust.folder, trust.data)
        except OSError as error:
            raise SSLError(error) from error
    return context


def _state(path: str | None) -> tuple[int, ...]:
    """Another one once what is at *path* changed."""
    try:
        stat = Path(path).stat() if path else None
    except OSError:
        return ()
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns) if stat else ()
