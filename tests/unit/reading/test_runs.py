"""Reads in sequence of what is cached: made without a plan, and of nothing that is evicted."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mountfs.model.blocksums import BLOCK_BYTES
from mountfs.model.entry import File
from mountfs.model.hashing import HashKind, content_hash
from mountfs.reading.blocks import Blocks
from mountfs.reading.cachefile import GIVE_BACK_S
from mountfs.reading.contentkey import key_of
from mountfs.reading.readahead import FREE_WINDOW_BYTES, MIB, RUNS_OF_WINDOW, Stream, plan
from mountfs.reading.reader import Reader
from mountfs.reading.served import Served
from tests.fakes.clock import FakeClock

SIZE_BYTES = 8 * MIB + 777
BODY = random.Random(5).randbytes(SIZE_BYTES)
FILE = File("id:1", "big", "1", SIZE_BYTES, 0, content_hash(HashKind.DROPBOX, BODY))


class Service:
    """``requested``: the bytes of all requests together."""

    def __init__(self) -> None:
        self.requested = 0

    def read(self, file: File, offset: int, length: int) -> bytes:
        self.requested += length
        return BODY[offset : offset + length]


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def blocks(tmp_path: Path) -> Blocks:
    made = Blocks(tmp_path / "cache", 64 * MIB, HashKind.DROPBOX)
    made.put(FILE, 0, BODY)
    return made


@pytest.fixture
def reader(service: Service, blocks: Blocks) -> Iterator[Reader]:
    made = Reader(service, blocks, FakeClock())
    yield made
    made.close()


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The offsets of reads that were planned."""
    planned: list[int] = []

    def noted(streams: Any, offset: int, *rest: Any, **named: Any) -> Any:
        planned.append(offset)
        return plan(streams, offset, *rest, **named)

    monkeypatch.setattr("mountfs.reading.reader.plan", noted)
    return planned


def in_blocks(reader: Reader, start: int = 0, stop: int = SIZE_BYTES) -> bytes:
    return b"".join(reader.read(FILE, at, BLOCK_BYTES) for at in range(start, stop, BLOCK_BYTES))


