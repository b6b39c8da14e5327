"""Two caches of one account side by side: what one has, the other does not fetch."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mountfs.model.blocksums import BLOCK_BYTES
from mountfs.model.entry import File
from mountfs.model.hashing import HashKind, content_hash
from mountfs.reading import othercaches
from mountfs.reading.blocks import Blocks
from mountfs.reading.othercaches import (
    LOOK_FOR_OTHERS_S,
    LOOK_S,
    NAMES_A_SECOND,
    WANTED_S,
    OtherCaches,
)
from mountfs.reading.reader import Reader
from mountfs.reading.sums import SUFFIX
from tests.fakes.clock import FakeClock

MIB = 1024 * 1024
SMALL_BODY = b"small" * 20
LARGE_BODY = random.Random(6).randbytes(9 * BLOCK_BYTES + 777)


def file_of(body: bytes, name: str = "a") -> File:
    return File(f"id:{name}", name, "1", len(body), 0, content_hash(HashKind.DROPBOX, body))


SMALL, LARGE = file_of(SMALL_BODY), file_of(LARGE_BODY, "big")


class Sides:
    """``ours`` may take from ``theirs``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now_s = 0.0
        self.theirs = self.their_next()
        self.others = OtherCaches(lambda: [directory / "theirs"])
        self.ours = self.our_next()

    def our_next(self, limit_bytes: int = 64 * MIB, **options: Any) -> Blocks:
        """As the next process finds it."""
        return self._cache("ours", limit_bytes, others=self.others, **options)

    def their_next(self, limit_bytes: int = 64 * MIB, **options: Any) -> Blocks:
        return self._cache("theirs", limit_bytes, **options)

    def look(self) -> None:
        self.now_s += LOOK_FOR_OTHERS_S
        self.others.step(self.now_s)

    def files(self, side: str) -> list[Path]:
        return sorted((self.directory / side).iterdir())

    def _cache(self, side: str, limit_bytes: int, **options: Any) -> Blocks:
        return Blocks(self.directory / side, limit_bytes, HashKind.DROPBOX, **options)


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Sides(tmp_path)


def put(cache: Blocks, *numbers: int) -> None:
    for at in (number * BLOCK_BYTES for number in numbers):
        cache.put(LARGE, at, LARGE_BODY[at : at + BLOCK_BYTES])


