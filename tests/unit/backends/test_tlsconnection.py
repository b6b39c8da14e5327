"""A connection under TLS as http.client and urllib3 use it."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudsandbox.tls import Authority
from mountfs.backends import tls
from mountfs.backends.sockets import Sockets, pool_classes
from mountfs.backends.tls import Context, TlsConnection
from tests.waiting import until

BODY = bytes(index % 251 for index in range(300_000))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)


class Counted(socket.socket):
    """Counts what the kernel is asked for."""

    receives = 0
    waits = False

    def gettimeout(self) -> float | None:
        self.waits = True
        return super().gettimeout()

    def recv_into(self, *args: Any, **named: Any) -> int:
        self.receives += 1
        return super().recv_into(*args, **named)


class Pair:
    """Both ends: ``ours`` after the handshake, ``far`` an ssl.SSLSocket of the other side."""

    def __init__(self, folder: Path, name: str = "localhost") -> None:
        authority = Authority()
        authority.write(folder / "ca.pem")
        serving = authority.server_context("localhost")
        near, far = socket.socketpair()
        self.near = Counted(fileno=near.detach())
        self.near.settimeout(10.0)
        far.settimeout(10.0)
        accepted: list[ssl.SSLSocket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                accepted.append(serving.wrap_socket(far, server_side=True))

        thread = threading.Thread(target=accept)
        thread.start()
        trusting = Context(ssl.create_default_context(cafile=str(folder / "ca.pem")))
        try:
            self.ours = trusting.wrap_socket(self.near, server_hostname=name)
        except BaseException:
            self.near.close()
            raise
        finally:
            thread.join()
        self.far = accepted[0]

    def close(self) -> None:
        self.ours.close()
        self.far.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(tmp_path)
    yield pair
    pair.close()


def reply_by(connection: TlsConnection) -> Any:
    pool: Any = pool_classes(Sockets())["https"]
    reply = pool.ConnectionCls.response_class(connection)
    reply.begin()
    return reply


def sent(pair: Pair, do: Callable[[], object]) -> None:
    """Lets the far side do what may have to wait until we read."""
    thread = threading.Thread(target=do)
    thread.start()
    thread.join()


def test_all_records_that_have_come_cost_one_call(pair: Pair) -> None:
    for sock in (pair.near, pair.far):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
    sent(pair, lambda: pair.far.sendall(HEAD + BODY))
    reply = reply_by(pair.ours)
    before = pair.near.receives
    assert b"".join(iter(lambda: reply.read1(256 * 1024), b"")) == BODY
    assert pair.near.receives - before <= 2
    assert len(BODY) > 16 * 16 * 1024


def test_a_piece_of_a_body_is_all_that_has_come_and_openssl_copies_little_of_it_at_a_time(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "_ROOMS", [])
    monkeypatch.setattr(tls, "_RECEIVE_BYTES", 40_000)
    monkeypatch.setattr(tls, "_FEED_BYTES", 20_000)
    for sock in (pair.near, pair.far):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
    sent(pair, lambda: pair.far.sendall(HEAD + BODY))
    reply = reply_by(pair.ours)
    assert reply.read1(200_000) == BODY[:200_000]
    assert pair.ours._incoming.pending <= 20_000
    assert reply.read1(200_000) == BODY[200_000:400_000]
    assert len(tls._ROOMS) <= 1


def test_what_came_before_a_connection_broke_is_not_lost(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each connection is cut after a while, the next one goes on from there."""
    monkeypatch.setattr(tls, "_ROOMS", [])
    monkeypatch.setattr(tls, "_RECEIVE_BYTES", 40_000)
    for sock in (pair.near, pair.far):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
    sent(pair, lambda: pair.far.sendall(HEAD + BODY[:200_000]))
    sent(pair, pair.far.close)
    reply = reply_by(pair.ours)
    receive = pair.near.recv_into

    def reset(*args: Any) -> int:
        """As the kernel tells of it: once, and then as if it were the end."""
        if not (length := receive(*args)) and not errors:
            errors.append(ConnectionResetError())
            raise errors[0]
        return length

    errors: list[OSError] = []
    monkeypatch.setattr(pair.near, "recv_into", reset)
    assert reply.read1(250_000) == BODY[:200_000]
    assert errors
    assert not reply.read1(250_000)


