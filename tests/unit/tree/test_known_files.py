"""The index of what the service has, by bytes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from mountfs.tree.knownfiles import KnownFiles
from mountfs.tree.schema import DDL

ROW = (
    "INSERT INTO nodes (id, kind, parent, name, remote_id, base_size, base_time_s, base_hash, is_document,"
    " touched_ns, is_dirty) VALUES (?, 'file', ?, 'name', ?, ?, ?, ?, 0, 0, 0)"
)
FILES = 5_000
MOST_STEPS = 300
"""Of SQLite's machine, for one question; to go through all rows of a size takes ten for each."""


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """5,000 files of one size, each with other bytes, of which each tenth was removed here."""
    with closing(sqlite3.connect(":memory:")) as made:
        made.executescript(DDL)
        made.executemany(
            ROW,
            [
                (number, None if number % 10 == 0 else 1, f"id:{number}", 4096, 100, _hash(number))
                for number in range(FILES)
            ],
        )
        yield made


def _hash(number: int) -> str:
    return f"{number:012x}" + "0" * 52


def steps(db: sqlite3.Connection, ask: list[object]) -> None:
    db.set_progress_handler(lambda: ask.append(None), 1)


@pytest.mark.parametrize("time_s", [None, 100])
def test_a_file_is_found_without_going_through_others_of_its_size(
    db: sqlite3.Connection, time_s: int | None
) -> None:
    made: list[object] = []
    steps(db, made)
    assert list(KnownFiles(db).with_bytes(4096, _hash(4_003), time_s, 50)) == ["id:4003"]
    assert KnownFiles(db).has_size(4096)
    assert not KnownFiles(db).has_size(4097)
    assert KnownFiles(db).has_size_from(4000)
    assert len(made) <= MOST_STEPS


def test_only_the_very_bytes_and_the_very_time_count(db: sqlite3.Connection) -> None:
    known = KnownFiles(db)
    db.execute(ROW, (FILES, 1, "id:like", 4096, 100, _hash(5)[:-1] + "1"))
    db.execute(ROW, (FILES + 1, 1, "id:same", 4096, 200, _hash(5)))
    assert sorted(known.with_bytes(4096, _hash(5), None, 50)) == ["id:5", "id:same"]
    assert list(known.with_bytes(4096, _hash(5), 200, 50)) == ["id:same"]
    assert list(known.with_bytes(4095, _hash(5), None, 50)) == []
    assert len(list(known.with_bytes(4096, _hash(5), None, 1))) == 1


def test_what_was_removed_here_is_not_found(db: sqlite3.Connection) -> None:
    assert list(KnownFiles(db).with_bytes(4096, _hash(20), None, 50)) == []
