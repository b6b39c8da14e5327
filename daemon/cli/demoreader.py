"""Reads a demonstration's account back over the service's HTTP API, by nothing of the mount's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Protocol
from urllib.parse import urlsplit

from daemon.failure import Failure
from mountfs.model.hashing import Hasher

TIMEOUT_S = 60.0
READERS = 4
PIECE_BYTES = 1024 * 1024


class ServiceReader(Protocol):
    """What of a service's API the demonstration needs."""

    def listed_hashes(self) -> dict[str, str]:
        """Every file of the account with the content hash the service states for it. Failure."""

    def downloaded_hashes(self, paths: Iterable[str]) -> dict[str, str]:
        """The content hash of the bytes that the service delivers for each path. Failure."""


@contextmanager
def answered(
    method: str, url: str, status: int, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Iterator[HTTPResponse]:
    """The response to one request on a connection of its own, loopback only; *status* or a Failure."""
    address = urlsplit(url)
    target = f"{address.path}?{address.query}" if address.query else address.path
    connection = HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT_S)
    try:
        connection.request(method, target, body, dict(headers or {}))
        response = connection.getresponse()
        if response.status != status:
            raise Failure(
                f"reading back: {address.path}: the service answered {response.status} {response.reason}"
            )
        yield response
    except (OSError, HTTPException, ValueError) as error:
        raise Failure(f"reading back: {address.path}: {error}") from None
    finally:
        connection.close()


def hash_of_body(response: HTTPResponse, state: Hasher) -> str:
    """The hash of all that is left of the body."""
    while piece := response.read(PIECE_BYTES):
        state.update(piece)
    return state.hexdigest()


def for_each(paths: Iterable[str], read: Callable[[str], str]) -> dict[str, str]:
    """What *read* gives for each path, a few at a time."""
    wanted = list(paths)
    with ThreadPoolExecutor(READERS, thread_name_prefix="read-back") as pool:
        return dict(zip(wanted, pool.map(read, wanted), strict=True))
