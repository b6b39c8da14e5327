"""The server itself: what becomes of connections when it ends."""

from __future__ import annotations

import asyncio
import gc
import socket

from cloudsandbox.dropbox import DropboxSandbox


def test_connections_that_are_only_being_accepted_end_with_the_server() -> None:
    """One left open would be a warning here, and a client that waits for ever elsewhere."""
    sandbox = DropboxSandbox(token="sandbox")
    sandbox.start()
    server, _ = sandbox._running()
    clients: list[socket.socket] = []

    async def connect_and_end() -> None:
        # On the loop: it accepts them in the turn in which it learns that it is to end.
        address = ("127.0.0.1", int(sandbox.base_url.rpartition(":")[2]))
        clients.extend(socket.create_connection(address, 5.0) for _ in range(20))
        await asyncio.sleep(0)
        server.request_stop()

    server.call(connect_and_end)
    sandbox.stop()
    gc.collect()
    for client in clients:
        with client:
            try:
                assert client.recv(1) == b""
            except ConnectionResetError:
                pass
