"""Requests to a stand-in as a client of the service makes them, by nothing of the server's own."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Protocol
from urllib.parse import urlsplit

from cloudsandbox.body import PIECE_BYTES, Hasher

TIMEOUT_S = 60.0
READERS = 4


class ReadBackError(Exception):
    """The service did not answer as it has to; its text is for the caller."""


class Reader(Protocol):
    """What of a service's API is needed to read an account back."""

    def listed_hashes(self) -> dict[str, str]:
        """Every file of the account with the content hash the service states for it. Raises ReadBackError."""

    def downloaded_hashes(self, paths: Iterable[str]) -> dict[str, str]:
        """The content hash of the bytes that the service delivers for each path, which `listed_hashes` has
        found. Raises ReadBackError.
        """


@contextmanager
def answered(
    method: str, url: str, status: int, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Iterator[HTTPResponse]:
    """The response to one request on a connection of its own. Raises ReadBackError unless it has *status*."""
    address = urlsplit(url)
    target = f"{address.path}?{address.query}" if address.query else address.path
    kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=TIMEOUT_S)
    try:
        connection.request(method, target, body, dict(headers or {}))
        response = connection.getresponse()
        if response.status != status:
            raise ReadBackError(f"{address.path}: the service answered {response.status} {response.reason}")
        yield response
    except (OSError, HTTPException, ValueError) as error:
        raise ReadBackError(f"{address.path}: {error}") from None
    finally:
        connection.close()


def feed(response: HTTPResponse, hasher: Hasher) -> None:
    """Hash all that is left of the body."""
    while piece := response.read(PIECE_BYTES):
        hasher.update(piece)


def for_each(paths: Iterable[str], read: Callable[[str], str]) -> dict[str, str]:
    """What *read* gives for each path, a few at a time."""
    wanted = list(paths)
    with ThreadPoolExecutor(READERS, thread_name_prefix="read-back") as pool:
        return dict(zip(wanted, pool.map(read, wanted), strict=True))
