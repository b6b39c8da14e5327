"""The block cache on disk."""

from __future__ import annotations

import errno
import gc
import os
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.model.entry import File
from mountfs.model.hashing import HashKind, content_hash
from mountfs.reading.blocks import Blocks
from mountfs.reading.cachefile import CacheFile
from mountfs.reading.contentkey import Key
from mountfs.reading.inventory import Inventory
from mountfs.reading.limits import MOST_FILES, MOST_SPARED


def a_file(name: str = "a", size_bytes: int = 100, content_hash: str | None = None) -> File:
    return File(f"id:{name}", name, f"rev-{name}", size_bytes, 0, content_hash)


def a_cache(tmp_path: Path, most_files: int = MOST_FILES) -> Blocks:
    """As a process finds it."""
    return Blocks(tmp_path / "cache", 250, HashKind.SHA1, most_files)


@pytest.fixture
def blocks(tmp_path: Path) -> Blocks:
    return a_cache(tmp_path)


def test_what_was_put_is_there_and_nothing_else(blocks: Blocks) -> None:
    blocks.put(a_file(), 10, b"x" * 20)
    assert blocks.peek(a_file(), 15, 5) == b"x" * 5
    assert blocks.peek(a_file(), 15, 50) == b"x" * 15
    assert blocks.peek(a_file(), 0, 20) == b""
    assert blocks.gaps(a_file(), 0, 40) == [(0, 10), (30, 40)]
    assert blocks.peek(a_file("b"), 15, 5) == b""


def test_a_small_file_that_is_cached_takes_few_objects(tmp_path: Path) -> None:
    """Up to MOST_FILES are, after weeks of small files."""
    blocks = Blocks(tmp_path / "cache", 10**6, HashKind.SHA1)

    def count() -> int:
        gc.collect()
        return sum(type(each) in (list, set, dict) for each in gc.get_objects())

    before = count()
    for number in range(100):
        blocks.put(a_file(f"f{number}"), 0, b"x" * 100)
    assert count() - before <= 100 * 2 + 10  # where its ranges begin and end


def test_the_least_recently_used_goes_first(blocks: Blocks, tmp_path: Path) -> None:
    for name in "ab":
        blocks.put(a_file(name), 0, b"x" * 100)
    assert blocks.peek(a_file("a"), 0, 1)
    blocks.put(a_file("c"), 0, b"x" * 100)
    assert not blocks.peek(a_file("b"), 0, 1)
    assert blocks.peek(a_file("a"), 0, 1)
    assert blocks.used_bytes == 200
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_file_larger_than_the_cache_keeps_its_newest_bytes(blocks: Blocks) -> None:
    huge = a_file(size_bytes=1000)
    for at in range(0, 1000, 100):
        blocks.put(huge, at, b"%100d" % at)
    assert blocks.used_bytes <= 250


@pytest.mark.parametrize("is_former", [False, True])
def test_a_short_disk_gets_what_is_pinned_last_however_many_files_that_are(
    tmp_path: Path, is_former: bool
) -> None:
    """What is pinned is read rarely, so it is what was used least recently. *is_former*: a process before
    has read the others, and nobody knows yet what of them is to be pinned."""
    lacks = 0
    blocks = Blocks(tmp_path / "cache", 10**6, HashKind.SHA1, lacking_bytes=lambda: lacks, least_bytes=0)
    blocks.begin_pins()
    kept = [a_file(f"kept{number}") for number in range(MOST_SPARED + 10)]
    for file in kept:
        blocks.pin(file)
        blocks.put(file, 0, b"x")
    others = [a_file(f"other{number}") for number in range(10)]
    for file in others:
        blocks.put(file, 0, b"x" * 100)
    blocks.spares_former = is_former
    for cached in blocks._inventory.files.values():
        cached.is_former = is_former
    for wanted, pinned, rest in ((500, len(kept), 500), (500, len(kept), 0), (10, len(kept) - 10, 0)):
        lacks = wanted
        blocks.make_room()
        assert (sum(map(blocks.bytes_of, kept)), sum(map(blocks.bytes_of, others))) == (pinned, rest)


