"""A port stays a test's own between two servers on it."""

from __future__ import annotations

import socket

import pytest

from tests.ports import OwnPort


def test_a_server_listens_on_it_again_and_again_and_nobody_else_gets_it_meanwhile() -> None:
    port = OwnPort()
    for _ in range(2):
        with (
            socket.create_server(("127.0.0.1", port.number)) as server,
            socket.create_connection(("127.0.0.1", port.number)),
        ):
            server.accept()[0].close()
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port.number))
        with socket.socket() as nobody, pytest.raises(ConnectionRefusedError):
            nobody.connect(("127.0.0.1", port.number))
    port.close()
    with socket.create_server(("127.0.0.1", port.number)):
        pass
