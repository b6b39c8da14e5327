"""The cache of a mount that no longer runs, as the one that takes it over finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mountfs.model.hashing import HashKind
from mountfs.reading.blocks import Blocks
from mountfs.reading.inherited import take_cache
from tests.unit.reading.test_othercaches import LARGE, LARGE_BODY, SMALL, SMALL_BODY, present, put

MIB = 1024 * 1024


class Caches:
    """Two directories, and what a mount finds in ours once theirs was taken."""

    def __init__(self, directory: Path) -> None:
        self.ours, self.theirs = directory / "ours", directory / "theirs"

    def take(self) -> Blocks:
        take_cache(self.theirs, self.ours)
        return self.cache(self.ours)

    def cache(self, directory: Path, limit_bytes: int = 64 * MIB) -> Blocks:
        return Blocks(directory, limit_bytes, HashKind.DROPBOX)


@pytest.fixture
def caches(tmp_path: Path) -> Caches:
    return Caches(tmp_path)


def test_what_they_cached_is_cached_here_and_theirs_is_gone(caches: Caches) -> None:
    theirs = caches.cache(caches.theirs)
    put(theirs, 0, 1, 5)
    theirs.put(SMALL, 0, SMALL_BODY)
    ours = caches.take()
    assert present(ours) == [0, 1, 5]
    ours.recall(SMALL)
    assert ours.peek(SMALL, 0, 100) == SMALL_BODY
    assert not caches.theirs.exists()


def test_of_what_both_cached_the_fuller_one_stays(caches: Caches) -> None:
    put(caches.cache(caches.theirs), 0, 1, 2, 3)
    put(caches.cache(caches.ours), 7)
    assert present(caches.take()) == [0, 1, 2, 3]
    put(caches.cache(caches.theirs), 8)
    assert present(caches.take()) == [0, 1, 2, 3]
    assert len(list(caches.ours.iterdir())) == 2, "a cache file and its digests"


def test_a_file_that_both_share_is_kept_once(caches: Caches) -> None:
    ours = caches.cache(caches.ours)
    put(ours, 2)
    caches.theirs.mkdir()
    for each in caches.ours.iterdir():
        (caches.theirs / each.name).hardlink_to(each)
    assert present(caches.take()) == [2]


def test_what_cannot_be_moved_is_removed(caches: Caches, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or nobody would ever let it go."""
    put(caches.cache(caches.theirs), 0)

    def elsewhere(_source: str, _target: str) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("mountfs.reading.inherited.os.rename", elsewhere)
    assert present(caches.take()) == []
    assert not caches.theirs.exists()


def test_where_there_is_no_cache_nothing_happens(caches: Caches) -> None:
    put(caches.cache(caches.ours), 0)
    assert present(caches.take()) == [0]


def test_it_fills_ours_up_to_its_limit(caches: Caches) -> None:
    put(caches.cache(caches.theirs), *range(9))
    take_cache(caches.theirs, caches.ours)
    ours = caches.cache(caches.ours, limit_bytes=2 * len(LARGE_BODY) // 3)
    ours.put(SMALL, 0, SMALL_BODY)
    assert present(ours) == []
    assert ours.used_bytes <= ours.limit_bytes
    assert LARGE.size_bytes > ours.limit_bytes
