"""Connections that can be cut from outside, so that closing a client frees the threads inside it."""

from __future__ import annotations

import socket
import threading
import weakref

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class Sockets:
    """Every open socket of a client."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._is_cut = False

    def add(self, sock: socket.socket | None) -> None:
        """From here on ``cut`` reaches it."""
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


def _shut(sock: socket.socket) -> None:
    try:
        # Not sock.shutdown(): that of an SSLSocket drops the TLS state under the reader's feet.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return  # closed or never connected


def pool_classes(sockets: Sockets) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools by scheme, with every connection known to *sockets*."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