class Counted(OrderedDict[Key, CacheFile]):
    """Counts what is passed over."""

    moves = 0

    def move_to_end(self, key: Key, last: bool = True) -> None:
        self.moves += 1
        super().move_to_end(key, last)


def test_what_is_larger_than_the_cache_is_looked_through_once_however_many_pinned_files_are_passed_over(
    monkeypatch: pytest.MonkeyPatch, blocks: Blocks
) -> None:
    """All reads wait for the lock meanwhile, and there may be hundreds of each kind."""
    blocks.begin_pins()
    for number in range(50):
        blocks.pin(a_file(f"kept{number}"))
        blocks.put(a_file(f"kept{number}"), 0, b"x")
    for name in "ab":
        blocks.put(a_file(name), 0, b"x" * 100)
    look, looks = Inventory._first_of_larger, []

    def counted(inventory: Inventory, most_bytes: int) -> Key | None:
        looks.append(most_bytes)
        return look(inventory, most_bytes)

    monkeypatch.setattr(Inventory, "_first_of_larger", counted)
    blocks.put(a_file("c"), 0, b"x" * 100)
    assert blocks.used_bytes == 50 + 200
    assert len(looks) == 1


def test_where_all_is_pinned_a_short_disk_has_nothing_passed_over(tmp_path: Path) -> None:
    lacks = 0
    blocks = Blocks(tmp_path / "cache", 10**6, HashKind.SHA1, lacking_bytes=lambda: lacks, least_bytes=0)
    blocks.begin_pins()
    for number in range(50):
        blocks.pin(a_file(f"kept{number}"))
        blocks.put(a_file(f"kept{number}"), 0, b"x")
    blocks._inventory.files = counted = Counted(blocks._inventory.files)
    lacks = 10
    blocks.make_room()
    assert (blocks.used_bytes, counted.moves) == (40, 0)


def test_what_the_disk_lacks_the_cache_gives_but_for_a_little(tmp_path: Path) -> None:
    lacks = 0
    blocks = Blocks(tmp_path / "cache", 1000, HashKind.SHA1, lacking_bytes=lambda: lacks, least_bytes=150)
    for name in "abcd":
        blocks.put(a_file(name), 0, b"x" * 100)
    lacks = 101
    blocks.make_room()
    assert [bool(blocks.peek(a_file(name), 0, 1)) for name in "abcd"] == [False, False, True, True]
    lacks = 10**9
    for name in "ef":
        blocks.put(a_file(name), 0, b"x" * 100)
        assert blocks.used_bytes == 100
        assert blocks.peek(a_file(name), 0, 100)


def test_a_renamed_file_with_the_same_bytes_stays_cached(blocks: Blocks) -> None:
    before = a_file(content_hash="c0ffee")
    blocks.put(before, 0, b"x" * 100)
    assert blocks.peek(replace(before, name="z", revision="2"), 0, 100) == b"x" * 100


def test_a_committed_spool_file_is_taken_over_by_rename(blocks: Blocks, tmp_path: Path) -> None:
    spooled = tmp_path / "spooled"
    spooled.write_bytes(b"y" * 100)
    file = a_file(content_hash="hash")
    blocks.put(file, 0, b"x" * 10)
    assert blocks.adopt("hash", 100, str(spooled))
    assert not spooled.exists()
    assert blocks.peek(file, 0, 100) == b"y" * 100
    assert blocks.used_bytes == 100


def test_the_disk_is_asked_for_its_room_once_for_many_files_that_are_taken_over(tmp_path: Path) -> None:
    asked = 0

    def lacking_bytes() -> int:
        nonlocal asked
        asked += 1
        return 0

    blocks = Blocks(tmp_path / "cache", 10**9, HashKind.SHA1, lacking_bytes=lacking_bytes)
    size_bytes = 1024 * 1024
    for number in range(9):
        spooled = tmp_path / "spooled"
        with spooled.open("wb") as file:
            file.truncate(size_bytes)
        assert blocks.adopt(f"{number:040x}", size_bytes, str(spooled))
    assert blocks.used_bytes == 9 * size_bytes
    assert asked == 2


