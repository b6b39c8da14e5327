"""Reads of one revision, through the cache."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.backends.memory import MemoryBackend
from mountfs.errors import Corrupt, NotFound, Offline
from mountfs.model.entry import File
from mountfs.model.path import RemotePath
from mountfs.reading.blocks import Blocks
from mountfs.reading.readahead import BLOCK_BYTES, MIB
from mountfs.reading.reader import Reader


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def reader(backend: MemoryBackend, tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(backend, Blocks(tmp_path / "cache", 64 * MIB))
    yield reader
    reader.close()


def body_of(size_bytes: int) -> bytes:
    return b"".join(at.to_bytes(8, "big") for at in range(0, size_bytes, 8))[:size_bytes]


def test_a_read_gives_the_bytes_asked_for_and_fewer_only_at_the_end(
    backend: MemoryBackend, reader: Reader
) -> None:
    body = body_of(3 * MIB + 7)
    file = backend.remote.write("/f", body)
    assert reader.read(file, 2 * MIB + 3, 1000) == body[2 * MIB + 3 : 2 * MIB + 1003]
    assert reader.read(file, 3 * MIB, 1000) == body[3 * MIB :]
    assert reader.read(file, 3 * MIB + 7, 1000) == b""


def test_a_small_file_costs_one_request(backend: MemoryBackend, reader: Reader) -> None:
    file = backend.remote.write("/f", b"x" * 1000)
    assert b"".join(reader.read(file, at, 100) for at in range(0, 1000, 100)) == b"x" * 1000
    assert backend.calls()["read"] == 1


def test_reading_in_sequence_needs_few_requests(backend: MemoryBackend, reader: Reader) -> None:
    body = body_of(32 * MIB)
    file = backend.remote.write("/f", body)
    got = [reader.read(file, at, BLOCK_BYTES) for at in range(0, len(body), BLOCK_BYTES)]
    assert b"".join(got) == body
    assert backend.calls()["read"] < 40


def test_an_open_file_reads_one_revision(backend: MemoryBackend, reader: Reader) -> None:
    old = backend.remote.write("/f", b"old" * 1000)
    assert reader.read(old, 0, 3) == b"old"
    new = backend.remote.write("/f", b"new" * 1000)
    assert reader.read(old, 2997, 3) == b"old"
    assert reader.read(new, 2997, 3) == b"new"


def test_readers_of_the_same_bytes_cause_one_request(backend: MemoryBackend, reader: Reader) -> None:
    file = backend.remote.write("/f", b"x" * 1000)
    backend.hold("read")
    got: list[bytes] = []
    threads = [threading.Thread(target=lambda: got.append(reader.read(file, 0, 1000))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert backend.wait_until_held("read")
    backend.release("read")
    for thread in threads:
        thread.join(10)
    assert got == [b"x" * 1000] * 4
    assert backend.calls()["read"] == 1


def test_what_is_cached_reads_while_the_network_is_down(backend: MemoryBackend, reader: Reader) -> None:
    file = backend.remote.write("/f", b"x" * 1000)
    other = backend.remote.write("/g", b"y" * 1000)
    reader.read(file, 0, 1)
    backend.is_online = False
    assert reader.read(file, 500, 500) == b"x" * 500
    with pytest.raises(Offline):
        reader.read(other, 0, 1)
    backend.is_online = True
    assert reader.read(other, 0, 1) == b"y"


def test_a_revision_that_is_gone_says_so(backend: MemoryBackend, reader: Reader) -> None:
    file = backend.remote.write("/f", b"x")
    backend.remote.tree.forget(file.revision)
    with pytest.raises(NotFound):
        reader.read(file, 0, 1)


def test_a_reply_of_another_length_is_never_served(tmp_path: Path) -> None:
    class Cut:
        def read(self, file: File, offset: int, length: int) -> bytes:
            return b"x" * (length - 1)

    reader = Reader(Cut(), Blocks(tmp_path / "cache", MIB))
    with pytest.raises(Corrupt):
        reader.read(File(RemotePath("/f"), "id", "rev", 10, 0, None), 0, 10)
    reader.close()


def test_a_whole_revision_is_copied(backend: MemoryBackend, reader: Reader) -> None:
    class Target:
        def __init__(self) -> None:
            self.body = bytearray()

        def pwrite(self, offset: int, data: bytes) -> None:
            assert offset == len(self.body)
            self.body += data

    body = body_of(5 * MIB + 5)
    file = backend.remote.write("/f", body)
    whole, part = Target(), Target()
    reader.copy_into(file, whole)
    reader.copy_into(file, part, 2 * MIB + 1)
    assert bytes(whole.body) == body
    assert bytes(part.body) == body[: 2 * MIB + 1]


def test_reading_goes_on_when_the_threads_have_ended(backend: MemoryBackend, reader: Reader) -> None:
    body = body_of(4 * MIB)
    file = backend.remote.write("/f", body)
    reader.read(file, 0, BLOCK_BYTES)
    reader.close()
    assert b"".join(reader.read(file, at, MIB) for at in range(0, 4 * MIB, MIB)) == body
