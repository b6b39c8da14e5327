"""The frames that a mount and its network process send each other over a socket."""

from __future__ import annotations

import math
import socket
import struct
from collections.abc import Callable
from enum import IntEnum
from threading import Lock
from typing import NamedTuple

_HEAD = struct.Struct("!BII")
MOST_BYTES = 1 << 30
"""The longest payload of a frame. For comparison: a listing of a million entries has some 200 MB."""

COPIED_BYTES = 64 * 1024
"""A shorter payload is sent with its head in one call; a copy of a longer one costs more than a call."""


class Kind(IntEnum):
    """What a frame is. Its payload is a value of the codec; that of RECIPE, too, with further classes."""

    # From the mount
    RECIPE = 1  # the account to connect to; ``daemon.process.networkrecipe`` says what is in it
    CALL = 2  # (method, arguments, named arguments)
    MOUNTED = 3  # whose account is mounted, once the mount knows it
    CLOSE = 4  # cut all connections to the service; calls that run end as Offline
    # From the network process
    STATE = 10  # the port's properties: first of all, and after each change
    RESULT = 11  # what the call of this number returned
    FAILURE = 12  # what the call of this number raised
    LOG = 13  # a record for the mount's log


class Frame(NamedTuple):
    """*number*: of the call that it asks or answers; 0: it belongs to no call."""

    kind: int
    number: int
    payload: bytes


class Broken(Exception):
    """The other side has closed the socket, or has sent what is no frame."""


class Channel:
    """One end of the socket. Any thread may send; one thread receives."""

    def __init__(
        self, sock: socket.socket, silence_s: float = math.inf, on_silence: Callable[[], None] = lambda: None
    ) -> None:
        """*on_silence* is called by the thread that receives, each time that nothing came for *silence_s*."""
        self._socket = sock
        self._sending = Lock()
        self._on_silence = on_silence
        if silence_s < math.inf:
            whole_s = int(silence_s)
            timeout = struct.pack("@ll", whole_s, int((silence_s - whole_s) * 1e6))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)

    def send(self, kind: Kind, number: int, payload: bytes) -> None:
        """Sends one frame whole. Broken."""
        head = _HEAD.pack(kind, number, len(payload))
        try:
            with self._sending:
                if len(payload) < COPIED_BYTES:
                    self._socket.sendall(head + payload)
                else:
                    self._socket.sendall(head)
                    self._socket.sendall(payload)
        except OSError as error:
            raise Broken(str(error)) from error

    def offer(self, kind: Kind, number: int, payload: bytes, patience_s: float) -> bool:
        """Sends a small frame unless that would take long; whether it was sent. Where the other side does not
        read, a frame fills the socket's buffer, and whoever sends one waits. Broken."""
        if not self._sending.acquire(timeout=patience_s):
            return False
        try:
            self._socket.send(_HEAD.pack(kind, number, len(payload)) + payload, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError as error:
            raise Broken(str(error)) from error
        finally:
            self._sending.release()
        return True

    def receive(self) -> Frame:
        """Waits for the next frame. Broken."""
        kind, number, length = _HEAD.unpack(self._exactly(_HEAD.size))
        if length > MOST_BYTES:
            raise Broken("a frame of no possible length")
        return Frame(kind, number, self._exactly(length))

    def end(self) -> None:
        """Ends the stream: the other side receives what was sent before, and then Broken."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return  # the other side has closed the socket already

    def close(self) -> None:
        """Closes the socket. No thread may be receiving."""
        self._socket.close()

    def _exactly(self, length: int) -> bytes:
        body = bytearray(length)
        view, filled = memoryview(body), 0
        try:
            while filled < length:
                try:
                    got = self._socket.recv_into(view[filled:])
                except BlockingIOError:
                    self._on_silence()
                    continue
                if not got:
                    raise Broken("the stream has ended")
                filled += got
        except OSError as error:
            raise Broken(str(error)) from error
        return bytes(body)