def test_who_waits_for_a_reply_holds_no_memory(pair: Pair, tmp_path: Path) -> None:
    """A room is a MiB, and dozens of threads wait for replies at a time."""
    (tmp_path / "other").mkdir()
    other = Pair(tmp_path / "other")
    rooms, other.near.waits = len(tls._ROOMS), False
    waiting = threading.Thread(target=lambda: other.ours.recv_into(bytearray(4)))
    waiting.start()
    until(lambda: other.near.waits, "it waits")
    sent(pair, lambda: pair.far.sendall(HEAD + BODY[:1000]))
    assert reply_by(pair.ours).read1(1000) == BODY[:1000]
    assert len(tls._ROOMS) == max(rooms, 1)
    other.far.sendall(b"here")
    waiting.join()
    other.close()


def test_a_reply_that_does_not_come_is_a_time_out(pair: Pair) -> None:
    pair.near.settimeout(0.01)
    with pytest.raises(TimeoutError):
        pair.ours.recv_into(bytearray(4))


def test_a_large_body_leaves_as_a_whole(pair: Pair) -> None:
    came = bytearray()

    def receive() -> None:
        while len(came) < 10 * len(BODY):
            came.extend(pair.far.recv(65536))

    thread = threading.Thread(target=receive)
    thread.start()
    pair.ours.sendall(BODY * 10)
    thread.join()
    assert came == BODY * 10


@pytest.mark.parametrize("ends_tls", [True, False])
def test_a_body_that_breaks_off_is_not_taken_for_a_whole_one(pair: Pair, ends_tls: bool) -> None:
    pair.far.sendall(HEAD + BODY[:1000])
    if ends_tls:
        with contextlib.suppress(OSError):
            pair.far.settimeout(0.0)
            pair.far.unwrap()
    pair.far.close()
    reply = reply_by(pair.ours)
    with pytest.raises(http.client.IncompleteRead):
        reply.read()


def test_what_comes_after_the_end_of_tls_is_not_waited_for(pair: Pair) -> None:
    pair.far.sendall(HEAD + BODY[:100_000])
    pair.far.settimeout(0.0)
    with contextlib.suppress(ssl.SSLWantReadError):
        pair.far.unwrap()
    raw = socket.socket(fileno=pair.far.detach())
    raw.send(b"\x17\x03\x03\x40\x00" + b"x" * 20_000)
    reply = reply_by(pair.ours)
    pieces = list(iter(lambda: reply.read1(256 * 1024), b""))
    assert b"".join(pieces) == BODY[:100_000]
    raw.close()


def test_a_far_side_that_says_nothing_is_not_waited_for_longer_than_agreed(pair: Pair) -> None:
    pair.ours.settimeout(0.01)
    with pytest.raises(TimeoutError):
        pair.ours.recv_into(bytearray(10))


def test_a_far_side_that_takes_nothing_is_not_waited_for_longer_than_agreed(pair: Pair) -> None:
    pair.ours.settimeout(0.01)
    with pytest.raises(TimeoutError):
        pair.ours.sendall(bytes(10_000_000))


def test_a_file_made_of_it_reads_on_after_it_was_closed(pair: Pair) -> None:
    pair.far.sendall(b"abc")
    file = pair.ours.makefile("rb")
    pair.ours.close()
    assert file.read(3) == b"abc"
    assert pair.near.fileno() != -1
    file.close()
    assert pair.near.fileno() == -1


def test_unread_bytes_are_told_though_the_kernel_has_none_left(pair: Pair) -> None:
    """A connection with any is not used for the next request."""
    assert not pair.ours.has_unread
    pair.far.sendall(b"a" * 40_000)
    room = bytearray(1)
    pair.ours.recv_into(room)
    assert pair.ours.has_unread


def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        Pair(tmp_path, name="example.org")


def test_who_shuts_it_down_frees_who_reads(pair: Pair) -> None:
    sockets = Sockets()
    sockets.add(pair.ours.under)
    lengths: list[int] = []
    thread = threading.Thread(target=lambda: lengths.append(pair.ours.recv_into(bytearray(1))))
    thread.start()
    until(thread.is_alive, "it reads")
    sockets.cut()
    thread.join(10.0)
    assert lengths == [0]
