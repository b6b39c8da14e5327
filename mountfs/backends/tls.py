"""TLS by what a connection has received, many records at a time.

A TLS socket of Python asks the kernel twice for each record of 16 KiB. Here one call takes all that has come,
and OpenSSL finds the records in memory: a download takes a sixth less of the processor's time. Who is
trusted, and for which host, is the context's affair as ever.
"""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from urllib3.util.wait import wait_for_read

_RECEIVE_BYTES = 1024 * 1024
"""Encrypted at a time: two pieces of a body, so that every other one is here without a call."""
_FEED_BYTES = 64 * 1024
"""Given to OpenSSL at a time. It copies them, into memory that grows with what it is given and stays with the
connection: of eight downloads side by side that was eight times _RECEIVE_BYTES, which no cache of a processor
holds."""
_SEND_BYTES = 256 * 1024
"""Encrypted at a time, so that the first of it leaves while the rest is encrypted."""
_ROOMS: list[memoryview] = []
"""What nobody receives into just now."""
_AT_A_TIME = threading.Lock()
"""Held by the one that decrypts what has come. OpenSSL works without the interpreter: where eight threads do
so, each record hands the interpreter on to another thread, which costs more than the record."""

P = ParamSpec("P")
T = TypeVar("T")


class Context:
    """Stands for *context* where urllib3 makes a connection, as contexts of other TLS libraries do."""

    _context: ssl.SSLContext

    def __init__(self, context: ssl.SSLContext) -> None:
        object.__setattr__(self, "_context", context)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._context, name, value)

    def load_verify_locations(self, *_locations: object) -> None:
        """They are in *context*, which other connections share."""

    def wrap_socket(self, sock: socket.socket, server_hostname: str | None = None) -> TlsConnection:
        """After the handshake; ssl.SSLError, OSError."""
        return TlsConnection(sock, self._context, server_hostname)


class TlsConnection:
    """What http.client and urllib3 need of a socket. One thread at a time, but for ``under``, which may be
    shut down by any."""

    def __init__(self, under: socket.socket, context: ssl.SSLContext, server_hostname: str | None) -> None:
        self.under = under
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        self._received = self._room = memoryview(b"")
        """What OpenSSL has not been given yet of what has come, and where that lies."""
        self._has_ended = False
        self._files = 0
        self._is_closed = False
        self._until_done(self._tls.do_handshake)

    def recv_into(self, room: bytearray | memoryview) -> int:
        """At least one byte, waiting for it; 0 at the end. TimeoutError, OSError."""
        return self._until_done(self._read, memoryview(room))

    def take(self, room: memoryview) -> int:
        """Fills *room* as far as it goes without waiting; how many bytes."""
        filled = self._decrypted(room)
        while filled < len(room) and not self._has_ended and wait_for_read(self.under, 0):
            try:
                self._receive()
            except OSError:
                break  # so the next read finds out: here it would take along what has come
            filled += self._decrypted(room[filled:])
        return filled

    def sendall(self, data: bytes | bytearray | memoryview) -> None:
        """TimeoutError: the far side took no byte for as long as the time-out says."""
        view = memoryview(data).cast("B")
        while view:
            view = view[self._until_done(self._tls.write, view[:_SEND_BYTES]) :]

    @property
    def has_unread(self) -> bool:
        """Whether more has been received than was read: what nobody asked for, or the end of TLS."""
        return bool(self._received) or self._incoming.pending > 0 or self._tls.pending() > 0

    def makefile(self, mode: str) -> io.BufferedReader:
        """Reads on after ``close``, as that of a socket does."""
        assert mode == "rb"
        self._files += 1
        return io.BufferedReader(_File(self))

    def close(self) -> None:
        self._is_closed = True
        self._close_if_unused()

    def file_closed(self) -> None:
        self._files -= 1
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._is_closed and not self._files:
            self.under.close()

    def fileno(self) -> int:
        return self.under.fileno()

    def settimeout(self, seconds: float | None) -> None:
        self.under.settimeout(seconds)

    def getpeercert(self, binary_form: bool = False) -> Any:
        return self._tls.getpeercert(binary_form)

    def selected_alpn_protocol(self) -> str | None:
        return self._tls.selected_alpn_protocol()

    def _decrypted(self, room: memoryview) -> int:
        """Fills *room* from what has been received; how many bytes."""
        filled = 0
        with _AT_A_TIME:
            while filled < len(room) and not self._has_ended:
                try:
                    filled += self._read(room[filled:])
                except ssl.SSLWantReadError:
                    if not self._feed():
                        break
        self._flush()
        return filled

    def _read(self, room: memoryview) -> int:
        try:
            # With a buffer it returns a length, whatever its declaration says.
            came = int(self._tls.read(len(room), room))
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            # Without the end of TLS; HTTP tells by the body's length what is missing. There is nobody left to
            # tell about it.
            self._outgoing.read()
            came = 0
        self._has_ended = not came
        return came

    def _until_done(self, step: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """What *step* returns, once all has come that it needs; what it has to say is sent."""
        while True:
            try:
                done = step(*args, **named)
            except ssl.SSLWantReadError:
                self._flush()
                if not self._feed():
                    self._wait()
                    self._receive()
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._flush()  # the far side is told why
                raise
            else:
                self._flush()
                return done

    def _flush(self) -> None:
        if self._outgoing.pending:
            encrypted = memoryview(self._outgoing.read())
            while encrypted:
                encrypted = encrypted[self.under.send(encrypted) :]

    def _wait(self) -> None:
        if not wait_for_read(self.under, self.under.gettimeout()):
            raise TimeoutError("timed out")

    def _receive(self) -> None:
        """What is there. Who waits holds no room: of fifty threads few receive at a time, and they share what
        fits the cache."""
        try:
            room = _ROOMS.pop()
        except IndexError:
            room = memoryview(bytearray(_RECEIVE_BYTES))
        length = 0
        try:
            length = self.under.recv_into(room)
        finally:
            if not length:
                _ROOMS.append(room)
        if length:
            self._room, self._received = room, room[:length]
        else:
            self._incoming.write_eof()

    def _feed(self) -> bool:
        """Gives OpenSSL more of what was received; False: it has all."""
        if not self._received:
            return False
        self._incoming.write(self._received[:_FEED_BYTES])
        self._received = self._received[_FEED_BYTES:]
        if not self._received:
            _ROOMS.append(self._room)
            self._room = memoryview(b"")
        return True


class _File(io.RawIOBase):
    def __init__(self, connection: TlsConnection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        return self._connection.recv_into(room)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._connection.file_closed()
