"""Cache files that somebody cuts, removes or replaces while they are in use: no byte of them is wrong."""

from __future__ import annotations

import os
import random
import resource
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.model.blocksums import BLOCK_BYTES
from mountfs.model.calloff import CallOff
from mountfs.model.entry import File
from mountfs.model.hashing import HashKind, content_hash
from mountfs.reading.blocks import Blocks
from mountfs.reading.othercaches import LOOK_FOR_OTHERS_S, OtherCaches
from mountfs.reading.reader import Reader
from mountfs.reading.sums import SUFFIX
from mountfs.transport.landing import Landing
from tests.fakes.clock import FakeClock

MIB = 1024 * 1024
SIZE_BYTES = 10 * MIB
BODY = random.Random(7).randbytes(SIZE_BYTES)
FILE = File("id:1", "big", "1", SIZE_BYTES, 0, content_hash(HashKind.DROPBOX, BODY))
CUTS = [0, BLOCK_BYTES + 100, 2 * MIB, 3 * MIB + 1]


class Source:
    """Writes as the network process does. ``meanwhile`` is called once, when half of a request has come."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], object] = lambda: None

    def read(self, file: File, offset: int, length: int) -> bytes:
        return BODY[offset : offset + length]

    def read_into(self, file: File, offset: int, length: int, path: str, call_off: CallOff) -> bytes:
        half = offset + length // 2
        with Landing(path, offset) as landing:
            landing.take(BODY[offset:half])
            meanwhile, self.meanwhile = self.meanwhile, lambda: None
            meanwhile()
            landing.take(BODY[half : offset + length])
            return landing.digests(length)


def the(directory: Path) -> Path:
    [found] = [each for each in directory.iterdir() if not each.name.endswith(SUFFIX)]
    return found


@pytest.fixture
def blocks(tmp_path: Path) -> Blocks:
    return Blocks(tmp_path / "cache", 64 * MIB, HashKind.DROPBOX)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def reader(source: Source, blocks: Blocks) -> Iterator[Reader]:
    made = Reader(source, blocks, FakeClock())
    yield made
    made.close()


def is_right(reader: Reader) -> bool:
    """By each way in which bytes come out of the cache."""
    pieces = []
    for at in range(0, SIZE_BYTES, BLOCK_BYTES):
        lent = reader.lend(FILE, at, BLOCK_BYTES)
        pieces.append(reader.read(FILE, at, BLOCK_BYTES) if lent is None else lent.read(at, BLOCK_BYTES))
    return b"".join(pieces) == BODY


@pytest.mark.parametrize("length", CUTS)
def test_a_file_that_is_cut_while_a_piece_of_it_comes_has_no_zeros(
    reader: Reader, source: Source, tmp_path: Path, length: int
) -> None:
    """What comes after that makes it as long again."""
    assert reader.read(FILE, 0, 4 * MIB, ahead=False) == BODY[: 4 * MIB]
    source.meanwhile = lambda: os.truncate(the(tmp_path / "cache"), length)
    assert reader.read(FILE, 5 * MIB, 2 * MIB, ahead=False) == BODY[5 * MIB : 7 * MIB]
    assert is_right(reader)
    assert is_right(reader)


@pytest.mark.parametrize("length", CUTS)
def test_a_file_that_two_mounts_have_is_cut_and_the_other_one_goes_on(tmp_path: Path, length: int) -> None:
    blocks = Blocks(tmp_path / "cache", 64 * MIB, HashKind.DROPBOX)
    others = OtherCaches(lambda: [tmp_path / "cache"])
    beside = Blocks(tmp_path / "beside", 64 * MIB, HashKind.DROPBOX, others=others)
    readers = [Reader(Source(), each, FakeClock()) for each in (blocks, beside)]
    try:
        assert readers[0].read(FILE, 0, 2 * BLOCK_BYTES, ahead=False)
        others.step(LOOK_FOR_OTHERS_S)
        assert readers[1].read(FILE, 0, BLOCK_BYTES, ahead=False)
        assert the(tmp_path / "beside").stat().st_nlink == 2
        assert readers[0].read(FILE, 0, 4 * MIB, ahead=False) == BODY[: 4 * MIB]
        os.truncate(the(tmp_path / "cache"), length)
        assert readers[1].read(FILE, 8 * MIB, 2 * MIB, ahead=False) == BODY[8 * MIB :]
        assert all(is_right(each) for each in readers)
    finally:
        for each in readers:
            each.close()


def test_a_cut_file_is_not_lent_to_another_mount(reader: Reader, tmp_path: Path) -> None:
    """It would make it as long again as it was, and who has it open would not learn of that."""
    assert reader.read(FILE, 0, 4 * MIB, ahead=False)
    os.truncate(the(tmp_path / "cache"), 100)
    others = OtherCaches(lambda: [tmp_path / "cache"])
    beside = Blocks(tmp_path / "beside", 64 * MIB, HashKind.DROPBOX, others=others)
    others.step(LOOK_FOR_OTHERS_S)
    beside.recall(FILE)
    assert beside.bytes_of(FILE) == 0
    assert not list((tmp_path / "beside").iterdir())
    assert is_right(reader)


def test_a_file_that_is_removed_while_its_first_piece_comes_is_not_made_again(
    reader: Reader, source: Source, tmp_path: Path
) -> None:
    """The piece goes into the removed file, and the next one went into a new one of that name."""

    def clean() -> None:
        for each in (tmp_path / "cache").iterdir():
            each.unlink()
        assert reader.read(FILE, 5 * MIB, 2 * MIB, ahead=False) == BODY[5 * MIB : 7 * MIB]

    source.meanwhile = clean
    assert reader.read(FILE, 0, 2 * MIB, ahead=False) == BODY[: 2 * MIB]
    assert is_right(reader)


def test_a_file_in_whose_place_a_copy_was_put_is_not_written_on(reader: Reader, tmp_path: Path) -> None:
    """Reads of what is open would not see what is written into the copy."""
    assert reader.read(FILE, 0, 4 * MIB, ahead=False) == BODY[: 4 * MIB]
    cached = the(tmp_path / "cache")
    shutil.copyfile(cached, tmp_path / "copy")
    (tmp_path / "copy").rename(cached)
    assert reader.read(FILE, 5 * MIB, 2 * MIB, ahead=False) == BODY[5 * MIB : 7 * MIB]
    assert is_right(reader)


def test_a_removed_file_counts_no_longer_once_it_was_asked_for(blocks: Blocks, tmp_path: Path) -> None:
    small = File("id:2", "small", "1", 1000, 0, content_hash(HashKind.DROPBOX, BODY[:1000]))
    blocks.put(small, 0, BODY[:1000])
    shutil.rmtree(tmp_path / "cache")
    assert blocks.peek(small, 0, 10) == b""
    assert (blocks.bytes_of(small), blocks.used_bytes) == (0, 0)
    blocks.put(small, 0, BODY[:1000])
    assert blocks.peek(small, 0, 1000) == BODY[:1000]


def test_a_small_file_is_looked_at_as_it_is_opened_and_once_it_was_read(
    monkeypatch: pytest.MonkeyPatch, blocks: Blocks
) -> None:
    small = File("id:2", "small", "1", 1000, 0, content_hash(HashKind.DROPBOX, BODY[:1000]))
    blocks.put(small, 0, BODY[:1000])
    calls: list[str] = []
    for name in ("open", "fstat", "lseek", "pread", "stat"):
        monkeypatch.setattr(os, name, counted(name, calls))
    assert blocks.peek(small, 0, 1000) == BODY[:1000]
    assert calls == ["open", "fstat", "pread", "lseek"]


def counted(name: str, calls: list[str]) -> Callable[..., object]:
    plain = getattr(os, name)

    def call(*args: object, **named: object) -> object:
        calls.append(name)
        return plain(*args, **named)

    return call


def test_where_a_file_system_has_no_holes_none_is_filled_with_zeros(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As eCryptfs and FAT do it: who looked at the header of a film would have all of it written."""

    def fill(fd: int, length: int) -> None:
        os.posix_fallocate(fd, 0, length)

    monkeypatch.setattr(os, "ftruncate", fill)
    for _ in range(2):  # a next process, too
        made = Blocks(tmp_path / "cache", 64 * MIB, HashKind.DROPBOX)
        reader = Reader(Source(), made, FakeClock())
        assert reader.read(FILE, 0, 4096) == BODY[:4096]
        assert 512 * the(tmp_path / "cache").stat().st_blocks <= 4 * MIB
        assert reader.read(FILE, 0, 3 * MIB, ahead=False) == BODY[: 3 * MIB]
        assert made.bytes_of(FILE) == 3 * MIB
        reader.close()


