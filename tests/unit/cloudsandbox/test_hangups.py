"""What becomes of a reply whose client is gone: it ends at once, and without a word in the log."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cloudsandbox.dropbox import DropboxSandbox
from cloudsandbox.hangup import hang_up, on_loop_error
from cloudsandbox.sending import SLICE_BYTES
from cloudsandbox.tls import Authority
from tests.waiting import until

SLICES = 60
FIRST = 2
"""Slices that are sent before the client goes away."""


def _ask_for(sandbox: DropboxSandbox, path: str) -> ssl.SSLSocket:
    assert sandbox.ca_file is not None
    address = urlsplit(sandbox.base_url)
    context = ssl.create_default_context(cafile=str(sandbox.ca_file))
    plain = socket.create_connection((address.hostname or "", address.port or 0), 20.0)
    client = context.wrap_socket(plain, server_hostname="localhost")
    client.sendall(
        b"POST /2/files/download HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sandbox\r\n"
        b"Dropbox-API-Arg: " + json.dumps({"path": path}).encode() + b"\r\n\r\n"
    )
    return client


def test_a_download_over_tls_ends_with_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """asyncio tells TLS of a lost connection in the next turn of the loop: a sender that takes no turn sent
    the whole rest to nobody, with a warning for each slice.
    """
    with DropboxSandbox(tmp_path, token="sandbox", authority=Authority()) as sandbox:
        sandbox.write("/large", bytes(SLICE_BYTES * SLICES))
        _, service = sandbox._running()
        slices: list[int] = []
        is_time_to_go, is_gone = threading.Event(), threading.Event()

        async def download(count_bytes: int) -> None:
            slices.append(count_bytes)
            if len(slices) > FIRST and not is_gone.is_set():
                is_time_to_go.set()
                assert is_gone.wait(20.0)  # the loop stands still: it has heard of nothing when it writes on

        monkeypatch.setattr(service.account.line, "download", download)
        client = _ask_for(sandbox, "/large")
        assert is_time_to_go.wait(20.0)
        client.close()
        is_gone.set()
        until(lambda: all(each.end_s for each in sandbox.log.records()), "the download goes on")
    assert len(slices) < 10
    assert "socket.send() raised exception." not in caplog.messages
    assert "SSL connection is closed" not in caplog.messages


def test_a_connection_that_ended_by_itself_can_be_hung_up(caplog: pytest.LogCaptureFixture) -> None:
    """asyncio takes one that was closed with bytes to send, and has sent them, for one to be ended yet."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)

    async def end_it_twice() -> None:
        loop = asyncio.get_running_loop()
        is_lost = asyncio.Event()

        class Connection(asyncio.Protocol):
            def connection_lost(self, error: Exception | None) -> None:
                is_lost.set()

        transport, _ = await loop.create_connection(Connection, sock=ours)
        transport.write(bytes(1 << 20))
        transport.close()
        while not is_lost.is_set():
            await loop.sock_recv(theirs, 1 << 20)
        hang_up(transport)
        await asyncio.sleep(0)

    with theirs, caplog.at_level(logging.ERROR, logger="asyncio"):
        asyncio.run(end_it_twice())
    assert caplog.messages == []


def test_a_connection_that_asyncio_ends_twice_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """As TLS does, whose protocol sends more when it may, and learns thereby that the client is gone."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)

    async def end_it_when_it_may_send() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(on_loop_error)
        is_lost = asyncio.Event()

        class Connection(asyncio.Protocol):
            def resume_writing(self) -> None:
                transport.abort()

            def connection_lost(self, error: Exception | None) -> None:
                is_lost.set()

        transport, _ = await loop.create_connection(Connection, sock=ours)
        transport.set_write_buffer_limits(0)
        transport.write(bytes(1 << 20))
        while not is_lost.is_set():
            await loop.sock_recv(theirs, 1 << 20)
        await asyncio.sleep(0)

    with theirs, caplog.at_level(logging.ERROR, logger="asyncio"):
        asyncio.run(end_it_when_it_may_send())
    assert caplog.messages == []


def test_other_errors_of_the_loop_are_told(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(on_loop_error)
        loop.call_soon(lambda: 1 // 0)
        await asyncio.sleep(0)

    with caplog.at_level(logging.ERROR, logger="asyncio"):
        asyncio.run(fail())
    assert "Exception in callback" in caplog.text
