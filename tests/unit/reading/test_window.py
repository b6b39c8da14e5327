"""How far ahead of a read is fetched at most: what was fetched ahead is read before it has to make room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.errors import DiskTrouble
from mountfs.model.blocksums import BLOCK_BYTES, digest
from mountfs.model.calloff import CallOff
from mountfs.model.entry import File
from mountfs.model.hashing import HashKind
from mountfs.reading import reader
from mountfs.reading.blocks import Blocks
from mountfs.reading.cachefile import CacheFile
from mountfs.reading.contentkey import Key, key_of
from mountfs.reading.fetch import Fetch
from mountfs.reading.fetches import MOST_UNKEPT, REFUSED_S
from mountfs.reading.limits import LEAST_BYTES
from mountfs.reading.readahead import (
    FAST_WINDOW_BYTES,
    FREE_WINDOW_BYTES,
    LIVE_READS,
    MOST_WINDOW_BYTES,
    Plan,
    Stream,
    places,
    plan,
)
from mountfs.reading.reader import Reader
from mountfs.reading.window import (
    PART_OF_CACHE,
    PART_TOGETHER,
    ReadAhead,
    grown,
    most_ahead_bytes,
    still,
)
from tests.fakes.clock import FakeClock

MIB = 1024 * 1024
DIGEST = digest(bytes(BLOCK_BYTES))
ANY: Key = ("any", "1")


class Zeros:
    """A source that would write into the cache itself what is there: zeros; how many bytes it was asked
    for."""

    def __init__(self) -> None:
        self.asked_bytes = 0

    def read(self, file: File, offset: int, length: int) -> bytes:
        self.asked_bytes += length
        return bytes(length)

    def read_into(self, file: File, offset: int, length: int, path: str, call_off: CallOff) -> bytes:
        try:
            Path(path).stat()
        except FileNotFoundError as error:
            raise DiskTrouble("it was evicted") from error
        self.asked_bytes += length
        return DIGEST * (length // BLOCK_BYTES)


class Rig:
    """A reader whose windows are as large as they may be from the beginning."""

    def __init__(self, directory: Path, limit_bytes: int, lacking: Callable[[], int] = lambda: 0) -> None:
        self.directory = directory
        self.source = Zeros()
        self.clock = FakeClock()
        self.blocks = Blocks(directory, limit_bytes, HashKind.DROPBOX, lacking_bytes=lacking)
        self.reader = Reader(self.source, self.blocks, self.clock)

    def files(self, count: int, size_bytes: int) -> list[File]:
        made = [File(f"id:{n}", f"f{n}", "1", size_bytes, 0, f"{n:064x}") for n in range(count)]
        for file in made:
            self.reader._streams[key_of(file)] = (Stream(0, 0, FAST_WINDOW_BYTES),)
        return made

    def read_side_by_side(self, files: list[File]) -> float:
        """How many bytes were fetched for each of all files' bytes."""
        size_bytes = files[0].size_bytes
        for at in range(0, size_bytes, BLOCK_BYTES):
            for file in files:
                assert len(self.reader.read(file, at, BLOCK_BYTES)) == BLOCK_BYTES
        return self.source.asked_bytes / (len(files) * size_bytes)


Make = Callable[..., Rig]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Rig] = []

    def rig(limit_bytes: int, **options: Callable[[], int]) -> Rig:
        made.append(Rig(tmp_path / str(len(made)), limit_bytes, **options))
        return made[-1]

    yield rig
    for each in made:
        each.reader.close()


@pytest.mark.parametrize(("count", "most"), [(1, 1.25), (4, 1.4)])
def test_of_files_larger_than_the_cache_little_is_fetched_twice(make: Make, count: int, most: float) -> None:
    """Such a file goes as a whole, and takes its window with it."""
    rig = make(64 * MIB)
    assert rig.read_side_by_side(rig.files(count, 256 * MIB)) <= most


def test_a_file_that_is_larger_than_the_cache_leaves_a_part_of_it_to_others(make: Make) -> None:
    """All of them went, and nobody finds that one again either."""
    rig = make(64 * MIB)
    others = [
        File(f"id:o{number}", f"o{number}", "1", MIB, 0, f"{100 + number:064x}") for number in range(40)
    ]
    for file in others:
        rig.reader.read(file, 0, MIB)
    asked_bytes = rig.source.asked_bytes
    rig.read_side_by_side(rig.files(1, 256 * MIB))
    assert rig.source.asked_bytes - asked_bytes <= 1.25 * 256 * MIB
    assert [rig.blocks.bytes_of(file) for file in others[-15:]] == [MIB] * 15


