"""The edge to the network: what leaves, what comes back, and that only our own errors get out."""

from __future__ import annotations

import contextlib
import errno
import gzip
import inspect
import json
import random
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from mountfs.backends import connections
from mountfs.backends.http import HttpClient, HttpSettings, TimedOut
from mountfs.backends.proxies import is_loopback
from mountfs.backends.wire import MOST_JSON_VALUES, Request, Response, Window
from mountfs.clock import SystemClock
from mountfs.errors import (
    Corrupt,
    Forbidden,
    InvalidArgument,
    MountfsError,
    NotFound,
    NotSignedIn,
    Offline,
    ServerFault,
    Throttled,
    Unreachable,
)
from mountfs.ports import Take
from tests.fakes.clock import FakeClock
from tests.fakes.ending import ClockedEnding
from tests.unit.backends.scripted import Reply, Script, answer, hang_up, raw, stall
from tests.waiting import until

MIB = 1024 * 1024
SOON_S = 0.3
"""How long a request waits that is never answered; the others have all the time that a client gives."""


class CountedTokens:
    """Gives t1, and after each refusal the next one."""

    def __init__(self, last: int = 9) -> None:
        self.number = 1
        self._last = last

    def current(self) -> str:
        return f"t{self.number}"

    def refused(self, token: str) -> str:
        if self.number == self._last:
            raise NotSignedIn("no further token")
        self.number += 1
        return f"t{self.number}"


@pytest.fixture
def client() -> Iterator[HttpClient]:
    client = HttpClient(SystemClock())
    yield client
    client.close()


def get(
    url: str,
    *,
    is_read: bool = True,
    window: Window | None = None,
    body: bytes = b"",
    waits_s: float | None = None,
) -> Request:
    return Request("POST", f"{url}/x", "x", body=body, is_read=is_read, window=window, read_timeout_s=waits_s)


def test_a_reply_of_any_status_comes_back_whole(client: HttpClient) -> None:
    with Script(answer(409, b"no", X_Thing="1", Retry_After="7")) as server:
        response = client.exchange(get(server.url, body=b"abc"))
    assert (response.status, response.body, response.headers["x-thing"]) == (409, b"no", "1")
    assert response.retry_after_s == 7.0
    assert server.seen[0].body == b"abc"


def test_a_large_body_arrives_whole_and_says_how_long_it_is(client: HttpClient) -> None:
    body = bytes(range(256)) * 4000
    with Script(answer(200)) as server:
        client.exchange(get(server.url, body=body))
    assert server.seen[0].body == body
    assert server.seen[0].headers["content-length"] == str(len(body))


class Streamed:
    """A body in pieces of three bytes, which says how often it was sent."""

    def __init__(self, body: bytes, error: MountfsError | None = None) -> None:
        self.body = body
        self.error = error
        self.sent = 0

    def __len__(self) -> int:
        return len(self.body)

    def __iter__(self) -> Iterator[bytes]:
        self.sent += 1
        for at in range(0, len(self.body), 3):
            yield self.body[at : at + 3]
            if self.error is not None:
                raise self.error


def test_a_body_in_pieces_leaves_as_one(client: HttpClient) -> None:
    with Script(answer(200)) as server:
        client.exchange(Request("POST", f"{server.url}/x", "x", body=Streamed(b"in pieces")))
    assert server.seen[0].body == b"in pieces"
    assert server.seen[0].headers["content-length"] == "9"
    assert "transfer-encoding" not in server.seen[0].headers


def test_a_body_in_pieces_is_sent_anew_with_another_token() -> None:
    signed = HttpClient(SystemClock(), CountedTokens())
    body = Streamed(b"in pieces")
    with Script(answer(401), answer(200, b"in")) as server:
        assert signed.exchange(Request("POST", f"{server.url}/x", "x", body=body)).body == b"in"
        assert [seen.body for seen in server.seen] == [b"in pieces"] * 2
    assert body.sent == 2
    signed.close()