def test_reads_in_sequence_of_what_is_cached_are_planned_now_and_then(
    reader: Reader, service: Service, plans: list[int]
) -> None:
    assert in_blocks(reader) == BODY
    reads = -(-SIZE_BYTES // BLOCK_BYTES)
    assert len(plans) < reads / 3
    assert (service.requested, reader.served) == (0, Served(reads, 0, SIZE_BYTES, 0))


def test_a_run_leads_on_in_its_own_stream(reader: Reader) -> None:
    """Not in that of somebody who read there before, and ended nearer to the run's end than to its
    beginning."""
    at, run_bytes = 2 * MIB, FREE_WINDOW_BYTES // RUNS_OF_WINDOW
    mine = Stream(at - BLOCK_BYTES, at, FREE_WINDOW_BYTES)
    other = Stream(at + run_bytes - BLOCK_BYTES, at + run_bytes, FREE_WINDOW_BYTES)
    reader._streams[key_of(FILE)] = (mine, other)
    in_blocks(reader, at, at + run_bytes + 2 * BLOCK_BYTES)
    after, *rest = reader._streams[key_of(FILE)]
    assert after.high == at + run_bytes + 2 * BLOCK_BYTES
    assert rest == [other]


def test_what_was_just_uploaded_is_read_in_runs(tmp_path: Path, service: Service, plans: list[int]) -> None:
    blocks = Blocks(tmp_path / "cache", 64 * MIB, HashKind.DROPBOX)
    spool_file = tmp_path / "cache" / "spool"
    spool_file.write_bytes(BODY)
    assert blocks.adopt(FILE.content_hash or "", SIZE_BYTES, str(spool_file))
    reader = Reader(service, blocks, FakeClock())
    try:
        assert in_blocks(reader) == BODY
        assert len(plans) < SIZE_BYTES / BLOCK_BYTES / 3
    finally:
        reader.close()


def test_a_read_elsewhere_is_planned(reader: Reader, plans: list[int]) -> None:
    in_blocks(reader, stop=2 * MIB)
    plans.clear()
    for at in (7 * MIB, 5 * MIB, 0):
        assert reader.read(FILE, at + 5, 4096) == BODY[at + 5 : at + 4101]
    assert plans == [7 * MIB + 5, 5 * MIB + 5, 5]


def test_what_is_evicted_in_the_middle_of_a_run_is_fetched_again(
    reader: Reader, service: Service, blocks: Blocks, plans: list[int]
) -> None:
    at = 2 * MIB
    in_blocks(reader, stop=at)
    while plans[-1] != at - BLOCK_BYTES:  # a run has just begun
        reader.read(FILE, at, BLOCK_BYTES)
        at += BLOCK_BYTES
    blocks.drop(FILE)
    assert reader.read(FILE, at, BLOCK_BYTES) == BODY[at : at + BLOCK_BYTES]
    assert service.requested >= BLOCK_BYTES
    assert plans[-1] == at


def test_a_run_keeps_no_evicted_file_open(reader: Reader, blocks: Blocks, tmp_path: Path) -> None:
    def is_open() -> bool:
        return any(str(each).startswith(f"{tmp_path}/cache/") for each in open_files())

    in_blocks(reader, stop=4 * MIB)
    assert is_open()
    blocks.clear()
    assert not is_open()


def test_an_evicted_file_that_an_idle_thread_still_holds_gives_its_room_back(
    reader: Reader, service: Service, blocks: Blocks, tmp_path: Path
) -> None:
    """A thread of the mount keeps the file of its last answer until its next call. Where a player pauses, and
    everybody else is idle, that may be hours."""
    in_blocks(reader, stop=4 * MIB - BLOCK_BYTES)
    lent = reader.lend(FILE, 4 * MIB - BLOCK_BYTES, BLOCK_BYTES)
    assert lent is not None
    blocks.drop(FILE)
    assert lent.read(0, 100) == BODY[:100]
    assert reader.lend(FILE, 4 * MIB - BLOCK_BYTES, BLOCK_BYTES) is None, "nobody begins to read from it"
    blocks.look(1000.0)
    blocks.look(1000.0 + GIVE_BACK_S - 1)
    assert lent.read(0, 100) == BODY[:100], "the kernel may not have taken it yet"
    blocks.look(1000.0 + GIVE_BACK_S)
    assert not any(f"{tmp_path}/cache/" in str(each) for each in open_files())
    assert lent.read(0, 100) == b""
    assert not lent.is_uncut()
    with (tmp_path / "new").open("wb") as other:
        assert other.fileno() != lent.fd, "its number is no other file's as long as it is held"


def test_a_file_that_is_cached_stays_open_for_as_long_as_it_is_held(reader: Reader, blocks: Blocks) -> None:
    in_blocks(reader, stop=4 * MIB - BLOCK_BYTES)
    lent = reader.lend(FILE, 4 * MIB - BLOCK_BYTES, BLOCK_BYTES)
    assert lent is not None
    for now_s in (0.0, GIVE_BACK_S, 10 * GIVE_BACK_S):
        blocks.look(now_s)
    assert lent.read(0, 100) == BODY[:100]


def open_files() -> list[Path]:
    return [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]


def test_a_run_ends_where_the_cache_has_a_gap(tmp_path: Path, service: Service) -> None:
    blocks = Blocks(tmp_path / "cache", 64 * MIB, HashKind.DROPBOX)
    gap = slice(5 * MIB + BLOCK_BYTES, 5 * MIB + 2 * BLOCK_BYTES)
    blocks.put(FILE, 0, BODY[: gap.start])
    blocks.put(FILE, gap.stop, BODY[gap.stop :])
    reader = Reader(service, blocks, FakeClock())
    try:
        assert in_blocks(reader) == BODY
        assert service.requested == BLOCK_BYTES
    finally:
        reader.close()


def test_a_block_that_does_not_prove_itself_is_in_no_run(
    reader: Reader, service: Service, blocks: Blocks, tmp_path: Path
) -> None:
    wrong = 4 * MIB + BLOCK_BYTES
    [file] = [each for each in (tmp_path / "cache").iterdir() if each.suffix != ".sums"]
    with file.open("r+b") as cached:
        cached.seek(wrong)
        cached.write(b"wrong")
    after = Reader(service, Blocks(tmp_path / "cache", 64 * MIB, HashKind.DROPBOX), FakeClock())
    try:
        assert in_blocks(after) == BODY
        assert service.requested == BLOCK_BYTES
    finally:
        after.close()


def test_a_cache_file_that_somebody_removed_is_not_filled_up_with_zeros(
    reader: Reader, service: Service, blocks: Blocks, tmp_path: Path
) -> None:
    for path in (tmp_path / "cache").iterdir():
        path.unlink()
    for at in (2 * MIB, 5 * MIB, 0, 3 * MIB):
        assert reader.read(FILE, at, 4096) == BODY[at : at + 4096]


@pytest.mark.parametrize("cuts", [True, False])
def test_what_a_cache_file_has_lost_is_no_zeros_once_more_is_written(
    reader: Reader, blocks: Blocks, tmp_path: Path, cuts: bool
) -> None:
    blocks.clear()
    blocks.put(FILE, 0, BODY[: 4 * MIB])
    for path in (tmp_path / "cache").iterdir():
        os.truncate(path, MIB) if cuts else path.unlink()
    for at in (6 * MIB, 2 * MIB, 7 * MIB, 3 * MIB, 0):
        assert reader.read(FILE, at, 4096) == BODY[at : at + 4096]
        assert reader.read(FILE, at, 4096) == BODY[at : at + 4096]
