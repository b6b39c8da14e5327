"""The block cache on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.model.entry import File
from mountfs.model.path import RemotePath
from mountfs.reading.blocks import Blocks


def a_file(name: str = "a", size_bytes: int = 100, content_hash: str | None = None) -> File:
    return File(RemotePath(f"/{name}"), f"id:{name}", f"rev-{name}", size_bytes, 0, content_hash)


@pytest.fixture
def blocks(tmp_path: Path) -> Blocks:
    return Blocks(tmp_path / "cache", limit_bytes=250)


def test_what_was_put_is_there_and_nothing_else(blocks: Blocks) -> None:
    blocks.put(a_file(), 10, b"x" * 20)
    assert blocks.peek(a_file(), 15, 5) == b"x" * 5
    assert blocks.peek(a_file(), 15, 50) == b"x" * 15
    assert blocks.peek(a_file(), 0, 20) == b""
    assert blocks.gaps(a_file(), 0, 40) == [(0, 10), (30, 40)]
    assert blocks.peek(a_file("b"), 15, 5) == b""


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


def test_a_renamed_file_with_the_same_bytes_stays_cached(blocks: Blocks) -> None:
    before = a_file(content_hash="c0ffee")
    blocks.put(before, 0, b"x" * 100)
    assert blocks.peek(replace(before, path=RemotePath("/z"), revision="2"), 0, 100) == b"x" * 100


def test_a_committed_spool_file_is_taken_over_by_rename(blocks: Blocks, tmp_path: Path) -> None:
    spooled = tmp_path / "spooled"
    spooled.write_bytes(b"y" * 100)
    blocks.put(a_file(), 0, b"x" * 10)
    assert blocks.adopt(a_file(), spooled)
    assert not spooled.exists()
    assert blocks.peek(a_file(), 0, 100) == b"y" * 100
    assert blocks.used_bytes == 100


@pytest.mark.parametrize("size_bytes", [0, 99, 251], ids=["empty", "another size", "too large"])
def test_what_does_not_fit_is_not_taken_over(blocks: Blocks, tmp_path: Path, size_bytes: int) -> None:
    spooled = tmp_path / "spooled"
    spooled.write_bytes(b"y" * 100)
    assert not blocks.adopt(a_file(size_bytes=size_bytes), spooled)
    assert spooled.exists()
    assert not blocks.adopt(a_file(), tmp_path / "missing")


def test_what_is_dropped_is_gone(blocks: Blocks, tmp_path: Path) -> None:
    blocks.put(a_file(), 0, b"x" * 100)
    blocks.drop(a_file())
    assert not blocks.peek(a_file(), 0, 1)
    assert blocks.used_bytes == 0
    assert not list((tmp_path / "cache").iterdir())


def test_the_cache_begins_empty(tmp_path: Path) -> None:
    Blocks(tmp_path / "cache", 250).put(a_file(), 0, b"x" * 100)
    assert not Blocks(tmp_path / "cache", 250).peek(a_file(), 0, 1)
    assert not list((tmp_path / "cache").iterdir())


def test_a_disk_that_takes_nothing_costs_nobody_a_read(blocks: Blocks, tmp_path: Path) -> None:
    (tmp_path / "cache").rmdir()
    blocks.put(a_file(), 0, b"x" * 100)
    assert blocks.peek(a_file(), 0, 100) == b""
    assert blocks.used_bytes == 0


def test_of_very_small_files_only_so_many_are_kept(tmp_path: Path) -> None:
    blocks = Blocks(tmp_path / "cache", limit_bytes=250, most_files=2)
    for name in "abc":
        blocks.put(a_file(name), 0, b"x")
    assert not blocks.peek(a_file("a"), 0, 1)
    assert blocks.peek(a_file("c"), 0, 1)
    assert len(list((tmp_path / "cache").iterdir())) == 2