@pytest.mark.parametrize("size_bytes", [0, 99, 251], ids=["empty", "another size", "too large"])
def test_what_does_not_fit_is_not_taken_over(blocks: Blocks, tmp_path: Path, size_bytes: int) -> None:
    spooled = tmp_path / "spooled"
    spooled.write_bytes(b"y" * 100)
    assert not blocks.adopt("hash", size_bytes, str(spooled))
    assert spooled.exists()
    assert not blocks.adopt("hash", 100, str(tmp_path / "missing"))


def test_what_is_dropped_is_gone(blocks: Blocks, tmp_path: Path) -> None:
    blocks.put(a_file(), 0, b"x" * 100)
    blocks.drop(a_file())
    assert not blocks.peek(a_file(), 0, 1)
    assert blocks.used_bytes == 0
    assert not list((tmp_path / "cache").iterdir())


BODY = b"z" * 100
HASHED = a_file(content_hash=content_hash(HashKind.SHA1, BODY))


def test_a_whole_file_is_still_cached_for_the_next_process(blocks: Blocks, tmp_path: Path) -> None:
    blocks.put(HASHED, 60, BODY[60:])
    blocks.put(HASHED, 0, BODY[:60])
    after = a_cache(tmp_path)
    after.recall(HASHED)
    assert after.peek(HASHED, 0, 100) == BODY
    assert after.used_bytes == 100


def test_a_committed_spool_file_is_still_cached_for_the_next_process(blocks: Blocks, tmp_path: Path) -> None:
    spooled = tmp_path / "spooled"
    spooled.write_bytes(BODY)
    assert HASHED.content_hash is not None
    assert blocks.adopt(HASHED.content_hash, 100, str(spooled))
    after = a_cache(tmp_path)
    after.recall(HASHED)
    assert after.peek(HASHED, 0, 100) == BODY


@pytest.mark.parametrize(
    ("offset", "data"),
    [(0, BODY[:40]), (40, BODY[40:]), (0, b"y" * 100), (0, BODY + b"y")],
    ids=["its end is missing", "its beginning is missing", "other bytes", "more bytes"],
)
def test_what_is_not_the_whole_file_is_not_cached_for_the_next_process(
    blocks: Blocks, tmp_path: Path, offset: int, data: bytes
) -> None:
    blocks.put(HASHED, offset, data)
    after = a_cache(tmp_path)
    after.recall(HASHED)
    assert after.gaps(HASHED, 0, 100) == [(0, 100)]
    assert after.used_bytes == 0
    assert not list((tmp_path / "cache").iterdir())


def test_what_nobody_looked_at_yet_does_not_count_as_cached(blocks: Blocks, tmp_path: Path) -> None:
    blocks.put(HASHED, 0, BODY)
    after = a_cache(tmp_path)
    assert after.peek(HASHED, 0, 100) == b""
    after.put(HASHED, 0, BODY[:10])
    assert after.gaps(HASHED, 0, 100) == [(0, 100)]
    assert len(list((tmp_path / "cache").iterdir())) == 1
    after.recall(HASHED)
    assert after.peek(HASHED, 0, 100) == BODY


def test_of_what_a_former_process_kept_the_oldest_goes_first(blocks: Blocks, tmp_path: Path) -> None:
    bodies = [bytes([number]) * 100 for number in range(3)]
    files = [a_file(content_hash=content_hash(HashKind.SHA1, body)) for body in bodies]
    for file, body in zip(files[:2], bodies, strict=False):
        blocks.put(file, 0, body)
    after = a_cache(tmp_path)
    after.put(files[2], 0, bodies[2])
    for file in files:
        after.recall(file)
    assert [bool(after.peek(file, 0, 1)) for file in files] == [False, True, True]


def test_files_whose_content_no_hash_tells_are_not_kept_for_the_next_process(
    blocks: Blocks, tmp_path: Path
) -> None:
    blocks.put(a_file(), 0, b"x" * 100)
    (tmp_path / "cache" / "of somebody else").touch()
    assert a_cache(tmp_path).used_bytes == 0
    assert not list((tmp_path / "cache").iterdir())


