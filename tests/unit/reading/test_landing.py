"""Ranges that the source writes into the cache by itself: the bytes do not pass through the reader."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mountfs.errors import DiskTrouble, Offline
from mountfs.model.blocksums import BLOCK_BYTES
from mountfs.model.calloff import CallOff
from mountfs.model.entry import File
from mountfs.model.hashing import HashKind, content_hash
from mountfs.reading.blocks import Blocks
from mountfs.reading.cachefile import MOST_OPEN
from mountfs.reading.delivery import LANDS_AGAIN_S
from mountfs.reading.reader import Reader
from mountfs.reading.sums import Sums
from mountfs.transport.landing import Landing
from tests.fakes.clock import FakeClock

MIB = 1024 * 1024
SIZE_BYTES = 5 * MIB + 777
BODY = random.Random(5).randbytes(SIZE_BYTES)
FILE = File("id:1", "big", "1", SIZE_BYTES, 0, content_hash(HashKind.DROPBOX, BODY))


class Writing:
    """A source that writes as the network process does. ``before`` is called before it begins, ``meanwhile``
    before it tells of that."""

    def __init__(self) -> None:
        self.read_here: list[tuple[int, int]] = []
        self.landed: list[tuple[int, int]] = []
        self.is_full = False
        self.meanwhile: Callable[[], object] = lambda: None
        self.before: Callable[[], object] = lambda: None

    def read(self, file: File, offset: int, length: int) -> bytes:
        self.read_here.append((offset, length))
        return BODY[offset : offset + length]

    def read_into(self, file: File, offset: int, length: int, path: str, call_off: CallOff) -> bytes:
        self.landed.append((offset, length))
        if self.is_full:
            raise DiskTrouble("full")
        self.before()
        with Landing(path, offset) as landing:
            for at in range(offset, offset + length, 100_000):
                landing.take(BODY[at : min(at + 100_000, offset + length)])
            self.meanwhile()
            return landing.digests(length)


@pytest.fixture
def source() -> Writing:
    return Writing()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def blocks(tmp_path: Path) -> Blocks:
    return cache(tmp_path)


@pytest.fixture
def reader(source: Writing, blocks: Blocks, clock: FakeClock) -> Iterator[Reader]:
    made = Reader(source, blocks, clock)
    yield made
    made.close()


def cache(tmp_path: Path, limit_bytes: int = 64 * MIB) -> Blocks:
    return Blocks(tmp_path / "cache", limit_bytes, HashKind.DROPBOX)


def whole(reader: Reader) -> bytes:
    return reader.read(FILE, 0, MIB + BLOCK_BYTES) + reader.read(FILE, MIB + BLOCK_BYTES, SIZE_BYTES)


def test_what_the_source_writes_is_read_and_outlives_the_process(
    source: Writing, reader: Reader, tmp_path: Path
) -> None:
    assert whole(reader) == BODY
    assert source.landed
    reader.close()
    after = cache(tmp_path)
    after.recall(FILE)
    for offset, length in source.landed:
        pieces = [after.peek(FILE, at, BLOCK_BYTES) for at in range(offset, offset + length, BLOCK_BYTES)]
        assert b"".join(pieces) == BODY[offset : offset + length]


def test_what_was_written_and_not_told_is_absent(source: Writing, blocks: Blocks, tmp_path: Path) -> None:
    cached = blocks.land(FILE, 2 * MIB)
    assert cached is not None
    source.read_into(FILE, 0, 2 * MIB, str(cached.path), CallOff())
    assert blocks.peek(FILE, 0, MIB) == b""
    assert cache(tmp_path).peek(FILE, 0, MIB) == b""


def test_bytes_that_cannot_be_written_come_here_and_not_twice_for_a_while(
    source: Writing, reader: Reader, clock: FakeClock
) -> None:
    source.is_full = True
    assert reader.read(FILE, 0, 2 * MIB) == BODY[: 2 * MIB]
    assert reader.read(FILE, 3 * MIB, MIB) == BODY[3 * MIB : 4 * MIB]
    assert len(source.landed) == 1
    source.is_full = False
    clock.advance(LANDS_AGAIN_S)
    assert reader.read(FILE, 4 * MIB, MIB + 777) == BODY[4 * MIB :]
    assert len(source.landed) == 2


def test_a_cache_file_that_is_evicted_before_it_is_made_leaves_nothing(
    source: Writing, blocks: Blocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty one stayed, with a file for its digests, until the next start."""
    blocks.put(FILE, 0, BODY[: 2 * MIB])

    def begin(sums: Sums) -> bool:
        blocks.drop(FILE)
        return real_begin(sums)

    real_begin = Sums.begin
    monkeypatch.setattr(Sums, "begin", begin)
    assert blocks.land(FILE, MIB) is None
    assert not list((tmp_path / "cache").iterdir())


def test_a_cache_file_that_is_evicted_before_the_source_opens_it_is_no_full_disk(
    source: Writing, reader: Reader, blocks: Blocks
) -> None:
    """The next bytes are written by the source as before."""
    source.before = lambda: blocks.drop(FILE)
    assert reader.read(FILE, 0, 2 * MIB) == BODY[: 2 * MIB]
    source.before = lambda: None
    assert reader.read(FILE, 3 * MIB, MIB) == BODY[3 * MIB : 4 * MIB]
    assert source.landed[-1][0] == 3 * MIB