def test_a_file_that_the_cache_has_room_for_takes_all_of_it(make: Make) -> None:
    rig = make(64 * MIB)
    [file] = rig.files(1, 63 * MIB)
    rig.read_side_by_side([file])
    assert rig.blocks.bytes_of(file) == 63 * MIB


@pytest.mark.parametrize(("count", "places"), [(1, 20), (20, 1), (4, 8)])
def test_who_reads_at_many_places_has_no_more_fetched_ahead_than_a_small_cache_holds(
    make: Make, count: int, places: int
) -> None:
    """All that is cached of a file goes at once: with a window of 4 MiB for each place nothing was there any
    more when it was read, and 20 people who watched a film had it fetched 26 times."""
    rig = make(64 * MIB)
    files = rig.files(count, 1024 * MIB)
    rig.reader._streams.clear()
    for at in range(0, 4 * MIB, BLOCK_BYTES):
        for file in files:
            for place in range(places):
                rig.reader.read(file, place * 50 * MIB + at, BLOCK_BYTES)
    assert rig.source.asked_bytes <= 1.7 * count * places * 4 * MIB


@pytest.mark.parametrize("limit_bytes", [0, MIB, 4 * MIB, 8 * MIB])
def test_a_cache_that_holds_hardly_anything_has_little_fetched_twice(make: Make, limit_bytes: int) -> None:
    rig = make(limit_bytes)
    assert rig.read_side_by_side(rig.files(1, 64 * MIB)) <= 1.4


@pytest.mark.parametrize("count", [1, 4, MOST_UNKEPT])
def test_of_small_files_that_the_cache_does_not_take_nothing_is_fetched_twice(make: Make, count: int) -> None:
    """Each is requested as a whole, and the kernel reads it in eight pieces."""
    rig = make(0)
    files = rig.files(count, MIB)
    assert rig.read_side_by_side(files) == 1
    for file in files:
        rig.reader.left(file)
    assert not rig.reader._fetches.unkept, "nobody holds what nobody reads"


