"""What a spool file lacks, against sets of bytes; and its rows, which are the same at each moment."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mountfs.model.entry import File
from mountfs.tree.gaprows import GapRows, read_gaps
from mountfs.tree.overlay import Overlay
from mountfs.tree.schema import DDL

SIZE = 20
FILE = File("id", "f", "rev", SIZE, 0, "hash")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "cut", "begin to sync", "synced", "lose"]),
        st.integers(0, 25),
        st.integers(0, 25),
    ),
    max_size=30,
)


def bytes_of(ranges: object) -> set[int]:
    return {at for start, stop in ranges for at in range(start, stop)}  # type: ignore[attr-defined]


@given(STEPS)
@settings(deadline=None)
def test_each_step_changes_sets_and_rows_alike(steps: list[tuple[str, int, int]]) -> None:
    overlay = Overlay(FILE, [(0, SIZE)])
    missing, unsynced = set(range(SIZE)), set[int]()
    syncing: list[tuple[int, int]] = []
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(DDL)
        rows = GapRows(db)
        rows.add(1, overlay)
        for verb, start, stop in steps:
            if verb == "write":
                edits = overlay.written(start, stop)
                unsynced |= missing & set(range(start, stop))
                missing -= set(range(start, stop))
            elif verb == "cut":
                edits = overlay.cut(start)
                missing = {at for at in missing if at < start}
                unsynced = {at for at in unsynced if at < start}
            elif verb == "begin to sync":
                syncing = list(overlay.unsynced)
                continue
            elif verb == "synced":
                edits = overlay.synced(syncing)
                unsynced -= bytes_of(syncing)
            else:
                syncing = []
                edits = overlay.lost()
                missing, unsynced = missing | unsynced, set()
            rows.apply(1, edits)
            overlay.apply(edits)
            assert (bytes_of(overlay.missing), bytes_of(overlay.unsynced)) == (missing, unsynced)
            assert overlay.missing_bytes == len(missing)
            found = read_gaps(db).get(1, ([], []))
            assert found == (list(overlay.missing), list(overlay.unsynced))


def test_what_is_written_between_two_ranges_while_they_are_synced_is_not_synced() -> None:
    overlay = Overlay(FILE, [(0, SIZE)])
    for start, stop in ((0, 5), (10, 15)):
        overlay.apply(overlay.written(start, stop))
    syncing = list(overlay.unsynced)
    overlay.apply(overlay.written(5, 10))
    overlay.apply(overlay.synced(syncing))
    assert list(overlay.unsynced) == [(5, 10)]


def test_a_write_that_covers_no_gap_is_no_change() -> None:
    overlay = Overlay(FILE, [(5, 10)])
    assert overlay.written(0, 5) == []
    assert overlay.written(10, 30) == []
    assert overlay.cut(10) == []
    assert overlay.lost() == []


@pytest.mark.parametrize(("size", "missing"), [(0, []), (7, [(5, 7)]), (30, [(5, 10), (12, 15)])])
def test_one_that_is_begun_from_another_lacks_the_same_bytes(
    size: int, missing: list[tuple[int, int]]
) -> None:
    overlay = Overlay(FILE, [(5, 10), (12, 15)], [(0, 3)])
    first = overlay.first(size)
    assert (list(first.missing), list(first.unsynced), first.file) == (missing, [], FILE)


def test_what_is_deleted_of_one_content_stays_of_others() -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(DDL)
        rows = GapRows(db)
        for content_id in (1, 2):
            rows.add(content_id, Overlay(FILE, [(0, 2), (4, 6)], [(2, 3)]))
        assert rows.contents() == [1, 2]
        rows.delete([1])
        assert read_gaps(db) == {2: ([(0, 2), (4, 6)], [(2, 3)])}