def present(cache: Blocks) -> list[int]:
    """The blocks of the large file that are there; all that is served is right."""
    cache.recall(LARGE)
    found = []
    for at in range(0, LARGE.size_bytes, BLOCK_BYTES):
        piece = cache.peek(LARGE, at, BLOCK_BYTES)
        assert piece == LARGE_BODY[at : at + len(piece)]
        if piece:
            found.append(at // BLOCK_BYTES)
    return found


def small_of(cache: Blocks) -> bytes:
    cache.recall(SMALL)
    return cache.peek(SMALL, 0, SMALL.size_bytes)


def test_what_another_mount_has_read_is_not_fetched(sides: Sides) -> None:
    class Source:
        def read(self, file: File, offset: int, length: int) -> bytes:
            raise AssertionError(f"{length} bytes of {file.name} are fetched")

    sides.theirs.put(SMALL, 0, SMALL_BODY)
    put(sides.theirs, *range(10))
    sides.look()
    reader = Reader(Source(), sides.ours, FakeClock())
    try:
        assert reader.read(SMALL, 0, 1000) == SMALL_BODY
        assert reader.read(LARGE, 0, LARGE.size_bytes) == LARGE_BODY
    finally:
        reader.close()
    assert sides.ours.used_bytes == sides.theirs.used_bytes == SMALL.size_bytes + LARGE.size_bytes
    assert [each.stat().st_ino for each in sides.files("ours")] == [
        each.stat().st_ino for each in sides.files("theirs")
    ]


def test_what_was_uploaded_through_another_mount_is_not_fetched(sides: Sides, tmp_path: Path) -> None:
    for file, body in ((SMALL, SMALL_BODY), (LARGE, LARGE_BODY)):
        spooled = tmp_path / "spooled"
        spooled.write_bytes(body)
        assert sides.theirs.adopt(str(file.content_hash), len(body), str(spooled))
    sides.look()
    assert small_of(sides.ours) == SMALL_BODY
    assert present(sides.ours) == list(range(10))


def test_a_very_large_file_is_taken_only_if_its_blocks_prove_themselves(
    sides: Sides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(othercaches, "MOST_HASHED_BYTES", LARGE.size_bytes - 1)
    spooled = tmp_path / "spooled"
    spooled.write_bytes(LARGE_BODY)
    assert sides.theirs.adopt(str(LARGE.content_hash), LARGE.size_bytes, str(spooled))
    sides.look()
    assert present(sides.ours) == []
    assert not sides.files("ours")
    assert present(sides.their_next()) == list(range(10))  # this makes digests
    sides.look()
    assert present(sides.ours) == list(range(10))


def test_of_a_large_file_that_is_partly_there_the_rest_comes_into_the_same_file(sides: Sides) -> None:
    put(sides.theirs, 0, 3)
    sides.look()
    assert present(sides.ours) == [0, 3]
    assert sides.ours.used_bytes == 2 * BLOCK_BYTES
    put(sides.ours, 4)
    put(sides.theirs, 5)
    assert present(sides.ours) == [0, 3, 4]
    assert present(sides.theirs) == [0, 3, 5]
    assert present(sides.their_next()) == [0, 3, 4, 5]
    assert present(sides.our_next()) == [0, 3, 4, 5]


def test_what_the_other_mount_fetches_while_both_read_is_not_fetched_again(sides: Sides) -> None:
    """Who reads behind somebody else finds each block there when it comes to it."""
    put(sides.theirs, 0)
    sides.look()
    assert present(sides.ours) == [0]
    put(sides.theirs, 1, 2, 9)
    assert sides.ours.gaps(LARGE, 0, LARGE.size_bytes) == [(3 * BLOCK_BYTES, 9 * BLOCK_BYTES)]
    assert present(sides.ours) == [0, 1, 2, 9]
    assert sides.ours.used_bytes == 3 * BLOCK_BYTES + 777
    sides.ours.clear()
    assert sides.ours.used_bytes == 0


def test_a_wrong_block_that_the_other_mount_wrote_meanwhile_is_absent(sides: Sides) -> None:
    put(sides.theirs, 0)
    sides.look()
    assert present(sides.ours) == [0]
    put(sides.theirs, 1)
    with sides.files("ours")[0].open("r+b") as torn:
        torn.seek(BLOCK_BYTES)
        torn.write(b"torn")

    fetched: list[tuple[int, int]] = []

    class Source:
        def read(self, file: File, offset: int, length: int) -> bytes:
            fetched.append((offset, length))
            return LARGE_BODY[offset : offset + length]

    reader = Reader(Source(), sides.ours, FakeClock())
    try:
        for at in range(BLOCK_BYTES + 1000, 2 * BLOCK_BYTES, 8000):
            assert reader.read(LARGE, at, 100, ahead=False) == LARGE_BODY[at : at + 100]
    finally:
        reader.close()
    assert fetched == [(BLOCK_BYTES, BLOCK_BYTES)]  # once, though no read began where the block does
    assert present(sides.our_next()) == [0, 1]


def test_what_goes_from_one_cache_stays_in_the_other(sides: Sides) -> None:
    sides.theirs.put(SMALL, 0, SMALL_BODY)
    put(sides.theirs, 1, 2)
    sides.look()
    assert (small_of(sides.ours), present(sides.ours)) == (SMALL_BODY, [1, 2])
    sides.theirs.clear()
    assert (small_of(sides.ours), present(sides.ours)) == (SMALL_BODY, [1, 2])
    assert (small_of(sides.theirs), present(sides.theirs)) == (b"", [])
    put(sides.theirs, 7)
    assert present(sides.ours) == [1, 2]
    sides.ours.clear()
    assert sides.ours.used_bytes == 0
    assert not sides.files("ours")
    assert present(sides.theirs) == [7]


def test_what_was_evicted_since_is_fetched(sides: Sides) -> None:
    sides.theirs.put(SMALL, 0, SMALL_BODY)
    put(sides.theirs, 1)
    sides.look()
    sides.theirs.clear()
    assert (small_of(sides.ours), present(sides.ours)) == (b"", [])
    assert not sides.files("ours")
    sides.ours.put(SMALL, 0, SMALL_BODY)
    assert small_of(sides.ours) == SMALL_BODY


@pytest.mark.parametrize(
    ("offset", "data"),
    [(0, SMALL_BODY[:40]), (40, SMALL_BODY[40:]), (0, b"y" * 100)],
    ids=["its end is missing", "its beginning is missing", "other bytes"],
)
def test_wrong_bytes_of_a_small_file_are_not_believed_and_not_written_to(
    sides: Sides, offset: int, data: bytes
) -> None:
    sides.theirs.put(SMALL, offset, data)
    sides.look()
    assert small_of(sides.ours) == b""
    assert not sides.files("ours")
    sides.ours.put(SMALL, 0, SMALL_BODY)
    assert small_of(sides.ours) == SMALL_BODY
    assert sides.theirs.peek(SMALL, offset, len(data)) == data
    assert [each.stat().st_nlink for each in sides.files("ours")] == [1]


def test_what_did_not_prove_itself_is_not_tried_again_before_the_next_look(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides.theirs.put(SMALL, 0, b"y" * 100)
    sides.look()
    tried: list[str] = []

    def link(source: str, target: str) -> None:
        tried.append(source)
        _link(source, target)

    monkeypatch.setattr(os, "link", link)
    for looks in (1, 2):
        for _ in range(3):
            assert small_of(sides.ours) == b""
        assert len([each for each in tried if not each.endswith(SUFFIX)]) == looks
        sides.look()


def test_a_small_file_that_is_whole_by_now_is_taken_without_a_change_of_the_directory(sides: Sides) -> None:
    sides.theirs.put(SMALL, 0, SMALL_BODY[:40])
    sides.look()
    assert small_of(sides.ours) == b""
    sides.theirs.put(SMALL, 40, SMALL_BODY[40:])
    sides.look()
    assert small_of(sides.ours) == SMALL_BODY


def test_a_wrong_block_of_a_large_file_is_absent_and_comes_again(sides: Sides) -> None:
    put(sides.theirs, 1, 2)
    path = next(each for each in sides.files("theirs") if each.suffix != SUFFIX)
    with path.open("r+b") as file:
        file.seek(2 * BLOCK_BYTES + 5000)
        file.write(b"wrong")
    sides.look()
    assert present(sides.ours) == [1]
    put(sides.ours, 2)
    assert present(sides.ours) == [1, 2]


def test_a_large_file_of_which_nothing_is_there_yet_is_not_taken(sides: Sides) -> None:
    assert sides.theirs.land(LARGE, MIB) is not None
    sides.look()
    assert present(sides.ours) == []
    assert not sides.files("ours")


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOENT, errno.ENOSPC])
@pytest.mark.parametrize("call", [0, 1])
def test_a_link_that_cannot_be_made_is_a_miss(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, number: int, call: int
) -> None:
    """The first is that of the digests, the second that of the bytes."""
    put(sides.theirs, 1)
    sides.look()
    calls = 0

    def link(source: str, target: str) -> None:
        nonlocal calls
        calls += 1
        if calls > call:
            raise OSError(number, os.strerror(number))
        _link(source, target)

    monkeypatch.setattr(os, "link", link)
    assert present(sides.ours) == []
    assert not sides.files("ours")
    monkeypatch.undo()
    put(sides.ours, 4)
    assert present(sides.ours) == [4]


_link = os.link


def test_a_kill_between_the_links_leaves_nothing(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def link(source: str, target: str) -> None:
        if not source.endswith(SUFFIX):
            raise Killed
        _link(source, target)

    put(sides.theirs, 1)
    sides.look()
    monkeypatch.setattr(os, "link", link)
    with pytest.raises(Killed):
        sides.ours.recall(LARGE)
    monkeypatch.undo()
    sides.our_next()
    assert not sides.files("ours")
    assert present(sides.their_next()) == [1]


def test_what_was_fetched_while_it_was_lent_stays(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: str, target: str) -> None:
        _link(source, target)
        if not source.endswith(SUFFIX):
            put(sides.ours, 4)

    put(sides.theirs, 1)
    sides.look()
    monkeypatch.setattr(os, "link", link)
    assert present(sides.ours) == [4]
    assert sides.ours.used_bytes == BLOCK_BYTES
    assert len(sides.files("ours")) == 2


def test_what_is_lent_counts_and_more_than_may_be_kept_is_not_taken(sides: Sides) -> None:
    put(sides.theirs, *range(10))
    sides.theirs.put(SMALL, 0, SMALL_BODY)
    sides.look()
    ours = sides.our_next(8 * BLOCK_BYTES)
    assert present(ours) == []
    assert ours.used_bytes == 0
    assert not sides.files("ours")
    put(ours, *range(8))
    assert small_of(ours) == SMALL_BODY
    assert ours.used_bytes == SMALL.size_bytes  # the other one had to go
    assert len(sides.files("ours")) == 1


def test_what_is_pinned_may_be_lent(sides: Sides) -> None:
    sides.theirs.put(SMALL, 0, SMALL_BODY)
    sides.look()
    ours = sides.our_next(10)
    ours.begin_pins()
    ours.pin(SMALL)
    assert small_of(ours) == SMALL_BODY
    assert ours.pinned_bytes == ours.used_bytes == SMALL.size_bytes
    ours.begin_pins()
    ours.end_pins()
    assert ours.pinned_bytes == ours.used_bytes == 0
    assert small_of(sides.theirs) == SMALL_BODY


def test_a_disk_without_room_gets_what_one_cache_can_give(sides: Sides) -> None:
    """A name that goes frees nothing as long as the other cache has the file: who looks again ends too."""
    put(sides.theirs, *range(10))
    sides.theirs.put(SMALL, 0, SMALL_BODY)
    sides.look()
    ours = sides.our_next(lacking_bytes=lambda: 10 * MIB, least_bytes=SMALL.size_bytes)
    assert present(ours) == list(range(10))
    assert small_of(ours) == SMALL_BODY
    for _ in range(3):
        ours.make_room()
        assert ours.used_bytes == SMALL.size_bytes
    assert small_of(ours) == SMALL_BODY
    assert present(sides.theirs) == list(range(10))


def test_a_cache_that_nobody_uses_lets_go_of_what_it_shares_too(sides: Sides) -> None:
    lacking_bytes = 0
    put(sides.theirs, *range(10))
    sides.look()
    ours = sides.our_next(lacking_bytes=lambda: lacking_bytes, least_bytes=0)
    sides.others.on_look = ours.look
    assert present(ours) == list(range(10))
    sides.look()
    assert present(ours) == list(range(10))
    lacking_bytes = MIB
    sides.theirs.clear()
    assert len(sides.files("ours")) == 2
    sides.look()
    assert not sides.files("ours")


def test_a_disk_without_room_gets_it_of_an_idle_cache_that_is_alone(tmp_path: Path) -> None:
    lacking_bytes = 0
    others = OtherCaches()
    cache = Blocks(
        tmp_path / "ours", 64 * MIB, HashKind.DROPBOX, lacking_bytes=lambda: lacking_bytes, least_bytes=0
    )
    others.on_look = cache.look
    put(cache, *range(10))
    lacking_bytes = 2 * MIB
    others.step(LOOK_FOR_OTHERS_S)
    assert cache.used_bytes == 0
    assert not list((tmp_path / "ours").iterdir())


class _Calls:
    """``os``, counting."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.made.append(name)
        return getattr(os, name)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Calls]:
    made = _Calls()
    monkeypatch.setattr(othercaches, "os", made)
    yield made


def test_without_another_cache_nothing_is_asked_of_the_disk(tmp_path: Path, calls: _Calls) -> None:
    asked: list[float] = []
    now_s = 0.0

    def directories() -> list[Path]:
        asked.append(now_s)
        return []

    others = OtherCaches(directories)
    others.wake = lambda: pytest.fail("there is nothing to look for")
    blocks = Blocks(tmp_path / "ours", MIB, HashKind.DROPBOX, others=others)
    while now_s < 2.5 * LOOK_FOR_OTHERS_S:
        now_s = others.step(now_s)
        assert small_of(blocks) == b""
    assert asked == [0, LOOK_FOR_OTHERS_S, 2 * LOOK_FOR_OTHERS_S]
    assert calls.made == []


def test_only_a_directory_that_has_changed_is_read_again(sides: Sides, calls: _Calls) -> None:
    assert sides.others.step(0.0) == LOOK_S
    assert sides.others.step(1.0) == LOOK_S
    assert calls.made == ["stat", "scandir"]
    sides.others.step(LOOK_S)
    assert calls.made == ["stat", "scandir", "stat"]
    sides.theirs.put(SMALL, 0, SMALL_BODY)
    os.utime(sides.directory / "theirs", ns=(1, 1))  # whatever its clock has for it
    assert sides.others.step(2 * LOOK_S) == pytest.approx(3 * LOOK_S, abs=0.1)
    assert calls.made[3:] == ["stat", "scandir"]
    assert small_of(sides.ours) == SMALL_BODY


def test_what_nobody_had_is_looked_for_sooner_and_once(sides: Sides) -> None:
    woken: list[float] = []
    sides.others.wake = lambda: woken.append(sides.now_s)
    sides.look()
    for _ in range(3):
        assert small_of(sides.ours) == b""
    assert len(woken) == 1
    sides.theirs.put(SMALL, 0, SMALL_BODY)
    due_s = sides.others.step(sides.now_s)
    assert due_s == sides.now_s + WANTED_S
    sides.others.step(due_s)
    assert small_of(sides.ours) == SMALL_BODY


def test_a_cache_that_is_gone_lends_nothing(sides: Sides) -> None:
    sides.theirs.put(SMALL, 0, SMALL_BODY)
    sides.look()
    for each in sides.files("theirs"):
        each.unlink()
    (sides.directory / "theirs").rmdir()
    sides.look()
    assert small_of(sides.ours) == b""
    assert sides.others.step(sides.now_s) == sides.now_s + LOOK_FOR_OTHERS_S


def test_only_so_many_names_are_known_and_many_are_read_rarely(tmp_path: Path) -> None:
    caches = [tmp_path / name for name in "ab"]
    for number, directory in enumerate(caches):
        directory.mkdir()
        (directory / "of somebody else").touch()
        for serial in range(3):
            (directory / f"{serial:08x}.5.{number}{serial}c0ffee").touch()
    lending = OtherCaches(lambda: caches, most_names=4)
    assert lending.step(0.0) == LOOK_S + 4 / NAMES_A_SECOND
    asked: list[str] = []

    def new_path() -> str:
        asked.append("")
        return str(tmp_path / f"{len(asked)}")

    for number in range(2):
        for serial in range(3):
            lending.lend((f"{number}{serial}c0ffee", "5"), new_path)
    assert len(asked) == 4


def test_contents_without_a_hash_are_not_looked_for(sides: Sides) -> None:
    unhashed = File("id:x", "x", "1", 5, 0, None)
    sides.theirs.put(unhashed, 0, b"12345")
    sides.look()
    sides.ours.recall(unhashed)
    assert sides.ours.peek(unhashed, 0, 5) == b""


@pytest.mark.parametrize("seed", range(12))
def test_whatever_two_caches_do_in_turns_no_wrong_byte_is_served(tmp_path: Path, seed: int) -> None:
    """Each takes from the other; puts, looks, evictions, removals and starts in a random order."""
    chance = random.Random(seed)
    bodies = [LARGE_BODY, LARGE_BODY[::-1], SMALL_BODY, SMALL_BODY[::-1], b"tiny"]
    files = [file_of(body, f"{number}") for number, body in enumerate(bodies)]
    names = ["a", "b"]
    others = [OtherCaches(lambda name=name: [tmp_path / name]) for name in reversed(names)]  # type: ignore[misc]

    def start(side: int) -> Blocks:
        return Blocks(tmp_path / names[side], 14 * BLOCK_BYTES, HashKind.DROPBOX, others=others[side])

    caches = [start(0), start(1)]
    for step in range(80):
        side = chance.randrange(2)
        cache = caches[side]
        number = chance.randrange(len(files))
        file, body = files[number], bodies[number]
        match chance.randrange(8):
            case 0:
                cache.drop(file)
            case 1:
                caches[side] = start(side)
            case 2 | 3:
                others[side].step(step * LOOK_FOR_OTHERS_S)
            case 4:
                cached = cache.land(file, min(MIB, file.size_bytes))
                if cached is not None:
                    with Path(cached.path).open("r+b") as landing:
                        landing.write(body[: 3 * BLOCK_BYTES])
                    cache.broke_off(file, cached, 0, MIB)
            case _:
                cache.recall(file)
                for low, high in cache.gaps(file, 0, file.size_bytes)[: chance.randrange(3)]:
                    cache.put(file, low, body[low:high][: chance.randrange(1, 6) * BLOCK_BYTES])
                    assert cache.used_bytes <= 14 * BLOCK_BYTES
        for at in range(0, file.size_bytes, BLOCK_BYTES):
            piece = caches[side].peek(file, at, BLOCK_BYTES)
            assert piece == body[at : at + len(piece)]
        assert sum(caches[side].bytes_of(each) for each in files) <= caches[side].used_bytes
    for cache in caches:
        cache.clear()
        assert cache.used_bytes == 0
