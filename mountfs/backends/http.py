"""HTTP as the backends need it, and the one edge where foreign exceptions become ours."""

from __future__ import annotations

import http.client
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import requests
import urllib3

from mountfs.backends.bandwidth import Bandwidth
from mountfs.backends.connections import Connections
from mountfs.backends.proxies import proxy_failed, proxy_for, untold, way_to
from mountfs.backends.reasons import reason_of
from mountfs.backends.receiving import check_range, receive
from mountfs.backends.servicetime import ServiceTime
from mountfs.backends.silence import Leave, Silences
from mountfs.backends.sockets import Sockets, lend_pieces, wait_for_body
from mountfs.backends.standing import Judge, Standing, by_status, host_of
from mountfs.backends.throttle import retry_after_s
from mountfs.backends.wire import OF_FORM, Pieces, Request, Response
from mountfs.errors import InvalidArgument, MountfsError, NotPassedOn, Offline, ServerFault, Unreachable
from mountfs.model.entry import NS_PER_S
from mountfs.model.waits import Ending
from mountfs.ports import Clock


class Tokens(Protocol):
    """Where the bearer token of a request comes from; any thread."""

    def current(self) -> str:
        """The token to use. NotSignedIn, or Transient when it had to be fetched and that failed."""

    def refused(self, token: str) -> str:
        """A fresh token after the service refused *token*. NotSignedIn, Transient."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Time-outs, and how many requests run at once."""

    workers: int = 32
    connect_timeout_s: float = 15.0
    """Also how long the far side may take no byte of a request."""
    read_timeout_s: float = 60.0
    """How long the far side may be silent before and within a reply."""
    on_bytes: Callable[[int, int], None] = lambda _up, _down: None
    """Told of each piece of a body that leaves, and of each that came."""


class TimedOut(Offline):
    """The far side was silent for longer than the call allowed."""


class NotReachedInTime(TimedOut, Unreachable):
    """No connection was made within the time-out: the request was not sent."""


