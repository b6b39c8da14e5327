"""TLS: the user's own authority is honoured, a stranger's is not, and closing frees who waits."""

from __future__ import annotations

import random
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from urllib3.exceptions import SSLError

from cloudsandbox.dropbox import DropboxSandbox
from cloudsandbox.tls import Authority
from mountfs.backends.dropbox.backend import DropboxBackend
from mountfs.backends.trust import Contexts, Trust
from mountfs.clock import SystemClock
from mountfs.errors import MountfsError, Offline
from mountfs.model.entry import File, Place
from mountfs.model.path import ROOT, RemotePath
from tests.contract.far import upload_parts
from tests.unit.backends.dropbox.conftest import Connect, connect
from tests.waiting import until

__all__ = ["connect"]


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
def sandbox() -> Iterator[DropboxSandbox]:
    with DropboxSandbox(authority=Authority(), token="sandbox") as sandbox:
        yield sandbox


@pytest.fixture
def backend(sandbox: DropboxSandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> DropboxBackend:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(sandbox.ca_file))
    return connect(sandbox.base_url, token="sandbox")


def test_an_authority_of_the_user_s_is_trusted(backend: DropboxBackend) -> None:
    assert backend.list_folder(ROOT) == []
    body = bytes(range(256)) * 36_000
    _, parts = upload_parts(backend, "/x", body)
    assert sum(part.length for part in parts) == len(body)


def test_a_download_is_whole_also_where_many_records_have_come_at_once(
    sandbox: DropboxSandbox, backend: DropboxBackend
) -> None:
    body = random.Random(2).randbytes(5_000_001)
    sandbox.write("/x", body)
    file = backend.stat(Place(RemotePath("/x")))
    assert isinstance(file, File)
    assert backend.read(file, 0, len(body)) == body
    pieces: list[bytes] = []
    assert backend.read(file, 3, len(body) - 3, lambda piece: pieces.append(bytes(piece))) == b""
    assert b"".join(pieces) == body[3:]


def test_a_stranger_is_not_talked_to(sandbox: DropboxSandbox, connect: Connect) -> None:
    with pytest.raises(Offline, match="certificate"):
        connect(sandbox.base_url, token="sandbox").list_folder(ROOT)


def test_closing_frees_who_waits(backend: DropboxBackend) -> None:
    cursor = backend.latest_cursor()
    ended: list[MountfsError] = []

    def wait() -> None:
        try:
            backend.wait_for_changes(cursor, 60.0)
        except MountfsError as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: "files/list_folder/longpoll" in backend.calls(), "the long poll is there")
    backend.close()
    thread.join(10.0)
    assert not thread.is_alive()
    assert isinstance(ended[0], Offline)


def test_the_authorities_are_read_once_for_all_connections(
    backend: DropboxBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    original = ssl.SSLContext.load_verify_locations

    def noting(context: ssl.SSLContext, *locations: Any) -> None:
        read.append(locations[0])
        original(context, *locations)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", noting)
    with ThreadPoolExecutor(4) as pool:
        barrier = threading.Barrier(4)

        def ask(_: int) -> None:
            barrier.wait(10.0)
            backend.list_folder(ROOT)

        list(pool.map(ask, range(4)))
    assert len(read) == 1


def test_an_authority_that_was_replaced_is_not_trusted_any_more(tmp_path: Path) -> None:
    """Without a restart: connections made from then on have another context."""
    file = tmp_path / "ca.pem"
    contexts, trust = Contexts(), Trust("CERT_REQUIRED", str(file), None, None)
    with pytest.raises(SSLError):
        contexts.of(trust)
    Authority().write(file)
    before = contexts.of(trust)
    assert contexts.of(trust) is before
    file.unlink()
    Authority().write(file)
    after = contexts.of(trust)
    assert len(after.get_ca_certs()) == 1
    assert after.get_ca_certs() != before.get_ca_certs()
