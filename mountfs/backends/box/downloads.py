"""Bytes of a file's versions: a redirect to a signed address, which is good for a while."""

from __future__ import annotations

from threading import Lock

from cachetools import LRUCache

from mountfs.backends.box.api import BoxApi, quoted
from mountfs.backends.box.entries import Revision
from mountfs.backends.box.errors import from_response
from mountfs.backends.wire import Request, Response, Window
from mountfs.errors import Busy, NotFound, NotSupported, ServerFault
from mountfs.model.entry import File

ASK = "GET files/:id/content"
FETCH = "GET download"
ADDRESSES_KEPT = 256
"""Files being read at once; an address more costs one request."""
SPENT = frozenset({401, 403, 404, 410})
"""How a signed address says that it has expired."""
NOT_READY_S = 1.0
"""Unless the service says when a fresh file can be read."""
_REDIRECTS = 4


class Downloads:
    """Reads ranges. Any thread."""

    def __init__(self, api: BoxApi) -> None:
        self._api = api
        self._lock = Lock()
        self._addresses: LRUCache[str, str] = LRUCache(ADDRESSES_KEPT)

    def read(self, file: File, offset: int, length: int) -> bytes:
        """Bytes of exactly this version. NotFound when it is gone, Busy while it is not ready."""
        if not file.is_downloadable:
            raise NotSupported(f"a document without bytes of its own: {file.name}")
        length = min(length, file.size_bytes - offset)
        if length <= 0:
            return b""
        revision = Revision.parse(file.revision)
        if revision is None:
            raise NotFound(f"revision {file.revision} of {file.name} is gone")
        with self._lock:
            address = self._addresses.get(file.revision)
        response = None if address is None else self._fetch(address, offset, length)
        if response is None or response.status in SPENT:
            response = self._asked(revision, file, offset, length)
        return _body(response, file, offset, length)

    def _asked(self, revision: Revision, file: File, offset: int, length: int) -> Response:
        """By a fresh address, unless the service sends the bytes itself."""
        url = self._api.api_url(f"files/{quoted(revision.file_id)}/content", version=revision.version_id)
        response = self._api.exchange(ASK, url, headers=_range(offset, length), window=Window(offset, length))
        if response.status == 202:
            raise Busy(f"{file.name} is not ready to be read", response.retry_after_s or NOT_READY_S)
        if response.status not in (301, 302, 303, 307, 308):
            return response
        address = self._api.unsigned_hosts.follow(url, response.headers.get("location", ""), ASK)
        with self._lock:
            self._addresses[file.revision] = address
        return self._fetch(address, offset, length)

    def _fetch(self, address: str, offset: int, length: int) -> Response:
        """From the host behind the redirect, which must not see our token. The address is its own right."""
        for _ in range(_REDIRECTS):
            request = Request(
                "GET",
                address,
                FETCH,
                _range(offset, length),
                is_read=True,
                is_signed=False,
                window=Window(offset, length),
            )
            response = self._api.http.exchange(request)
            location = response.headers.get("location")
            if response.status not in (301, 302, 303, 307, 308) or location is None:
                return response
            address = self._api.unsigned_hosts.follow(address, location, FETCH)
        raise ServerFault("a download is sent from one address to the next for ever")


def _range(offset: int, length: int) -> dict[str, str]:
    return {"Range": f"bytes={offset}-{offset + length - 1}", "Accept-Encoding": "identity"}


def _body(response: Response, file: File, offset: int, length: int) -> bytes:
    """Bytes other than those asked for must never be taken for them."""
    if response.status == 416:
        raise ServerFault(f"{file.name} is shorter than its metadata says")
    if response.status not in (200, 206):
        raise from_response(response, str(file.name))
    stated = response.headers.get("content-range", "")
    if response.status == 206 and not stated.startswith(f"bytes {offset}-"):
        raise ServerFault(f"{file.name}: asked for bytes from {offset} on, got {stated!r}")
    if len(response.body) != length:
        raise ServerFault(f"{file.name}: asked for {length} bytes, got {len(response.body)}")
    return response.body