def test_a_disk_that_takes_nothing_costs_nobody_a_read(blocks: Blocks, tmp_path: Path) -> None:
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").touch()
    blocks.put(a_file(), 0, b"x" * 100)
    assert blocks.peek(a_file(), 0, 100) == b""
    assert blocks.used_bytes == 0


def test_a_disk_that_turned_read_only_costs_nobody_a_read(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ext4 does after an error: what is there is read, nothing is written or removed."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    blocks.put(a_file("a"), 0, b"a" * 100)
    blocks.put(a_file("b"), 0, b"b" * 100)
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        patched.setattr(Path, "unlink", refuse)
        blocks.put(a_file("a"), 0, b"x" * 10)
        blocks.put(a_file("c"), 0, b"c" * 10)
        blocks.drop(a_file("b"))
    for name in "abc":
        assert blocks.peek(a_file(name), 0, 1) == b""
    assert blocks.used_bytes == 0
    blocks.put(a_file("a"), 0, b"y" * 10)
    assert blocks.peek(a_file("a"), 0, 10) == b"y" * 10


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT])
def test_what_a_full_disk_does_not_take_costs_nothing_of_what_is_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    """All that was there of a file went where one further piece of it could not be written. Others give way
    first."""
    lacks = 0
    blocks = Blocks(tmp_path / "cache", 10**6, HashKind.SHA1, lacking_bytes=lambda: lacks, least_bytes=0)

    def refuse(*_: object) -> int:
        raise OSError(reason, os.strerror(reason))

    kept, other = a_file("kept", 1000), a_file("other")
    blocks.begin_pins()
    blocks.pin(kept)
    blocks.put(kept, 0, b"k" * 300)
    blocks.put(other, 0, b"o" * 100)
    lacks = 50
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", refuse)
        blocks.put(kept, 300, b"x" * 300)
    assert (blocks.bytes_of(kept), blocks.bytes_of(other), blocks.has_lost_pins) == (300, 0, False)
    assert blocks.peek(kept, 0, 1000) == b"k" * 300
    lacks = 0
    blocks.put(kept, 300, b"k" * 300)
    assert blocks.peek(kept, 0, 1000) == b"k" * 600


def test_a_pinned_file_that_somebody_removed_or_cut_is_not_pieced_together(
    blocks: Blocks, tmp_path: Path
) -> None:
    kept = a_file("kept", 1000)
    blocks.pin(kept)
    for spoil in (Path.unlink, lambda path: os.truncate(path, 10)):
        blocks.put(kept, 0, b"k" * 100)
        (path,) = (tmp_path / "cache").iterdir()
        spoil(path)
        blocks.put(kept, 100, b"k" * 100)
        assert (blocks.bytes_of(kept), blocks.used_bytes) == (0, 0)


def test_what_cannot_be_removed_from_the_cache_keeps_no_mount_from_starting(tmp_path: Path) -> None:
    """Such as the lost+found of a file system that is mounted there."""
    (tmp_path / "cache" / "lost+found").mkdir(parents=True)
    named_as_ours = tmp_path / "cache" / f"00000001.100.{content_hash(HashKind.SHA1, BODY)}"
    named_as_ours.mkdir()
    blocks = a_cache(tmp_path)
    blocks.recall(HASHED)
    assert blocks.peek(HASHED, 0, 100) == b""
    blocks.put(HASHED, 0, BODY)
    assert blocks.peek(HASHED, 0, 100) == BODY


def test_of_very_small_files_only_so_many_are_kept(tmp_path: Path) -> None:
    blocks = a_cache(tmp_path, most_files=2)
    for name in "abc":
        blocks.put(a_file(name), 0, b"x")
    assert not blocks.peek(a_file("a"), 0, 1)
    assert blocks.peek(a_file("c"), 0, 1)
    assert len(list((tmp_path / "cache").iterdir())) == 2
