"""What travels over the socket between a mount and its network process: frames, in both directions."""

from __future__ import annotations

import socket
import struct
from enum import IntEnum
from threading import Lock
from typing import NamedTuple

_HEAD = struct.Struct("!BII")
MOST_BYTES = 1 << 30
"""Of one frame: a listing of a million entries has some 200 MB."""


class Kind(IntEnum):
    """What a frame says; its payload is a value of the codec, but for RECIPE."""

    # From the mount
    RECIPE = 1  # what the process is to connect to, in the words of whoever starts it
    CALL = 2  # (method, arguments, named arguments)
    MOUNTED = 3  # the account that is mounted
    CLOSE = 4  # end connections; nothing follows but the end of the stream
    # From the network process
    STATE = 10  # the port's properties, at the beginning and whenever they changed
    RESULT = 11  # what the call of that number returned
    FAILURE = 12  # what it raised
    LOG = 13  # a record of the log


class Frame(NamedTuple):
    """*number* is that of a call, and 0 where there is none."""

    kind: int
    number: int
    payload: bytes


class Broken(Exception):
    """The other side is gone, or speaks another language."""


class Channel:
    """One end of the socket; any thread may send, one receives."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._sending = Lock()

    def send(self, kind: Kind, number: int, payload: bytes) -> None:
        """Broken."""
        head = _HEAD.pack(kind, number, len(payload))
        try:
            with self._sending:
                self._socket.sendall(head + payload)
        except OSError as error:
            raise Broken(str(error)) from error

    def receive(self) -> Frame:
        """The next frame, however long it takes. Broken."""
        kind, number, length = _HEAD.unpack(self._exactly(_HEAD.size))
        if length > MOST_BYTES:
            raise Broken("a frame of no possible length")
        return Frame(kind, number, self._exactly(length))

    def end(self) -> None:
        """Nothing is sent any more: the other side receives all that was, and then the end."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return  # the other side is gone

    def close(self) -> None:
        """Once nobody receives."""
        self._socket.close()

    def _exactly(self, length: int) -> bytes:
        body = bytearray(length)
        view, filled = memoryview(body), 0
        try:
            while filled < length:
                got = self._socket.recv_into(view[filled:])
                if not got:
                    raise Broken("the stream has ended")
                filled += got
        except OSError as error:
            raise Broken(str(error)) from error
        return bytes(body)
