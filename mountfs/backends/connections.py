"""requests' transport and the connections it keeps, without what its ``Session`` does anew for each request.

A ``Session`` reads the environment's proxies, takes each address apart and puts it together again, merges
settings, looks for passwords in ~/.netrc and keeps cookies: a third of the processor time of a small call.
Here proxies and certificates are found once for each host, and there are neither passwords nor cookies.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from queue import Empty, Full
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager

from mountfs.backends.proxies import is_loopback
from mountfs.backends.sockets import Sockets, pool_classes
from mountfs.backends.wire import Pieces

HOSTS_KEPT = 32
"""So many have connections that wait for the next request."""


class Connections:
    """Any thread. Raises what requests and urllib3 raise."""

    def __init__(self, sockets: Sockets, pool_size: int, headers: Mapping[str, str]) -> None:
        """*headers*: of each request that has none of that name."""
        self._adapter = _Adapter(sockets, pool_size)
        # What urllib3 can decode piece by piece: of others a few bytes might become any number in memory.
        self._headers = {"Accept": "*/*", "Accept-Encoding": "gzip", "Connection": "keep-alive", **headers}
        self._ways: dict[str, Mapping[str, Any]] = {}

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Pieces | None,
        timeout_s: tuple[float, float],
    ) -> requests.Response:
        """The reply, its body still to be read; to be closed. *timeout_s*: of connecting, and of reading."""
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url = method, _prepared(url)
        prepared.prepare_headers({**self._headers, **headers})
        if body is None:
            prepared.prepare_content_length(None)
        else:
            prepared.headers["Content-Length"] = str(len(body))
            prepared.body = cast("Any", body)
        return self._adapter.send(prepared, timeout=timeout_s, **self._way_to(prepared.url))

    def close(self) -> None:
        """Closes those that wait for the next request."""
        self._adapter.close()

    def drop_idle(self) -> None:
        """Closes those that wait for the next request, each of which gets a new one then."""
        self._adapter.drop_idle()

    def _way_to(self, url: str) -> Mapping[str, Any]:
        """By which proxies, and trusting which certificates: as the environment says, once for all."""
        origin = _origin(url)
        found = self._ways.get(origin)
        if found is None:
            host = urlsplit(url).hostname or ""
            # No proxy can reach this very machine.
            proxies = {"no_proxy": host} if is_loopback(host) else {}
            with requests.Session() as session:
                found = session.merge_environment_settings(url, proxies, stream=True, verify=None, cert=None)
            if len(self._ways) >= HOSTS_KEPT:
                self._ways.clear()
            self._ways[origin] = found
        return found


@lru_cache(maxsize=256)
def _prepared(url: str) -> str:
    """*url* as it is sent. InvalidURL and its like. Most calls are for the same few addresses."""
    prepared = requests.PreparedRequest()
    prepared.prepare_url(url, None)
    return str(prepared.url)


def _origin(url: str) -> str:
    """Scheme, host and port, as they are written."""
    return url[: url.find("/", len("https://"))]


class _Adapter(HTTPAdapter):
    """requests' transport, with its sockets known to *sockets* and no retries of its own."""

    def __init__(self, sockets: Sockets, pool_size: int) -> None:
        self._classes = pool_classes(sockets)
        self._pools: dict[str, Any] = {}
        super().__init__(pool_connections=HOSTS_KEPT, pool_maxsize=pool_size, max_retries=0, pool_block=False)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._classes

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        manager: PoolManager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._classes
        return manager

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """The host's pool, which the managers keep as well: finding it there costs more than a look."""
        origin = _origin(str(request.url))
        pool = self._pools.get(origin)
        if pool is None or pool.pool is None:  # closed: too many others came after it
            pool = super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
            cast("Any", super()).cert_verify(pool, str(request.url), verify, cert)
            if len(self._pools) >= HOSTS_KEPT:
                self._pools.clear()
            self._pools[origin] = pool
        return pool

    def drop_idle(self) -> None:
        """Not by closing the pools: who has just found one in them would fail."""
        for pool in list(self._pools.values()):
            idle: list[Any] = []
            with suppress(Empty, AttributeError):  # closed
                while True:
                    idle.append(pool.pool.get(block=False))
            for connection in idle:
                if connection is not None:
                    connection.close()
                with suppress(Full, AttributeError):
                    pool.pool.put(connection, block=False)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Done, once for each pool: it looks for the file of certificates."""

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:  # noqa: ARG002
        """Nothing but what is used here: no cookies, and a text's encoding is the caller's affair."""
        response = requests.Response()
        response.status_code = resp.status
        response.raw = resp
        return response