@pytest.mark.parametrize("error", [Corrupt("short"), Forbidden("no"), NotFound("gone")])
def test_a_body_that_breaks_off_says_why(client: HttpClient, error: MountfsError) -> None:
    with Script(answer(200)) as server:
        with pytest.raises(type(error)) as raised:
            client.exchange(Request("POST", f"{server.url}/x", "x", body=Streamed(b"in pieces", error)))
        assert raised.value is error
        # The connection is of no more use, the client is.
        assert client.exchange(get(server.url, body=b"next")).status == 200


def test_connections_are_kept(client: HttpClient) -> None:
    with Script(answer(200, b"body")) as server:
        for _ in range(3):
            client.exchange(get(server.url))
        assert server.connections == 1


def test_a_dead_connection_costs_a_read_nothing(client: HttpClient) -> None:
    with Script(answer(200), hang_up, answer(200, b"again")) as server:
        client.exchange(get(server.url))
        assert client.exchange(get(server.url)).body == b"again"
    assert client.calls() == {"x": 3}


def test_what_may_have_taken_effect_is_not_sent_twice(client: HttpClient) -> None:
    with Script(answer(200), hang_up, answer(200)) as server:
        client.exchange(get(server.url, is_read=False))
        with pytest.raises(Offline):
            client.exchange(get(server.url, is_read=False))
    assert len(server.seen) == 2


def test_a_second_broken_connection_is_offline(client: HttpClient) -> None:
    with Script(hang_up) as server, pytest.raises(Offline):
        client.exchange(get(server.url))
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 abc Oops\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    ],
)
def test_a_broken_reply_is_offline(client: HttpClient, wire: bytes) -> None:
    with Script(raw(wire)) as server, pytest.raises(Offline) as caught:
        client.exchange(get(server.url))
    assert "\n" not in str(caught.value)


def test_silence_before_or_within_a_reply_ends(client: HttpClient) -> None:
    for before in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"):
        release = threading.Event()
        with Script(stall(release, before)) as server:
            with pytest.raises(TimedOut):
                client.exchange(get(server.url, waits_s=SOON_S))
            release.set()


def test_a_reply_that_trickles_in_is_given_up() -> None:
    clock = FakeClock()
    release = threading.Event()
    client = HttpClient(clock, settings=HttpSettings(read_timeout_s=10.0))

    def trickle(handler) -> None:  # type: ignore[no-untyped-def]
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not release.is_set():
            clock.advance(9.0)
            handler.wfile.write(b".")
            handler.wfile.flush()
            release.wait(0.01)

    with Script(trickle) as server:
        with pytest.raises(TimedOut):
            client.exchange(get(server.url))
        release.set()
    client.close()


def test_a_header_that_trickles_in_is_given_up() -> None:
    """Each byte comes in time, and there is no end of them."""
    clock = FakeClock()
    release = threading.Event()
    client = HttpClient(clock, settings=HttpSettings(read_timeout_s=10.0))

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        with contextlib.suppress(OSError):
            while not release.is_set():
                clock.advance(1.0)
                handler.wfile.write(b"x")
                release.wait(0.001)

    with Script(trickle) as server:
        with pytest.raises(TimedOut):
            client.exchange(get(server.url))
        release.set()
    client.close()


def test_bytes_that_nobody_asked_for_do_not_make_a_read_take_longer() -> None:
    """A service that takes no ranges sends the whole file: what lies before the wanted bytes goes by."""
    clock = FakeClock()
    client = HttpClient(clock, settings=HttpSettings(read_timeout_s=60.0))
    sent: list[float] = []

    def whole(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        with contextlib.suppress(OSError):
            while len(sent) < 1000:
                sent.append(clock.advance(1.0))
                handler.wfile.write(bytes(100_000))
        handler.close_connection = True

    with Script(whole) as server, pytest.raises(TimedOut):
        client.exchange(get(server.url, window=Window(99_000_000, 5)))
    client.close()


def test_nobody_listening_is_unreachable_in_the_systems_words(client: HttpClient) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(Unreachable, match="Connection refused"):
            client.exchange(get(f"http://127.0.0.1:{port}"))
    assert client.calls() == {"x": 1}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        OSError(errno.EHOSTUNREACH, "No route to host"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        TimeoutError("timed out"),
    ],
    ids=["no name", "no route", "no network", "no answer"],
)
def test_where_no_connection_is_made_nothing_was_sent(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch, scheme: str, error: OSError
) -> None:
    def refuse(*args: object, **kwargs: object) -> socket.socket:
        raise error

    monkeypatch.setattr("urllib3.util.connection.create_connection", refuse)
    with pytest.raises(Unreachable) as caught:
        client.exchange(get(f"{scheme}://api.example.com", is_read=False))
    # A wait for news that ends while connecting is one that ran out of time.
    assert isinstance(caught.value, TimedOut) is isinstance(error, TimeoutError)