class HttpClient:
    """Sends requests of one account, from any thread, and raises only ``MountfsError``.

    A refused token is replaced once and the call repeated; *is_stale* tells such a reply. A read whose
    kept-alive connection turns out dead is repeated once. Nothing else is retried here. A reply that is not
    the service's, which *is_foreign* tells, is a fault.
    Credentials that are refused for good are remembered, and so is a service that wants to be left alone, or
    that is silent.
    """

    def __init__(
        self,
        clock: Clock,
        tokens: Tokens | None = None,
        settings: HttpSettings | None = None,
        is_stale: Callable[[Response], bool] = lambda response: response.status == 401,
        judge: Judge = by_status,
        ending: Ending | None = None,
        is_foreign: Callable[[Response], bool] = lambda response: response.is_foreign,
    ) -> None:
        self._clock = clock
        self._tokens = tokens
        self._settings = settings or HttpSettings()
        self._is_stale = is_stale
        self._is_foreign = is_foreign
        self._standing = Standing(clock, judge)
        self._silences = Silences(clock)
        self._sockets = Sockets(clock.now_s)
        self._closed = ending or threading.Event()
        headers = {"User-Agent": "mountfs"}
        self._pool = Connections(self._sockets, self._settings.workers, headers)
        # A long poll keeps its connection for minutes; it must not take one from the others.
        self._longpoll_pool = Connections(self._sockets, 2, headers)
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()
        self._outcomes: dict[str, Counter[str]] = {}
        self.bandwidth = Bandwidth()
        self.service_time = ServiceTime(clock)

    def exchange(self, request: Request) -> Response:
        """The reply, of any status. Throttled while held back, Offline, NotSignedIn, InvalidArgument.

        Unreachable: the request was not sent, for no connection could be made.
        """
        if self._tokens is None or not request.is_signed:
            return self._send(request, None)
        started_s, token = self._clock.now_s(), None
        try:
            token = self._tokens.current()
        except MountfsError as error:
            self._standing.unsigned(None, error, started_s)
            raise
        self._standing.sign_in.check(token)
        try:
            response = self._send(request, token)
            if self._is_stale(response):
                token = self._tokens.refused(token)
                response = self._send(request, token)
        except MountfsError as error:
            self._standing.unsigned(token, error, started_s)
            raise
        self._standing.signed(token, response, request.route, started_s)
        return response

    def trouble(self) -> MountfsError | None:
        """What is wrong with the service while something is; never asks it."""
        return self._standing.health.trouble()

    def note(self, what: str, error: MountfsError | None) -> None:
        """A caller's own finding about the service under the name *what*: *error*, or that it is over."""
        if error is None:
            self._standing.health.worked(what)
        else:
            self._standing.health.failed(what, error)

    def hold_back(self, seconds: float) -> None:
        """No call leaves for that long: one waits when it is short, and is Throttled when it is not."""
        self._standing.gate.shut(self._clock.now_s() + seconds)

    def pause(self, seconds: float) -> None:
        """Waits; Offline as soon as the client is closed."""
        if self._closed.wait(seconds) if seconds > 0.0 else self._closed.is_set():
            raise Offline("the connection is closed")

    def calls(self) -> dict[str, int]:
        """How many requests left, by route."""
        with self._lock:
            return dict(self._calls)

    def outcomes(self) -> dict[str, dict[str, int]]:
        """What came of them: by route, and then ``2xx``, ``4xx``, ``stale-token``, ``429``, ``5xx`` or
        ``offline``."""
        with self._lock:
            return {route: dict(counts) for route, counts in self._outcomes.items()}

    def _count(self, route: str, outcome: str) -> None:
        with self._lock:
            self._outcomes.setdefault(route, Counter())[outcome] += 1

    def close(self) -> None:
        """Ends all connections; calls under way are Offline soon, later ones at once."""
        self._closed.set()
        self._sockets.cut()
        self._pool.close()
        self._longpoll_pool.close()

    def _send(self, request: Request, token: str | None) -> Response:
        try:
            return self._send_once(request, token)
        except _StaleConnection:
            if not request.is_read:
                raise
        return self._send_once(request, token, is_repeated=True)

    def _send_once(self, request: Request, token: str | None, *, is_repeated: bool = False) -> Response:
        host = host_of(request)
        # A long poll is silent by its nature.
        leave = (
            Leave(host, request.route) if request.is_longpoll else self._silences.leave(host, request.route)
        )
        try:
            return self._sent(request, token, leave, is_repeated=is_repeated)
        finally:
            self._silences.over(leave)

    def _sent(
        self, request: Request, token: str | None, leave: Leave, *, is_repeated: bool = False
    ) -> Response:
        self._pass_gate(request.route)
        if request.permit is not None:
            self.pause(request.permit())
            self._pass_gate(request.route)
        with self._lock:
            self._calls[request.route] += 1
        started_s = self._clock.now_s()
        try:
            response = self._exchanged(request, token, leave, started_s)
        except Offline as error:
            self._count(request.route, "offline")
            self._standing.unanswered(request, error)
            self._note_silence(request, leave, error, started_s, is_repeated=is_repeated)
            raise
        self._count(request.route, self._outcome_of(response, token))
        self._refuse_foreign(request, response, started_s)
        self._standing.replied(request, response, started_s)
        return response

    def _outcome_of(self, response: Response, token: str | None) -> str:
        if response.status == 429:
            return "429"
        is_stale = token is not None and self._is_stale(response)
        return "stale-token" if is_stale else f"{response.status // 100}xx"

    def _refuse_foreign(self, request: Request, response: Response, started_s: float) -> None:
        """ServerFault for the reply of something between us and the service. A file's bytes may be any, and
        so may what their host says of an address that is spent."""
        is_answer = request.window is None or (request.is_signed and response.status >= 400)
        if not is_answer or not self._is_foreign(response):
            return
        kind = NotPassedOn if response.status in OF_FORM else ServerFault
        error = kind(
            f"{request.route}: another answer than the service's came from {way_to(request.url)} "
            f"(HTTP {response.status}): is there a network to sign in to, or a proxy that blocks? "
            f"{response.text.strip()[:80]!r}"
        )
        self._standing.overlong(request, response, error, started_s)
        raise error

    def _note_silence(
        self, request: Request, leave: Leave, error: Offline, started_s: float, *, is_repeated: bool
    ) -> None:
        if request.is_longpoll or self._closed.is_set():
            return
        is_timed_out = isinstance(error, TimedOut)
        # The next call may get through. A read has just had its next one.
        is_broken = isinstance(error, _StaleConnection) and not is_repeated
        if self._silences.unanswered(leave, error, started_s, is_timed_out=is_timed_out, is_broken=is_broken):
            # The way to the host may be gone, and with it all connections: each would cost a probe.
            self._pool.drop_idle()

    def _exchanged(self, request: Request, token: str | None, leave: Leave, started_s: float) -> Response:
        headers = dict(request.headers)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        pool = self._longpoll_pool if request.is_longpoll else self._pool
        read_timeout_s = request.read_timeout_s or self._settings.read_timeout_s
        header_timeout_s = min(read_timeout_s, leave.patience_s) if request.is_read else read_timeout_s
        with (
            _foreign_errors(request.url),
            pool.send(
                request.method,
                request.url,
                headers,
                Pieces(request.body, self._before_piece) if request.body else None,
                (min(self._settings.connect_timeout_s, header_timeout_s), header_timeout_s),
            ) as reply,
        ):
            self._silences.begun(leave, 0.0 if request.is_longpoll else self._clock.now_s() - started_s)
            if header_timeout_s < read_timeout_s:
                wait_for_body(reply.raw, read_timeout_s)
            replied = {name.lower(): value for name, value in reply.raw.headers.itermerged()}
            self.service_time.note(replied.get("date"))
            wait_s = retry_after_s(replied.get("retry-after"), self._clock.wall_ns() / NS_PER_S)
            head = Response(reply.status_code, replied, b"", wait_s)
            is_encoded = "content-encoding" in replied
            if not is_encoded:
                lend_pieces(reply.raw)
            try:
                whole_bytes = check_range(head, request)
                body, taken = receive(
                    reply.raw,
                    head.status,
                    request,
                    self._clock,
                    read_timeout_s,
                    partial(self._after_piece, leave.host),
                    is_encoded=is_encoded,
                    whole_bytes=whole_bytes,
                )
            except ServerFault as error:
                self._standing.overlong(request, head, error, started_s)
                raise
            return replace(head, body=body, taken_bytes=taken)

    def _before_piece(self, length: int) -> None:
        if wait_s := self.bandwidth.up.wait_s(length, self._clock.now_s()):
            self.pause(wait_s)
        self._settings.on_bytes(length, 0)

    def _after_piece(self, host: str, length: int) -> float:
        self._silences.answered(host)
        self._settings.on_bytes(0, length)
        wait_s = self.bandwidth.down.wait_s(length, self._clock.now_s())
        if wait_s:
            self.pause(wait_s)
        return wait_s

    def _pass_gate(self, route: str) -> None:
        """Waits until the gate opens, also when it is shut for longer meanwhile. Throttled."""
        gate, opens_s = self._standing.gate, -math.inf
        while opens_s != gate.opens_s(route):
            opens_s = gate.opens_s(route)
            self.pause(gate.wait_s(route, self._clock.now_s()))