def test_where_there_are_no_holes_nothing_is_lent_of_what_was_cut_off(
    monkeypatch: pytest.MonkeyPatch, reader: Reader, blocks: Blocks, tmp_path: Path
) -> None:
    """The file has grown since it was opened. The kernel takes what is too short for the end of the file."""
    monkeypatch.setattr(os, "ftruncate", lambda fd, length: os.posix_fallocate(fd, 0, length))
    blocks.put(FILE, 0, BODY[: 2 * MIB])
    assert blocks.peek(FILE, 0, 1)
    blocks.put(FILE, 2 * MIB, BODY[2 * MIB : 4 * MIB])
    reader._runs.begin(FILE, 3 * MIB, 4 * MIB)
    assert reader.lend(FILE, 3 * MIB, MIB) is not None
    os.truncate(the(tmp_path / "cache"), 3 * MIB + 100)
    assert reader.lend(FILE, 3 * MIB, MIB) is None
    assert is_right(reader)


def test_where_no_file_may_be_as_long_its_beginning_is_kept_all_the_same(blocks: Blocks) -> None:
    """`ulimit -f`, or what a file system has for the most."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 * MIB, before[1]))
    try:
        blocks.put(FILE, 0, BODY[:MIB])
        blocks.put(FILE, MIB, BODY[MIB : 2 * MIB])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert blocks.peek(FILE, 0, 2 * MIB) == BODY[: 2 * MIB]


def test_two_pieces_that_come_first_at_once_keep_each_other(
    monkeypatch: pytest.MonkeyPatch, blocks: Blocks
) -> None:
    """Who made the file as long as it is to be, by steps, cut off what the other one had written."""
    other = threading.Thread(target=lambda: blocks.put(FILE, 5 * MIB, BODY[5 * MIB : 6 * MIB]))

    def ftruncate(fd: int, length: int) -> None:
        if other.ident is None:
            other.start()
            other.join(0.2)  # or it waits until the file has been made
        os.truncate(fd, length)

    monkeypatch.setattr(os, "ftruncate", ftruncate)
    blocks.put(FILE, 0, BODY[:BLOCK_BYTES])
    other.join()
    assert blocks.peek(FILE, 0, BLOCK_BYTES) == BODY[:BLOCK_BYTES]
    assert blocks.peek(FILE, 5 * MIB, MIB) == BODY[5 * MIB : 6 * MIB]


def test_of_a_file_that_grows_as_pieces_come_none_is_lost_to_another(
    monkeypatch: pytest.MonkeyPatch, blocks: Blocks
) -> None:
    """It was taken for cut where a later piece came after the look at its length."""
    unhashed = replace(FILE, content_hash=None)
    blocks.put(unhashed, 0, BODY[:MIB])
    fstat = os.fstat

    def fstat_once(fd: int) -> os.stat_result:
        found = fstat(fd)
        monkeypatch.setattr(os, "fstat", fstat)
        blocks.put(unhashed, 5 * MIB, BODY[5 * MIB : 6 * MIB])
        return found

    monkeypatch.setattr(os, "fstat", fstat_once)
    blocks.put(unhashed, MIB, BODY[MIB : 2 * MIB])
    assert blocks.bytes_of(unhashed) == 3 * MIB


def test_a_file_that_is_cut_once_its_bytes_are_hashed_has_no_zeros(
    monkeypatch: pytest.MonkeyPatch, blocks: Blocks, tmp_path: Path
) -> None:
    """What a former process took over is given its further byte, which would hide the cut."""
    (tmp_path / "spooled").write_bytes(BODY)
    assert FILE.content_hash is not None
    assert blocks.adopt(FILE.content_hash, SIZE_BYTES, str(tmp_path / "spooled"))
    truncate = os.truncate

    def cut_first(path: str, length: int) -> None:
        truncate(path, MIB)
        truncate(path, length)

    monkeypatch.setattr(os, "truncate", cut_first)
    reader = Reader(Source(), Blocks(tmp_path / "cache", 64 * MIB, HashKind.DROPBOX), FakeClock())
    assert is_right(reader)
    reader.close()


class Mounts:
    """Two mounts of an account that share what they cache, and somebody who meddles with the files of it,
    also while a piece is under way. Nothing runs side by side, so that a seed says what happens."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.directory = directory
        self.looked_s = 0.0
        self.source = Source()
        self.others = [OtherCaches(lambda: [directory / "1"]), OtherCaches(lambda: [directory / "0"])]
        self.readers = [self._reader(side) for side in range(2)]

    def step(self) -> None:
        """Every byte that is read is right."""
        side = self.random.randrange(2)
        act = self.random.choice(
            [self._read, self._read, self._read, self._meddle, self._look, self._restart]
        )
        if self.random.random() < 0.3:
            self.source.meanwhile = self._meddle
        act(side)

    def _read(self, side: int) -> None:
        reader, start = self.readers[side], self.random.randrange(0, SIZE_BYTES, BLOCK_BYTES)
        length = self.random.choice([BLOCK_BYTES, 3 * MIB])
        assert reader.read(FILE, start, length, ahead=False) == BODY[start : start + length]
        for at in range(start, min(start + MIB, SIZE_BYTES), BLOCK_BYTES):
            reader._runs.begin(FILE, at, at + BLOCK_BYTES)
            lent = reader.lend(FILE, at, BLOCK_BYTES)
            assert lent is None or lent.read(at, BLOCK_BYTES) == BODY[at : at + BLOCK_BYTES]

    def _meddle(self, side: int = 0) -> None:
        found = sorted(self.directory.glob("[01]/*"))
        if not found:
            return
        path = self.random.choice(found)
        how = self.random.randrange(5)
        if how < 3:
            os.truncate(path, self.random.randrange(path.stat().st_size + 1))
        elif how == 3:
            path.unlink()
        else:
            shutil.copyfile(path, self.directory / "copy")
            (self.directory / "copy").rename(path)

    def _look(self, side: int) -> None:
        self.looked_s += LOOK_FOR_OTHERS_S
        self.others[side].step(self.looked_s)

    def _restart(self, side: int) -> None:
        self.readers[side].close()
        self.readers[side] = self._reader(side)

    def _reader(self, side: int) -> Reader:
        directory, others = self.directory / str(side), self.others[side]
        return Reader(self.source, Blocks(directory, 8 * MIB, HashKind.DROPBOX, others=others), FakeClock())


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_done_to_cache_files_no_byte_is_wrong(tmp_path: Path, seed: int) -> None:
    mounts = Mounts(tmp_path, seed)
    for _ in range(60):
        mounts.step()
    for reader in mounts.readers:
        reader.close()
