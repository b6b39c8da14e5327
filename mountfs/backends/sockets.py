"""Connections that can be cut from outside, so that closing a client frees the threads inside it."""

from __future__ import annotations

import http.client
import io
import math
import socket
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssltransport import SSLTransport

from mountfs.backends.tls import Context, TlsConnection
from mountfs.backends.trust import Contexts, Trust


class Sockets:
    """Every open socket of a client."""

    def __init__(self, now_s: Callable[[], float] = lambda: 0.0) -> None:
        """*now_s*: by which the headers of replies are timed."""
        self.now_s = now_s
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._is_cut = False

    def add(self, connection: object) -> None:
        """From here on ``cut`` reaches the socket under *connection*."""
        sock = _under(connection)
        if sock is None:
            return
        with self._lock:
            self._open.add(sock)
            is_cut = self._is_cut
        if is_cut:
            _shut(sock)

    def cut(self) -> None:
        """Ends all of them, now and later; whoever reads or writes one sees a broken connection."""
        with self._lock:
            self._is_cut = True
            sockets = list(self._open)
        for sock in sockets:
            _shut(sock)


def _under(connection: object) -> socket.socket | None:
    """The kernel's socket that carries *connection*: TLS within that of a proxy is one of urllib3's own."""
    while isinstance(connection, SSLTransport):
        connection = connection.socket
    if isinstance(connection, TlsConnection):
        return connection.under
    return connection if isinstance(connection, socket.socket) else None


def _shut(sock: socket.socket) -> None:
    try:
        # Not sock.shutdown(): that of an SSLSocket drops the TLS state under the reader's feet.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return  # closed or never connected


RECORD_BYTES = 16 * 1024 + 512
"""More than a record of TLS has (RFC 8446, 5.2)."""


class _Timed(io.RawIOBase):
    """The bytes of a connection. Those of a header must all come within the time-out of a single read: byte
    by byte, each in time, one could take hours."""

    def __init__(self, file: io.BufferedReader, connection: object, now_s: Callable[[], float]) -> None:
        """Takes the place of *file*, from which nothing was read yet."""
        self._under = _under(connection)
        self._raw = file.detach()
        self._now_s = now_s
        self._patience_s = (self._under.gettimeout() if self._under is not None else None) or math.inf
        self._ends_s: float | None = math.inf
        """None: the header has come."""

    def header_has_come(self) -> None:
        self._ends_s = None

    def wait_for(self, seconds: float) -> None:
        """From here on a single read may take so long."""
        if self._under is not None:
            with suppress(OSError):  # all has come, and it is closed
                self._under.settimeout(seconds)

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        came = int(self._raw.readinto(room) or 0)
        if self._ends_s is not None:
            now_s = self._now_s()
            if now_s > self._ends_s:
                raise TimeoutError("the header of a reply trickles in")
            self._ends_s = min(self._ends_s, now_s + self._patience_s)
        return came

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        super().close()
        self._raw.close()


class _Reply(http.client.HTTPResponse):
    """A reply whose ``read1`` returns all that has come, up to what was asked for, and not one record of TLS
    (16 KiB). Each call costs a tenth of what a record costs to decrypt."""

    now_s: Callable[[], float] = staticmethod(lambda: 0.0)

    def __init__(self, sock: socket.socket, *args: Any, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        self._timed = _Timed(self.fp, sock, self.now_s)
        self.fp = io.BufferedReader(self._timed)
        self.lends = False
        """Whether a piece may be a view of a buffer that the next one is read into."""
        self._from: object = sock
        self._room = memoryview(b"")

    def begin(self) -> None:
        super().begin()
        self._timed.header_has_come()

    def wait_for(self, seconds: float) -> None:
        self._timed.wait_for(seconds)

    def read1(self, n: int = -1) -> bytes:
        if self.fp is None or self.chunked or self.length is None or min(n, self.length) <= RECORD_BYTES:
            return super().read1(n)
        if len(self._room) != n:
            self._room = memoryview(bytearray(n))
        room = self._room[: self.length]
        # What was read ahead with the header comes first. Only a read of less than 8 KiB would read ahead
        # again, so what follows is to be had of the socket itself.
        filled = self.fp.readinto1(room)
        if not filled:
            self._close_conn()  # type: ignore[attr-defined]  # as the original does
            return b""
        if isinstance(self._from, TlsConnection):
            filled += self._from.take(room[filled:])
        self.length -= filled
        # http.client's type is bytes; whoever has it lend takes any buffer.
        return room[:filled] if self.lends else bytes(room[:filled])  # type: ignore[return-value]


def lend_pieces(reply: Any) -> None:
    """Has urllib3's *reply* return pieces of its body that are good until the next one is read: they are not
    copied. For a body that nothing decodes."""
    original = getattr(reply, "_original_response", None)
    if isinstance(original, _Reply):
        original.lends = True


def wait_for_body(reply: Any, seconds: float) -> None:
    """Has a single read of urllib3's *reply*, which has begun, take so long at most."""
    original = getattr(reply, "_original_response", None)
    if isinstance(original, _Reply):
        original.wait_for(seconds)


def pool_classes(sockets: Sockets) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools by scheme, with every connection known to *sockets*."""

    contexts = Contexts()

    class Reply(_Reply):
        now_s = staticmethod(sockets.now_s)

    class Plain(HTTPConnection):
        response_class = Reply
        was_connected = False
        """Also once it was closed."""

        def connect(self) -> None:
            self.was_connected = False
            super().connect()
            self.was_connected = True
            sockets.add(self.sock)

        @property
        def has_connected_to_proxy(self) -> bool:
            """When a reply is lost, http.client closes the connection, and urllib3 takes it for one that
            no proxy has led on: nothing would have been sent."""
            return super().has_connected_to_proxy or (self.proxy is not None and self.was_connected)

    class Secure(Plain, HTTPSConnection):
        def connect(self) -> None:
            trust = Trust(self.cert_reqs, self.ca_certs, self.ca_cert_dir, self.ca_cert_data)
            self.ssl_context = cast("Any", Context(contexts.of(trust)))
            super().connect()

        @property
        def is_connected(self) -> bool:
            sock: object = self.sock
            return super().is_connected and not (isinstance(sock, TlsConnection) and sock.has_unread)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