def test_a_proxy_that_nobody_is_at_leaves_nothing_sent(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{unused.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        for url in ("http://dropbox.invalid", "https://dropbox.invalid"):
            with pytest.raises(Unreachable):
                client.exchange(get(url))


def test_what_comes_after_the_connection_leaves_open_what_was_done(client: HttpClient) -> None:
    release = threading.Event()
    for reply in (hang_up, stall(release), raw(b"nonsense")):
        with Script(reply) as server:
            with pytest.raises(Offline) as caught:
                client.exchange(get(server.url, is_read=False, waits_s=SOON_S))
            assert not isinstance(caught.value, Unreachable)
            release.set()


def test_an_earlier_failure_to_connect_says_nothing_of_a_later_request(client: HttpClient) -> None:
    """The second request is made while the first one's error is being handled, which Python notes in it."""
    with Script(hang_up) as server, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        try:
            client.exchange(get(f"http://127.0.0.1:{unused.getsockname()[1]}"))
        except Unreachable:
            with pytest.raises(Offline) as caught:
                client.exchange(get(server.url, is_read=False))
    assert not isinstance(caught.value, Unreachable)


def test_tls_with_a_server_that_speaks_none_is_offline(client: HttpClient) -> None:
    with Script(answer(200)) as server, pytest.raises(Offline):
        client.exchange(get(server.url.replace("http:", "https:")))


@pytest.mark.parametrize(
    "url", ["nonsense", "ftp://127.0.0.1", "http://", "http://[::1", "http://127.0.0.1:99999"]
)
def test_a_url_that_is_none_is_refused(client: HttpClient, url: str) -> None:
    with pytest.raises(MountfsError):
        client.exchange(get(url))


@pytest.mark.parametrize("value", ["line\nbreak", "wörld \u20ac"])
def test_a_header_that_cannot_be_sent_is_refused(client: HttpClient, value: str) -> None:
    with Script(answer(200)) as server, pytest.raises(InvalidArgument):
        client.exchange(Request("POST", server.url, "x", {"X-Thing": value}))


def foreign_errors() -> list[BaseException]:
    """One of every error that requests, urllib3 and their JSON can raise."""
    found: list[BaseException] = [OSError("x"), ValueError("x"), UnicodeError("x"), TimeoutError("x")]
    for module, root in ((requests.exceptions, Exception), (urllib3.exceptions, Exception)):
        for _, kind in sorted(inspect.getmembers(module, inspect.isclass)):
            if issubclass(kind, root) and not issubclass(kind, Warning):
                error = kind.__new__(kind)
                error.args = ("x",)
                found.append(error)
    return found


@pytest.mark.parametrize("error", foreign_errors(), ids=lambda error: type(error).__qualname__)
def test_no_foreign_error_gets_out(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def broken(*args: object, **kwargs: object) -> requests.Response:
        raise error

    monkeypatch.setattr(HTTPAdapter, "send", broken)
    with pytest.raises(MountfsError):
        client.exchange(get("http://127.0.0.1:1"))


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_reply_that_is_not_json_is_a_fault(body: bytes) -> None:
    with pytest.raises(ServerFault):
        Response(200, {}, body).json()


def test_a_refused_token_is_replaced_once(client: HttpClient) -> None:
    tokens = CountedTokens()
    signed = HttpClient(SystemClock(), tokens)
    with Script(answer(401), answer(200, b"in"), answer(401)) as server:
        assert signed.exchange(get(server.url)).body == b"in"
        assert [seen.headers["authorization"] for seen in server.seen] == ["Bearer t1", "Bearer t2"]
        assert signed.exchange(get(server.url)).status == 401
        assert len(server.seen) == 4
    (counts,) = signed.outcomes().values()
    assert counts == {"2xx": 1, "stale-token": 3}
    signed.close()


def test_no_further_token_is_not_signed_in() -> None:
    signed = HttpClient(SystemClock(), CountedTokens(last=1))
    with Script(answer(401)) as server, pytest.raises(NotSignedIn):
        signed.exchange(get(server.url))
    signed.close()


def test_an_unsigned_request_has_no_token() -> None:
    signed = HttpClient(SystemClock(), CountedTokens())
    with Script(answer(200)) as server:
        signed.exchange(Request("POST", server.url, "x", is_signed=False))
    assert "authorization" not in server.seen[0].headers
    signed.close()


def test_nothing_leaves_while_the_service_wants_no_calls() -> None:
    clock = FakeClock()
    client = HttpClient(clock)
    with Script(answer(200)) as server:
        client.hold_back(60.0)
        with pytest.raises(Throttled) as caught:
            client.exchange(get(server.url))
        assert caught.value.retry_after_s == 60.0
        assert server.seen == []
        assert client.calls() == {}
        clock.advance(60.0)
        assert client.exchange(get(server.url)).status == 200
    client.close()


def test_a_short_wait_is_waited_inside() -> None:
    clock = FakeClock()
    client = HttpClient(clock, ending=ClockedEnding(clock))
    with Script(answer(200)) as server:
        client.hold_back(0.2)
        opens_s = clock.now_s() + 0.2
        client.exchange(get(server.url))
        assert clock.now_s() == opens_s
    client.close()


def test_who_waits_goes_on_waiting_when_the_service_asks_for_more() -> None:
    clock = FakeClock()

    class AsksForMore(ClockedEnding):
        """The service does, while the first wait lasts."""

        more_s = 0.6

        def wait(self, timeout: float) -> bool:
            more_s, self.more_s = self.more_s, 0.0
            if more_s:
                waiting.hold_back(more_s)
            return super().wait(timeout)

    waiting = HttpClient(clock, ending=AsksForMore(clock))
    with Script(answer(200)) as server:
        waiting.hold_back(0.3)
        opens_s = clock.now_s() + AsksForMore.more_s
        waiting.exchange(get(server.url))
        assert clock.now_s() == pytest.approx(opens_s)
    waiting.close()


def test_closing_frees_who_waits_for_a_reply() -> None:
    client = HttpClient(SystemClock(), settings=HttpSettings(read_timeout_s=60.0))
    ended: list[MountfsError] = []
    release = threading.Event()

    def wait(server: Script) -> None:
        try:
            client.exchange(get(server.url))
        except MountfsError as error:
            ended.append(error)

    with Script(stall(release, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")) as server:
        thread = threading.Thread(target=wait, args=(server,))
        thread.start()
        until(lambda: server.seen, "the request is there")
        client.close()
        thread.join(10.0)
        assert not thread.is_alive()
        release.set()
        with pytest.raises(Offline):
            client.exchange(get(server.url))
    assert isinstance(ended[0], Offline)


def test_a_window_of_a_whole_body_is_cut_out(client: HttpClient) -> None:
    body = bytes(range(256)) * 4096
    part = answer(206, b"range", Content_Range="bytes 3-7/10")
    with Script(answer(200, body), part, answer(200, body)) as server:
        assert client.exchange(get(server.url, window=Window(300_001, 5))).body == body[300_001:300_006]
        assert client.exchange(get(server.url, window=Window(3, 5))).body == b"range"
        assert client.exchange(get(server.url, window=Window(len(body) - 2, 5))).body == body[-2:]


def keeping(pieces: list[bytes]) -> Take:
    return lambda piece: pieces.append(bytes(piece))


def test_who_takes_the_bytes_gets_those_of_the_window_as_they_come_and_no_others(client: HttpClient) -> None:
    body = random.Random(1).randbytes(3 * MIB + 5)
    part = answer(206, body, Content_Range=f"bytes 0-{len(body) - 1}/{len(body)}")
    with Script(part, answer(200, body), answer(404, body[:9]), part) as server:
        for window, wanted in (
            (Window(0, len(body)), body),
            (Window(MIB + 1, MIB), body[MIB + 1 : 2 * MIB + 1]),
            (Window(0, len(body)), b""),
        ):
            pieces: list[bytes] = []
            response = client.exchange(replace(get(server.url, window=window), take=keeping(pieces)))
            assert b"".join(pieces) == wanted
            assert (response.body, response.taken_bytes) == (body[:9] if not wanted else b"", len(wanted))
            assert len(pieces) <= 200
        with pytest.raises(ServerFault, match="more than 10 bytes"):
            client.exchange(replace(get(server.url, window=Window(0, 10)), take=lambda _: None))


@pytest.mark.parametrize("stated", ["bytes 0-3/10", "bytes */10", "bytes 20-23/30", ""])
def test_a_part_that_was_not_asked_for_is_given_to_nobody(client: HttpClient, stated: str) -> None:
    pieces: list[bytes] = []
    headers = {"Content_Range": stated} if stated else {}
    with Script(answer(206, b"0123", **headers)) as server:
        asked = replace(get(server.url, window=Window(2, 4)), take=keeping(pieces))
        with pytest.raises(ServerFault, match="asked for bytes from 2 on"):
            client.exchange(asked)
    assert pieces == []


def test_redirects_and_cookies_are_not_followed(client: HttpClient) -> None:
    reply = answer(302, b"", Location="http://127.0.0.1:1/", Set_Cookie="a=b; Path=/")
    with Script(reply) as server:
        assert client.exchange(get(server.url)).status == 302
        client.exchange(get(server.url))
    assert "cookie" not in server.seen[1].headers


def test_a_proxy_is_for_the_world_and_not_for_this_machine(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Script(answer(200, b"proxy")) as proxy, Script(answer(200, b"direct")) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        assert client.exchange(get(server.url)).body == b"direct"
        assert client.exchange(get("http://dropbox.invalid")).body == b"proxy"
    assert proxy.seen[0].path == "http://dropbox.invalid/x"


def test_the_environment_is_read_once_for_each_host(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    settings_of = requests.Session.merge_environment_settings

    def counted(session: requests.Session, url: Any, *args: Any, **named: Any) -> Any:
        asked.append(url)
        return settings_of(session, url, *args, **named)

    monkeypatch.setattr(requests.Session, "merge_environment_settings", counted)
    with Script(*[answer(200)] * 6) as one, Script(*[answer(200)] * 6) as other:
        for server in (one, other):
            for number in range(6):
                assert client.exchange(get(f"{server.url}/{number}")).status == 200
        assert asked == [f"{one.url}/0/x", f"{other.url}/0/x"]


def test_a_host_is_reached_again_after_many_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HOSTS_KEPT", 2)
    client = HttpClient(SystemClock())
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Script(*[answer(200)] * 3)) for _ in range(5)]
        for server in servers * 3:
            assert client.exchange(get(server.url)).status == 200
    client.close()


def test_a_password_in_netrc_does_not_replace_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    signed = HttpClient(SystemClock(), CountedTokens())
    with Script(answer(200)) as server:
        signed.exchange(get(server.url))
    assert server.seen[0].headers["authorization"] == "Bearer t1"
    signed.close()


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("", False),
     ("api.dropboxapi.com", False), ("10.0.0.1", False), ("localhost.example.com", False)],
)  # fmt: skip
def test_this_machine_is_told_by_name_and_address(host: str, is_ours: bool) -> None:
    assert is_loopback(host) is is_ours


def permitted(url: str, *waits_s: float) -> tuple[Request, list[float]]:
    """A read that may leave after each of *waits_s* in turn; and those that are left."""
    left_s = list(waits_s)
    return Request("POST", f"{url}/x", "x", is_read=True, permit=lambda: left_s.pop(0)), left_s


def test_a_request_asks_for_leave_each_time_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    client = HttpClient(SystemClock(), CountedTokens())
    paused_s: list[float] = []
    monkeypatch.setattr(client, "pause", paused_s.append)
    with Script(answer(200), hang_up, answer(401), answer(200, b"in")) as server:
        client.exchange(get(server.url))
        request, left_s = permitted(server.url, 0.0, 1.0, 2.0)
        assert client.exchange(request).body == b"in"
    assert left_s == []
    assert [wait_s for wait_s in paused_s if wait_s] == [1.0, 2.0]
    client.close()


def test_what_the_service_holds_back_uses_up_no_leave() -> None:
    client = HttpClient(FakeClock())
    client.hold_back(60.0)
    request, left_s = permitted("http://127.0.0.1:1", 0.0)
    with pytest.raises(Throttled):
        client.exchange(request)
    assert left_s == [0.0]
    client.close()


def peak_bytes(call: Callable[[], object]) -> int:
    """The most memory that *call* took at once."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def flood(handler: BaseHTTPRequestHandler) -> None:
    """A body that has no end, without a word on its length."""
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(bytes(MIB))


def endless(status: int, **headers: str) -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        flood(handler)
        handler.close_connection = True

    return reply


@pytest.mark.parametrize("status", [200, 206, 302, 403, 503])
def test_a_reply_takes_no_more_memory_than_what_was_asked_for(client: HttpClient, status: int) -> None:
    with Script(endless(status, Content_Range="bytes 0-9/10")) as server:
        asked = replace(get(server.url, window=Window(0, 10)), most_bytes=1000)

        def call() -> None:
            if status == 200:
                assert client.exchange(asked).body == bytes(10)
            else:
                with pytest.raises(ServerFault, match="x: a reply of more than"):
                    client.exchange(asked)

        assert peak_bytes(call) < 4 * MIB


def test_a_part_of_a_file_is_never_longer_than_was_asked_for(client: HttpClient) -> None:
    with Script(answer(206, b"0123456789", Content_Range="bytes 0-9/10")) as server:
        assert client.exchange(get(server.url, window=Window(0, 10))).body == b"0123456789"
        with pytest.raises(ServerFault):
            client.exchange(get(server.url, window=Window(0, 9)))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip", "br", "zstd"])
def test_a_body_is_bounded_as_it_is_once_it_is_decoded(client: HttpClient, encoding: str) -> None:
    pack = zlib.compress if encoding == "deflate" else gzip.compress
    bomb = pack(bytes(40 * MIB), 1)
    if encoding == "gzip, gzip":
        bomb = gzip.compress(bomb)
    with Script(answer(200, bomb, Content_Encoding=encoding)) as server:
        asked = replace(get(server.url), most_bytes=2 * MIB)

        def call() -> None:
            # What cannot be decoded is short, and no JSON.
            with pytest.raises(MountfsError):
                client.exchange(asked).json()

        assert peak_bytes(call) < 12 * MIB
    assert server.seen[0].headers["accept-encoding"] == "gzip"


def test_an_encoded_body_arrives_whole(client: HttpClient) -> None:
    body = json.dumps([{"n": number} for number in range(100_000)]).encode()
    with Script(answer(200, gzip.compress(body), Content_Encoding="gzip")) as server:
        assert client.exchange(get(server.url)).body == body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 10_000,
        b"9" * 5000,
        b"\xff\xfe",
        b"[" + b"[]," * MOST_JSON_VALUES + b"[]]",
    ],
)
def test_what_is_no_json_of_a_sensible_size_is_a_fault(body: bytes) -> None:
    def parse() -> None:
        with pytest.raises(ServerFault):
            Response(200, {}, body).json()

    assert peak_bytes(parse) < 16 * MIB