class _StaleConnection(Offline):
    """The connection broke before a reply; likely the far side had closed it while it was idle."""


_NOT_SENT = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
    urllib3.exceptions.LocationValueError,
    UnicodeError,
)
"""What is wrong with the request itself; asking again gives the same answer."""


_BAD_PROXY = requests.exceptions.InvalidProxyURL, requests.exceptions.InvalidSchema
"""Of a proxy's address; the far side's own is looked at with the configuration."""


@contextmanager
def _foreign_errors(url: str) -> Iterator[None]:
    """What requests, urllib3 and the system raise, in our words."""
    try:
        yield
    except _NOT_SENT as error:
        host, proxy = way_to(url), proxy_for(url)
        if proxy is not None and isinstance(error, _BAD_PROXY):
            raise InvalidArgument(f"the proxy {proxy} cannot be used: {error}") from error
        if error.args and isinstance(error.args[0], urllib3.exceptions.InvalidHeader):
            raise Offline(f"{host} answers with a broken header") from error
        raise InvalidArgument(f"the request to {host} cannot be made: {type(error).__name__}") from error
    except requests.exceptions.ConnectTimeout as error:
        raise NotReachedInTime(f"{way_to(url)} does not answer in time") from error
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
        raise TimedOut(f"{way_to(url)} does not answer in time") from error
    except requests.exceptions.ProxyError as error:
        # It comes before the proxy has led on: nothing was sent (urllib3).
        raise Unreachable(proxy_failed(url, error)) from error
    except requests.exceptions.ConnectionError as error:
        if error.args and isinstance(error.args[0], urllib3.exceptions.ProtocolError):
            # requests wraps only what happens before the reply's header like this.
            raise _StaleConnection(f"{way_to(url)} broke the connection: {reason_of(error)}") from error
        kind = Unreachable if _is_unconnected(error) else Offline
        raise kind(untold(url, error)) from error
    except (
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        OSError,
        ValueError,
    ) as error:
        raise Offline(untold(url, error)) from error


def _is_unconnected(error: requests.exceptions.ConnectionError) -> bool:
    """Whether connecting itself failed: nothing was sent then."""
    # The causes that the error itself names, and no others: what was handled before it is no part of it.
    reason = getattr(error.args[0], "reason", None) if error.args else None
    unconnected = urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError
    return isinstance(reason, unconnected)
