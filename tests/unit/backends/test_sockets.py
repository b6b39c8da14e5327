"""Bodies of replies as they are taken from a connection."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from urllib3.util.ssltransport import SSLTransport

from mountfs.backends.sockets import Sockets, lend_pieces, pool_classes

BODY = bytes(index % 251 for index in range(150_000))
RECORD_BYTES = 16 * 1024


class Records(io.RawIOBase):
    """A connection under TLS: a read gives one record."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self.is_over = False
        self.late_reads = 0

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._inner.fileno()

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readinto(self, room: Any) -> int:
        return self._inner.recv_into(memoryview(room)[:RECORD_BYTES])

    def recv_into(self, room: memoryview) -> int:
        if self.is_over:
            self.late_reads += 1
            assert self.late_reads < 100, "asked for ever"
            return 0
        return self.readinto(room)


@pytest.fixture
def connection() -> Iterator[Records]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY)
        yield Records(ours)


def reply_by(connection: Any) -> Any:
    pool: Any = pool_classes(Sockets())["https"]
    reply = pool.ConnectionCls.response_class(connection)
    reply.begin()
    return reply


def test_all_that_has_come_is_taken_in_order(connection: Records) -> None:
    reply = reply_by(connection)
    assert b"".join(iter(lambda: reply.read1(256 * 1024), b"")) == BODY


def test_pieces_that_are_lent_are_not_copied(connection: Records) -> None:
    reply = reply_by(connection)
    lend_pieces(SimpleNamespace(_original_response=reply))
    first = reply.read1(64 * 1024)
    assert first == BODY[: len(first)]
    rest = bytearray(first)
    while piece := reply.read1(64 * 1024):
        rest += piece
    assert rest == BODY
    assert first != BODY[: len(first)], "the buffer was used again"


def test_tls_within_that_of_a_proxy_is_cut_as_any_other() -> None:
    """Who would fail at it leaves all further ones open, with the threads that wait for them."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        within = SSLTransport.__new__(SSLTransport)
        within.socket = ours
        sockets = Sockets()
        sockets.add(within)
        sockets.cut()
        assert theirs.recv(1) == b""