def test_what_is_evicted_as_soon_as_it_was_written_is_read_all_the_same(
    source: Writing, reader: Reader, blocks: Blocks
) -> None:
    source.meanwhile = blocks.clear
    assert reader.read(FILE, 0, 2 * MIB, ahead=False) == BODY[: 2 * MIB]
    assert blocks.bytes_of(FILE) == 0


def test_what_a_broken_off_download_has_written_takes_room_until_it_comes_after_all(
    source: Writing, reader: Reader, blocks: Blocks, tmp_path: Path
) -> None:
    def fail() -> None:
        raise Offline("cut")

    source.meanwhile = fail
    with pytest.raises(Offline):
        reader.read(FILE, 0, 2 * MIB, ahead=False)
    assert (blocks.used_bytes, blocks.bytes_of(FILE)) == (2 * MIB, 0)
    after = cache(tmp_path)
    assert (after.used_bytes, after.bytes_of(FILE)) == (2 * MIB, 0)
    source.meanwhile = lambda: None
    assert reader.read(FILE, 0, 2 * MIB, ahead=False) == BODY[: 2 * MIB]
    assert (blocks.used_bytes, blocks.bytes_of(FILE)) == (2 * MIB, 2 * MIB)
    blocks.clear()
    assert blocks.used_bytes == 0


def test_many_broken_off_downloads_keep_to_the_bytes_of_the_cache(tmp_path: Path) -> None:
    blocks = cache(tmp_path, limit_bytes=3 * MIB)
    for number in range(4):
        file = File(f"id:{number}", "big", "1", SIZE_BYTES, 0, f"{number}" * 64)
        cached = blocks.land(file, MIB)
        assert cached is not None
        Path(cached.path).write_bytes(bytes(MIB))
        blocks.broke_off(file, cached, 0, MIB)
    assert blocks.used_bytes == 3 * MIB
    kept = [each for each in (tmp_path / "cache").iterdir() if not each.name.endswith(".sums")]
    assert sum(each.stat().st_size for each in kept) == 3 * MIB


def test_a_broken_off_download_of_what_is_evicted_as_it_begins_leaves_no_file(
    blocks: Blocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evicted after it was looked up, and before its file is made again: nobody would count that file."""

    def begin(self: Sums) -> bool:
        blocks.clear()
        return made(self)

    made = Sums.begin
    monkeypatch.setattr(Sums, "begin", begin)
    cached = blocks.land(FILE, MIB)
    assert cached is not None
    Path(cached.path).write_bytes(bytes(MIB))
    blocks.broke_off(FILE, cached, 0, MIB)
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_is_read_is_cached_again_after_somebody_removed_the_folder(
    source: Writing, reader: Reader, blocks: Blocks, tmp_path: Path
) -> None:
    """Else each read of 128 KiB is a request of its own, and what was fetched ahead comes in vain."""
    shutil.rmtree(tmp_path / "cache")
    assert reader.read(FILE, 0, 2 * MIB, ahead=False) == BODY[: 2 * MIB]
    assert blocks.bytes_of(FILE) == 2 * MIB
    asked = len(source.landed) + len(source.read_here)
    assert reader.read(FILE, 0, 2 * MIB, ahead=False) == BODY[: 2 * MIB]
    assert len(source.landed) + len(source.read_here) == asked


def test_a_few_large_files_stay_open_and_none_that_is_evicted(blocks: Blocks, tmp_path: Path) -> None:
    def open_here() -> int:
        found = [os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
        return sum(each.startswith(f"{tmp_path}/cache/") for each in found)

    for number in range(MOST_OPEN + 4):
        file = File(f"id:{number}", "big", "1", SIZE_BYTES, 0, f"{number:064}")
        blocks.put(file, 0, BODY[:BLOCK_BYTES])
        room = bytearray(2 * BLOCK_BYTES)
        for _ in range(2):
            assert blocks.peek_into(file, 10, memoryview(room)) == BLOCK_BYTES - 10
            assert room[: BLOCK_BYTES - 10] == BODY[10:BLOCK_BYTES]
    assert open_here() == MOST_OPEN
    blocks.clear()
    assert open_here() == 0
    assert blocks.peek_into(file, 10, memoryview(room)) == 0


def test_a_content_without_a_hash_is_not_written_by_somebody_else(blocks: Blocks) -> None:
    """Its cache file has a name that the next process may give to another content."""
    unknown = File("id:1", "big", "1", SIZE_BYTES, 0, "")
    assert blocks.land(unknown, MIB) is None


def test_a_kill_before_anything_was_told_costs_nothing_else_that_is_kept(
    blocks: Blocks, tmp_path: Path
) -> None:
    blocks.put(FILE, 0, BODY[: 2 * MIB])
    large = File("id:2", "large", "1", 1000 * MIB, 0, "1" * 64)
    assert blocks.land(large, MIB) is not None
    after = cache(tmp_path)
    assert after.used_bytes == 2 * MIB
    other = File("id:3", "other", "1", 100, 0, "2" * 64)
    after.put(other, 0, b"x" * 100)
    assert after.peek(FILE, 0, MIB) == BODY[:MIB]
