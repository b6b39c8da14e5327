"""Rows that a walk writes are those of the nodes, however many are written by one statement."""

from __future__ import annotations

from pathlib import Path

import pytest

from mountfs.model.entry import Entry, File, Folder
from mountfs.tree.node import ROOT_ID
from mountfs.tree.store import Store
from mountfs.tree.walkrows import ADDED_AT_ONCE


@pytest.mark.parametrize("count", [0, 1, ADDED_AT_ONCE - 1, ADDED_AT_ONCE, 2 * ADDED_AT_ONCE + 1])
def test_each_entry_of_a_walk_has_its_row(tmp_path: Path, count: int) -> None:
    store = Store(tmp_path / "journal.db")
    entries: list[Entry] = [
        Folder(f"id:{number}", f"D{number}")
        if number % 7 == 0
        else File(f"id:{number}", f"ü{number}", f"r{number}", number, number * 10**9, None, number % 2 == 0)
        for number in range(count)
    ]
    store.begin()
    store.walked.add([(100 + number, ROOT_ID, entry) for number, entry in enumerate(entries)])
    store.end()
    rows = store.children(ROOT_ID)
    assert [row.base for row in rows] == entries
    assert [(row.id, row.name, row.parent, row.base_parent, row.is_dirty) for row in rows] == [
        (100 + number, entry.name, ROOT_ID, ROOT_ID, False) for number, entry in enumerate(entries)
    ]
    store.close()
