"""A port of this machine that is a test's own also while nobody listens on it."""

from __future__ import annotations

import socket


class OwnPort:
    """Nobody else gets ``number`` until it is closed: neither who asks for any port, nor a connection, whose
    own end needs one. Who says SO_REUSEADDR, as servers do, may listen on it."""

    def __init__(self) -> None:
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.number: int = self._held.getsockname()[1]

    def close(self) -> None:
        """Lets go of it, as its end does."""
        self._held.close()

    def __del__(self) -> None:
        self.close()
