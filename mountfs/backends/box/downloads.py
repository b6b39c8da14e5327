"""Bytes of a file's versions: a redirect to a signed address, which is good for a while."""

from __future__ import annotations

from threading import Lock

from cachetools import LRUCache

from mountfs.backends.box.api import BoxApi, quoted
from mountfs.backends.box.entries import Revision
from mountfs.backends.box.errors import from_response
from mountfs.backends.http import TimedOut
from mountfs.backends.ranges import body_of, window_of
from mountfs.backends.silence import is_slow
from mountfs.backends.wire import Request, Response, Window
from mountfs.errors import Busy, NotFound, Offline, ServerFault, Unreachable
from mountfs.model.entry import File
from mountfs.ports import Clock, Take

ASK = "GET files/:id/content"
FETCH = "GET download"
ADDRESSES_KEPT = 256
"""Files being read at once; an address more costs one request."""
ADDRESSES_TRIED = 3
"""For one read: the first may be an old one, and the next made out with a token that has just expired."""
NOT_READY_S = 1.0
"""Unless the service says when a fresh file can be read."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 4


class Downloads:
    """Reads ranges. Any thread."""

    def __init__(self, api: BoxApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._lock = Lock()
        self._addresses: LRUCache[str, str] = LRUCache(ADDRESSES_KEPT)

    def read(self, file: File, offset: int, length: int, take: Take | None = None) -> bytes:
        """Bytes of exactly this version. NotFound when it is gone, Busy while it is not ready."""
        window = window_of(file, offset, length)
        if window is None:
            return b""
        revision = Revision.parse(file.revision)
        if revision is None:
            raise NotFound(f"revision {file.revision} of {file.name} is gone")
        with self._lock:
            address = self._addresses.get(file.revision)
        is_old = address is not None
        for _ in range(ADDRESSES_TRIED):
            if address is None:
                asked = self._ask(revision, file, window, take)
                if asked.status not in REDIRECTS:
                    return _body(asked, file, window)
                address, is_old = self._named(asked, revision, file), False
            body = self._served(address, file, window, take, is_old=is_old)
            if body is not None:
                return body
            address = None
        raise ServerFault(f"{file.name}: each address that the service names for its bytes is refused")

    def _served(
        self, address: str, file: File, window: Window, take: Take | None, *, is_old: bool
    ) -> bytes | None:
        """The bytes, by *address*; None: another one is to be asked for at once. One that leads to a host
        that does not serve is not asked again before the service names it anew: it may name another then."""
        started_s = self._clock.now_s()
        try:
            response = self._fetch(address, window, take)
            if not _is_spent(response) and not (is_old and response.is_fault):
                return _body(response, file, window)
        except (Offline, ServerFault) as error:
            self._forget(file, address)
            # A network that swallows everything would swallow the next question as well.
            is_silence = isinstance(error, TimedOut) or is_slow(started_s, self._clock.now_s())
            if is_old and isinstance(error, Unreachable) and not is_silence:
                return None
            raise
        self._forget(file, address)
        return None

    def _forget(self, file: File, address: str) -> None:
        with self._lock:
            if self._addresses.get(file.revision) == address:
                del self._addresses[file.revision]

    def _ask(self, revision: Revision, file: File, window: Window, take: Take | None) -> Response:
        """The redirect to a fresh address; the bytes where the service sends them itself."""
        response = self._api.exchange(
            ASK, self._url(revision), headers=_range(window), window=window, take=take
        )
        if response.status == 202:
            raise Busy(f"{file.name} is not ready to be read", response.retry_after_s or NOT_READY_S)
        return response

    def _named(self, redirect: Response, revision: Revision, file: File) -> str:
        """The address that *redirect* leads to; it is good for further ranges as well."""
        location = redirect.headers.get("location", "")
        address = self._api.unsigned_hosts.follow(self._url(revision), location, ASK)
        with self._lock:
            self._addresses[file.revision] = address
        return address

    def _url(self, revision: Revision) -> str:
        return self._api.api_url(f"files/{quoted(revision.file_id)}/content", version=revision.version_id)

    def _fetch(self, address: str, window: Window, take: Take | None) -> Response:
        """From the host behind the redirect, which must not see our token. The address is its own right."""
        for _ in range(_MOST_REDIRECTS):
            request = Request(
                "GET",
                address,
                FETCH,
                _range(window),
                is_read=True,
                is_signed=False,
                window=window,
                take=take,
            )
            response = self._api.http.exchange(request)
            location = response.headers.get("location")
            if response.status not in REDIRECTS or location is None:
                return response
            address = self._api.unsigned_hosts.follow(address, location, FETCH)
        raise ServerFault("a download is sent from one address to the next for ever")


def _range(window: Window) -> dict[str, str]:
    last = window.offset + window.length - 1
    return {"Range": f"bytes={window.offset}-{last}", "Accept-Encoding": "identity"}


def _is_spent(response: Response) -> bool:
    """Whether an address is refused, as one that has expired is: whatever a host says with that, what is gone
    or not to be read the API says itself. Too many requests (429) and a range (416) are of another kind."""
    return 400 <= response.status < 500 and response.status not in (416, 429) and not response.is_fault


def _body(response: Response, file: File, window: Window) -> bytes:
    if response.status not in (200, 206, 416):
        raise from_response(response, str(file.name))
    return body_of(response, file, window)