def test_nor_where_the_disk_is_full(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make(64 * MIB)
    monkeypatch.setattr(CacheFile, "write", lambda *_: False)
    assert rig.read_side_by_side(rig.files(4, MIB)) == 1


@pytest.mark.parametrize("written", [False, None], ids=["full", "no descriptors"])
def test_where_the_disk_takes_nothing_nothing_is_fetched_ahead_for_a_while(
    make: Make, monkeypatch: pytest.MonkeyPatch, written: bool | None
) -> None:
    rig = make(2048 * MIB)
    with monkeypatch.context() as patched:
        patched.setattr(CacheFile, "write", lambda *_: written)
        files = rig.files(2, 64 * MIB)
        rig.reader._streams.clear()  # with small windows at first
        assert rig.read_side_by_side(files) <= 1.25
        rig.reader.prefetch(File("id:1", "small", "1", 4096, 0, "1" * 64), lambda _error: None)
    rig.clock.advance(REFUSED_S)
    [file] = rig.files(1, 64 * MIB)
    before = rig.source.asked_bytes
    rig.reader.read(file, 0, BLOCK_BYTES)
    rig.reader.close()
    assert rig.source.asked_bytes - before >= FREE_WINDOW_BYTES


def test_a_cache_file_that_somebody_removes_is_no_full_disk(make: Make) -> None:
    rig = make(64 * MIB)
    [file] = rig.files(1, 64 * MIB)
    rig.blocks.put(file, 0, bytes(BLOCK_BYTES))
    for path in rig.directory.iterdir():
        path.unlink()
    assert rig.blocks.put(file, BLOCK_BYTES, bytes(BLOCK_BYTES))


def test_what_the_cache_does_not_take_is_held_of_a_few_small_requests(make: Make) -> None:
    rig = make(0)
    for file in rig.files(2 * MOST_UNKEPT, MIB):
        rig.reader.read(file, 0, 1)
    assert len(rig.reader._fetches.unkept) == MOST_UNKEPT
    [large] = rig.files(1, 64 * MIB)
    rig.reader.fetch(large, 0, 2 * MIB)
    rig.reader.read(large, 0, 2 * MIB)
    assert all(fetch.stop - fetch.start <= MIB for _, fetch in rig.reader._fetches.unkept)


def test_no_small_file_is_fetched_ahead_that_would_not_be_kept(make: Make) -> None:
    small = File("id:1", "small", "1", 4096, 0, "1" * 64)
    for limit_bytes, asked_bytes in ((0, 0), (100_000, 0), (MIB, 4096)):
        rig = make(limit_bytes)
        rig.reader.prefetch(small, lambda _error: None)
        rig.reader.close()
        assert rig.source.asked_bytes == asked_bytes
    rig = make(0)
    rig.blocks.pin(small)
    rig.reader.prefetch(small, lambda _error: None)
    rig.reader.close()
    assert rig.source.asked_bytes == 4096, "what is pinned is kept"


def test_of_a_large_pinned_file_windows_are_fetched_ahead_however_small_the_cache(make: Make) -> None:
    rig = make(0)
    [file] = rig.files(1, 64 * MIB)
    assert rig.reader._planned(file, 0, BLOCK_BYTES).ahead_stop == BLOCK_BYTES
    rig.blocks.pin(file)
    planned = rig.reader._planned(file, 0, BLOCK_BYTES)
    assert planned.ahead_stop - planned.ahead_start == FREE_WINDOW_BYTES


def test_nor_where_the_disk_has_no_room_for_more_of_the_cache(make: Make) -> None:
    rig = make(2048 * MIB, lacking=lambda: 1024 * MIB)
    assert rig.read_side_by_side(rig.files(1, 256 * MIB)) <= 1.25


def test_of_a_file_that_the_cache_has_room_for_nothing_is_fetched_twice(make: Make) -> None:
    rig = make(2048 * MIB)
    assert rig.read_side_by_side(rig.files(2, 256 * MIB)) == 1.0


def test_a_window_is_a_part_of_the_cache_and_all_windows_are_another_one(make: Make) -> None:
    def ahead(limit_bytes: int, readers: int = 1, *, is_direct: bool = True) -> int:
        return most_ahead_bytes(make(limit_bytes).blocks, ANY, readers, is_direct=is_direct)

    assert ahead(2048 * MIB) == ahead(2048 * MIB, 2) == FAST_WINDOW_BYTES
    assert ahead(2048 * MIB, 4) == 2048 * MIB // PART_TOGETHER // 4
    assert ahead(2048 * MIB, is_direct=False) == MOST_WINDOW_BYTES
    assert ahead(512 * MIB) == 512 * MIB // PART_OF_CACHE
    assert ahead(64 * MIB, 4) == FREE_WINDOW_BYTES
    assert ahead(64 * MIB, 20) == 64 * MIB // PART_TOGETHER // 20
    assert ahead(8 * MIB) == 2 * MIB
    assert ahead(0) == 0


def test_where_the_disk_is_short_the_cache_is_what_it_still_has(make: Make) -> None:
    rig = make(2048 * MIB, lacking=lambda: 1)
    assert most_ahead_bytes(rig.blocks, ANY, 1, is_direct=True) == LEAST_BYTES // PART_OF_CACHE
    rig.blocks._inventory.used_bytes = 1024 * MIB
    assert most_ahead_bytes(rig.blocks, ANY, 1, is_direct=True) == MOST_WINDOW_BYTES


def test_a_window_grows_to_what_the_link_delivers_in_a_second() -> None:
    assert grown(192 * MIB, 100.0 * MIB) == 100 * MIB
    assert grown(192 * MIB, float("inf")) == 192 * MIB
    assert grown(192 * MIB, 0.0) == FREE_WINDOW_BYTES


def test_a_window_that_grew_on_a_faster_link_is_cut(make: Make) -> None:
    """Somebody sets a limit, or takes the machine elsewhere, while a film is read: what is far ahead would
    keep all other reads waiting for the line."""
    rig = make(2048 * MIB)
    [file] = rig.files(1, 1024 * MIB)
    assert still(192 * MIB, 0.0) == 192 * MIB
    for rate, ahead_bytes in ((1e9, 192 * MIB), (10.0 * MIB, 40 * MIB), (MIB / 2, FREE_WINDOW_BYTES)):
        rig.reader._fetches.rate.told_bytes_s = rate
        planned = rig.reader._planned(file, 0, BLOCK_BYTES)
        assert planned.ahead_stop - planned.ahead_start == ahead_bytes


def test_what_came_in_windows_of_any_size_is_there_for_the_next_process(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a link's rate, or three readers' share, makes them: a request begins where a block does all the
    same, or none of its blocks has a digest."""
    monkeypatch.setattr(reader, "still", lambda *_: 5 * MIB + 1)
    rig = make(2048 * MIB)
    files = rig.files(1, 64 * MIB)
    rig.read_side_by_side(files)
    rig.reader.close()
    assert Blocks(tmp_path / "0", 2048 * MIB, HashKind.DROPBOX).bytes_of(files[0]) == 64 * MIB


def test_who_reads_small_files_is_not_counted_among_those_that_read_ahead() -> None:
    fetches: dict[Key, list[Fetch]] = {
        ("a", "1"): [Fetch(0, 1, is_ahead=True)],
        ("b", "1"): [Fetch(0, 1)],
        ("c", "1"): [Fetch(0, 1, is_ahead=True), Fetch(1, 2)],
    }
    assert ReadAhead().readers(("a", "1"), (), fetches) == 2
    assert ReadAhead().readers(("d", "1"), (), fetches) == 3
    assert ReadAhead().readers(("d", "1"), (), {}) == 1


def test_a_file_is_read_ahead_until_it_is_closed_or_many_others_were_read_since() -> None:
    """Also while nothing of it is under way: its window is in the cache, and waits to be read."""
    ahead = ReadAhead()
    for name in "abc":
        ahead.read((name, "1"), ())
    assert ahead.readers(("a", "1"), (), {}) == ahead.readers(("d", "1"), (), {}) - 1 == 3
    ahead.left(("c", "1"))
    assert ahead.readers(("a", "1"), (), {}) == 2
    for _ in range(LIVE_READS):
        ahead.read(("a", "1"), ())
    assert ahead.readers(("a", "1"), (), {}) == 1


def test_a_file_that_was_read_to_its_end_takes_no_window_from_others(make: Make) -> None:
    """What is pinned is read so, and opened by nobody: it is never closed."""
    rig = make(2048 * MIB)
    read, half = rig.files(2, 16 * MIB)
    rig.read_side_by_side([read])
    for at in range(0, 2 * MIB, BLOCK_BYTES):
        rig.reader.read(half, at, BLOCK_BYTES)
    assert rig.reader._read_ahead.readers(key_of(read), (), {}) == 2
    assert rig.reader._read_ahead.readers(key_of(half), (), {}) == 1


def test_where_nothing_is_fetched_ahead_nobody_counts_who_reads(
    monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    """Each read of a database, and of a small file, would look through all of them."""
    rig = make(2048 * MIB)
    small, large = rig.files(1, 1000)[0], File("id:l", "l", "1", 1024 * MIB, 0, f"{77:064x}")
    counts: list[Key] = []

    def counted(_: ReadAhead, key: Key, *_args: object) -> int:
        counts.append(key)
        return 1

    monkeypatch.setattr(ReadAhead, "readers", counted)
    for at in range(100, 140):
        rig.reader.read(large, at * 5 * MIB, 4096)
        rig.reader.read(small, 0, 1000)
    assert not counts
    rig.reader.read(large, 500 * MIB, BLOCK_BYTES)
    rig.reader.read(large, 500 * MIB + BLOCK_BYTES, BLOCK_BYTES)
    assert counts


def test_a_place_is_read_on_until_many_reads_were_elsewhere() -> None:
    streams: tuple[Stream, ...] = ()
    for start in (0, 100 * MIB):
        for at in range(start, start + MIB, BLOCK_BYTES):
            streams = plan(streams, at, BLOCK_BYTES, 1024 * MIB).streams
    assert places(streams) == 2
    for at in range(100, 100 + LIVE_READS):
        streams = plan(streams, at * MIB, 4096, 1024 * MIB).streams
    assert places(streams) == 1


def test_a_plan_is_narrowed_to_what_the_read_comes_to_first() -> None:
    forward = Plan((), 0, 10 * BLOCK_BYTES, 10 * BLOCK_BYTES, 110 * BLOCK_BYTES)
    backward = Plan((), 200 * BLOCK_BYTES, 210 * BLOCK_BYTES, 100 * BLOCK_BYTES, 200 * BLOCK_BYTES)
    most_bytes = 30 * BLOCK_BYTES + 1
    assert forward.narrowed(100 * BLOCK_BYTES) is forward
    assert forward.narrowed(most_bytes) == replace(forward, ahead_stop=40 * BLOCK_BYTES)
    assert backward.narrowed(most_bytes) == replace(backward, ahead_start=170 * BLOCK_BYTES)
