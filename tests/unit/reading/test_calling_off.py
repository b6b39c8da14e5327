"""What is on its way and not wanted any more is ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.errors import CalledOff
from mountfs.model.blocksums import BLOCK_BYTES, digest
from mountfs.model.calloff import CallOff
from mountfs.model.entry import File
from mountfs.model.hashing import HashKind
from mountfs.reading.blocks import Blocks
from mountfs.reading.contentkey import key_of
from mountfs.reading.readahead import FAST_WINDOW_BYTES, FREE_WINDOW_BYTES, Stream
from mountfs.reading.reader import AHEAD_THREADS, Reader
from tests.fakes.clock import FakeClock
from tests.waiting import until

MIB = 1024 * 1024
FILE = File("id:1", "film", "1", 900 * MIB, 0, "0123abcd")
WAIT_S = 20.0


class Slow:
    """A source whose large requests end when they are called off, or by ``open``."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.under_way: dict[int, CallOff] = {}
        self.called_off: list[int] = []

    def read(self, file: File, offset: int, length: int) -> bytes:
        return bytes(length)

    def read_into(self, file: File, offset: int, length: int, path: str, call_off: CallOff) -> bytes:
        ended = threading.Event()
        call_off.bind(ended.set)
        self.under_way[offset] = call_off
        until(lambda: ended.is_set() or self.open.is_set(), "it is called off, or comes")
        if ended.is_set():
            self.called_off.append(offset)
            raise CalledOff("not wanted")
        with Path(path).open("r+b") as target:
            target.truncate(FILE.size_bytes)
        return digest(bytes(BLOCK_BYTES)) * (length // BLOCK_BYTES)


@pytest.fixture
def source() -> Iterator[Slow]:
    made = Slow()
    yield made
    made.open.set()


@pytest.fixture
def reader(source: Slow, tmp_path: Path) -> Iterator[Reader]:
    made = Reader(source, Blocks(tmp_path / "cache", 512 * MIB, HashKind.DROPBOX), FakeClock())
    made._streams[key_of(FILE)] = (Stream(99 * MIB, 100 * MIB, FAST_WINDOW_BYTES),)
    made.read(FILE, 100 * MIB, BLOCK_BYTES)
    until(lambda: len(source.under_way) == AHEAD_THREADS, "a whole window is under way")
    yield made
    source.open.set()
    made.close()


def test_who_seeks_and_reads_on_has_the_line_for_himself(source: Slow, reader: Reader) -> None:
    before = sorted(source.under_way)
    reader.read(FILE, 700 * MIB, BLOCK_BYTES)
    assert not source.called_off, "one read elsewhere says little"
    reader.read(FILE, 700 * MIB + BLOCK_BYTES, BLOCK_BYTES)
    until(lambda: sorted(source.called_off) == before, "all of the window is called off")


def test_what_a_read_waits_for_comes(source: Slow, reader: Reader) -> None:
    bodies: list[bytes] = []
    at = 100 * MIB + BLOCK_BYTES
    thread = threading.Thread(target=lambda: bodies.append(reader.read(FILE, at, BLOCK_BYTES)))
    thread.start()
    until(lambda: key_of(FILE) in reader._waited, "a read waits")
    reader.read(FILE, 700 * MIB, BLOCK_BYTES)
    reader.read(FILE, 700 * MIB + BLOCK_BYTES, BLOCK_BYTES)
    until(lambda: len(source.called_off) == AHEAD_THREADS - 1, "the others are called off")
    source.open.set()
    thread.join(WAIT_S)
    assert bodies == [bytes(BLOCK_BYTES)]


def test_after_the_last_close_only_what_is_near_still_comes(source: Slow, reader: Reader) -> None:
    far = [at for at in source.under_way if at >= 100 * MIB + BLOCK_BYTES + FREE_WINDOW_BYTES]
    reader.left(FILE)
    until(lambda: sorted(source.called_off) == sorted(far), "what is far ahead is called off")
    assert 0 < len(far) < AHEAD_THREADS
    source.open.set()
    assert reader.read(FILE, far[-1], BLOCK_BYTES) == bytes(BLOCK_BYTES)
