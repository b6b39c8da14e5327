"""How readers of large files are served: what they cost in requests and bytes."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.model.blocksums import BLOCK_BYTES
from mountfs.model.entry import File
from mountfs.model.hashing import HashKind
from mountfs.reading.blocks import Blocks
from mountfs.reading.contentkey import key_of
from mountfs.reading.fetch import Fetch
from mountfs.reading.readahead import (
    FREE_WINDOW_BYTES,
    LEAST_PIECE_BYTES,
    MIB,
    MOST_WINDOW_BYTES,
    Stream,
)
from mountfs.reading.reader import Reader
from tests.fakes.clock import FakeClock
from tests.waiting import until

WAIT_S = 10.0
MOST_FOR_A_SMALL_READ_BYTES = 2 * MIB


class Synthetic:
    """A service whose files have any size, and no bytes until they are asked for."""

    def __init__(self) -> None:
        self.requests: list[tuple[int, int]] = []
        self.changed = threading.Condition()
        self._held_from: int | None = None
        self.waiting = 0

    def read(self, file: File, offset: int, length: int) -> bytes:
        with self.changed:
            self.requests.append((offset, length))
            self.waiting += 1
            self.changed.notify_all()
            held = self.changed.wait_for(lambda: self._held_from is None or offset < self._held_from, WAIT_S)
            self.waiting -= 1
            assert held
        return self.body(offset, length)

    def hold(self, offset: int = 0) -> None:
        """Requests from *offset* on wait for ``release``."""
        with self.changed:
            self._held_from = offset

    def release(self) -> None:
        with self.changed:
            self._held_from = None
            self.changed.notify_all()

    def until(self, waiting: int) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.waiting >= waiting, WAIT_S)

    def bytes_from(self, offset: int) -> int:
        return sum(length for at, length in self.requests if at >= offset)

    @staticmethod
    def body(offset: int, length: int) -> bytes:
        first = offset // 8
        numbers = range(first, -(-(offset + length) // 8))
        if length > MIB:
            return bytes(length)
        return b"".join(number.to_bytes(8, "big") for number in numbers)[offset % 8 :][:length]


@pytest.fixture
def service() -> Iterator[Synthetic]:
    made = Synthetic()
    yield made
    made.release()


@pytest.fixture
def reader(service: Synthetic, tmp_path: Path) -> Iterator[Reader]:
    made = Reader(service, Blocks(tmp_path / "cache", 256 * MIB, HashKind.DROPBOX), FakeClock())
    yield made
    service.release()
    made.close()


def of(size_bytes: int) -> File:
    return File("id:1", "big", "1", size_bytes, 0, "hash")


def test_a_small_read_anywhere_in_a_huge_file_is_one_request_of_a_few_blocks(
    service: Synthetic, reader: Reader
) -> None:
    huge = of(10 * 1024 * MIB)
    at_random = random.Random(11)
    for count in range(1, 60):
        offset = at_random.randrange(count * 100 * MIB, (count + 1) * 100 * MIB - MIB)
        assert reader.read(huge, offset, 4096) == service.body(offset, 4096)
        assert len(service.requests) == count
        assert service.requests[-1][1] <= MOST_FOR_A_SMALL_READ_BYTES


def test_headers_of_large_files_are_one_request_of_a_block_each(service: Synthetic, reader: Reader) -> None:
    """As a file manager looks at a folder of films."""
    for number in range(5):
        film = File(f"id:{number}", f"film {number}", "1", 400 * MIB, 0, f"film {number}")
        for _ in range(2):
            reader.read(film, 0, 16 * 1024)
    assert service.requests == [(0, BLOCK_BYTES)] * 5


def begin(reader: Reader, service: Synthetic, file: File) -> list[threading.Thread]:
    """Two reads of the first two blocks, the second one while the first waits; both wait in the end."""
    service.hold()
    threads = []
    for at in range(2):
        thread = threading.Thread(target=reader.read, args=(file, at * BLOCK_BYTES, BLOCK_BYTES), daemon=True)
        thread.start()
        threads.append(thread)
        until(lambda: sum(each.waiting for each in under_way(reader, file)) == len(threads), "the read waits")
    return threads


def under_way(reader: Reader, file: File) -> list[Fetch]:
    return list(reader._fetches.by_key.get(key_of(file), ()))


@pytest.mark.parametrize("way", ["down", "up"])
def test_who_asks_for_more_before_the_beginning_has_come_keeps_a_fast_link_busy_at_once(
    service: Synthetic, reader: Reader, way: str
) -> None:
    """A program that announced to read in sequence. It need not wait a second round trip for the window. How
    fast the link is, is told by uploads as well."""
    big = of(400 * MIB)
    getattr(reader.link, way).told_bytes_s = 1e9
    threads = begin(reader, service, big)
    assert sum(each.stop - each.start for each in under_way(reader, big)) > MOST_WINDOW_BYTES // 2
    service.release()
    for thread in threads:
        thread.join(WAIT_S)


@pytest.mark.parametrize("told_bytes_s", [0.0, 7e6])
def test_no_more_is_asked_for_at_once_of_a_link_that_is_slow_or_not_known(
    service: Synthetic, reader: Reader, told_bytes_s: float
) -> None:
    big = of(400 * MIB)
    reader.link.down.told_bytes_s = told_bytes_s
    threads = begin(reader, service, big)
    assert sum(each.stop - each.start for each in under_way(reader, big)) <= 2 * MIB
    service.release()
    for thread in threads:
        thread.join(WAIT_S)


def test_no_window_is_asked_for_by_who_reads_on_once_the_beginning_has_come(
    service: Synthetic, reader: Reader
) -> None:
    big = of(400 * MIB)
    reader.link.down.told_bytes_s = 1e9
    for at in range(2):
        reader.read(big, at * BLOCK_BYTES, BLOCK_BYTES)
    reader.close()
    assert service.bytes_from(0) <= 2 * MIB


def test_parts_of_an_archive_have_little_more_fetched_than_what_is_read(
    service: Synthetic, reader: Reader
) -> None:
    """Of 200 KiB the kernel makes up to four reads, and the link may be fast."""
    archive = of(400 * MIB)
    reader._fetches.rate.bytes_s = reader._fetches.rate.told_bytes_s = 1e9
    for start in range(80 * MIB, 400 * MIB, 80 * MIB):
        for step in range(4):
            reader._waited[key_of(archive)] = True
            reader.read(archive, start + step * BLOCK_BYTES, BLOCK_BYTES)
    reader.close()
    assert sum(length for _, length in service.requests) <= 4 * (4 * BLOCK_BYTES + 2 * MIB + BLOCK_BYTES)


def test_a_file_read_from_end_to_end_is_requested_once(service: Synthetic, reader: Reader) -> None:
    big = of(96 * MIB)
    for at in range(0, 96 * MIB, BLOCK_BYTES):
        assert len(reader.read(big, at, BLOCK_BYTES)) == BLOCK_BYTES
    assert service.bytes_from(0) == 96 * MIB
    assert len(service.requests) <= 96 * MIB // LEAST_PIECE_BYTES + 12


def test_a_file_read_backwards_is_requested_once_and_ahead(service: Synthetic, reader: Reader) -> None:
    big = of(64 * MIB)
    for at in range(64 * MIB - BLOCK_BYTES, -1, -BLOCK_BYTES):
        assert len(reader.read(big, at, BLOCK_BYTES)) == BLOCK_BYTES
    assert service.bytes_from(0) == 64 * MIB
    assert len(service.requests) <= 64 * MIB // LEAST_PIECE_BYTES + 24


def test_two_readers_of_one_file_are_each_read_ahead(service: Synthetic, reader: Reader) -> None:
    big = of(400 * MIB)
    for step in range(0, 32 * MIB, BLOCK_BYTES):
        for start in (0, 200 * MIB):
            reader.read(big, start + step, BLOCK_BYTES)
    ends = [200 * MIB + 32 * MIB + 32 * MIB, 32 * MIB + 32 * MIB]
    assert len(service.requests) <= sum(ends) // LEAST_PIECE_BYTES
    assert len({offset for offset, _ in service.requests}) == len(service.requests)


def test_twenty_readers_of_one_file_have_it_fetched_once_in_large_requests(
    service: Synthetic, reader: Reader
) -> None:
    """A web server whose clients watch a film, each another part of it."""
    film = of(200 * MIB)
    places = range(0, 200 * MIB, 10 * MIB)
    for start in places:
        reader.read(film, start, BLOCK_BYTES)
        reader.read(film, start + BLOCK_BYTES, BLOCK_BYTES)
    for step in range(2 * BLOCK_BYTES, 2 * MIB, BLOCK_BYTES):
        for start in places:
            reader.read(film, start + step, BLOCK_BYTES)
    reader.close()
    assert len({offset for offset, _ in service.requests}) == len(service.requests)
    assert len(service.requests) <= 20 * 8


def test_a_whole_window_is_under_way_at_once(service: Synthetic, reader: Reader) -> None:
    big = of(400 * MIB)
    reader._streams[key_of(big)] = (Stream(99 * MIB, 100 * MIB, MOST_WINDOW_BYTES),)
    service.hold(100 * MIB + BLOCK_BYTES)
    reader.read(big, 100 * MIB, BLOCK_BYTES)
    assert service.until(MOST_WINDOW_BYTES // LEAST_PIECE_BYTES)
    assert service.bytes_from(100 * MIB + BLOCK_BYTES) >= MOST_WINDOW_BYTES - 2 * LEAST_PIECE_BYTES


def test_a_window_grows_where_the_link_keeps_the_reader_waiting(service: Synthetic, reader: Reader) -> None:
    big = of(400 * MIB)
    reader._streams[key_of(big)] = (Stream(99 * MIB, 100 * MIB, FREE_WINDOW_BYTES),)
    service.hold(100 * MIB + BLOCK_BYTES)
    reader.read(big, 100 * MIB, BLOCK_BYTES)
    thread = threading.Thread(target=reader.read, args=(big, 100 * MIB + BLOCK_BYTES, BLOCK_BYTES))
    thread.start()
    assert service.until(1)
    until(lambda: key_of(big) in reader._waited, "the reader waits for what was asked for ahead")
    service.release()
    thread.join(WAIT_S)
    reader.read(big, 100 * MIB + 2 * BLOCK_BYTES, BLOCK_BYTES)
    assert reader._streams[key_of(big)][0].window_bytes == MOST_WINDOW_BYTES


def test_a_file_that_takes_all_threads_keeps_no_other_reader_waiting(
    service: Synthetic, reader: Reader
) -> None:
    """Its whole window is under way and does not come. Who needs bytes that have no thread requests them."""
    big = of(400 * MIB)
    reader._streams[key_of(big)] = (Stream(199 * MIB, 200 * MIB, MOST_WINDOW_BYTES),)
    service.hold(200 * MIB + BLOCK_BYTES)
    for at in range(200 * MIB, 200 * MIB + 2 * BLOCK_BYTES, BLOCK_BYTES):
        threading.Thread(target=reader.read, args=(big, at, BLOCK_BYTES)).start()
    stuck = MOST_WINDOW_BYTES // LEAST_PIECE_BYTES
    assert service.until(stuck)
    for _ in range(reader._ahead._max_workers - stuck):
        reader._ahead.submit(service.read, big, 390 * MIB, 1)
    assert service.until(reader._ahead._max_workers)
    small = File("id:2", "small", "1", 1000, 0, "small")
    assert reader.read(small, 0, 1000) == service.body(0, 1000)
    other = File("id:3", "other", "1", 100 * MIB, 0, "other")
    for at in range(0, 32 * MIB, BLOCK_BYTES):
        assert len(reader.read(other, at, BLOCK_BYTES)) == BLOCK_BYTES
    asked = [length for offset, length in service.requests if offset < 100 * MIB]
    assert sum(asked) <= 32 * MIB + MOST_WINDOW_BYTES
    assert service.waiting >= reader._ahead._max_workers, "the other file's requests are still under way"


def test_a_seek_calls_off_what_nobody_has_begun_to_fetch(service: Synthetic, reader: Reader) -> None:
    big = of(10 * 1024 * MIB)
    reader._streams[key_of(big)] = ()
    service.hold(MIB)
    for start in range(0, 5 * 1024 * MIB, 1024 * MIB):  # more windows than there are threads
        for step in range(2):
            service.hold(start + 2 * BLOCK_BYTES)
            reader.read(big, start + step * BLOCK_BYTES, BLOCK_BYTES)
    far = 9 * 1024 * MIB
    service.hold(far + MIB)
    before = len(reader._fetches.of_locked(big))
    reader.read(big, far, 4096)
    with reader._lock:
        assert all(fetch.is_begun for fetch in reader._fetches.of_locked(big))
    assert before >= len(reader._fetches.of_locked(big))


def test_what_was_called_off_is_read_all_the_same(service: Synthetic, reader: Reader) -> None:
    """By a reader that waited for its turn just then."""
    big = of(1024 * MIB)
    for at in range(0, 2 * MIB, BLOCK_BYTES):
        reader.read(big, at, BLOCK_BYTES)
    with reader._lock:
        reader._fetches.call_off_locked(big)
    for at in range(2 * MIB, 8 * MIB, BLOCK_BYTES):
        assert reader.read(big, at, 16)[:8] in (service.body(at, 8), bytes(8))
