"""Rows of ``gaps``: what of the bytes of contents only the service has for sure."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from mountfs.tree.overlay import Edit, Overlay, Range

Gaps = tuple[list[Range], list[Range]]
"""Of one content: the ranges that are missing, and those that are written and not synced."""


class GapRows:
    """The table in a store; the store's transactions are its own."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(self, content_id: int, overlay: Overlay) -> None:
        """All that *overlay* has, for a content without rows."""
        missing, unsynced = tuple(overlay.missing), tuple(overlay.unsynced)
        self.apply(content_id, [Edit(False, (), missing), Edit(True, (), unsynced)])

    def apply(self, content_id: int, edits: Iterable[Edit]) -> None:
        for edit in edits:
            is_written = int(edit.is_written)
            self._db.executemany(
                "DELETE FROM gaps WHERE content = ? AND is_written = ? AND start = ?",
                [(content_id, is_written, start) for start, _ in edit.old],
            )
            self._db.executemany(
                "INSERT INTO gaps VALUES (?, ?, ?, ?)",
                [(content_id, is_written, start, stop) for start, stop in edit.new],
            )

    def contents(self) -> list[int]:
        """Those that have rows."""
        return [content_id for (content_id,) in self._db.execute("SELECT DISTINCT content FROM gaps")]

    def delete(self, content_ids: Iterable[int]) -> None:
        self._db.executemany("DELETE FROM gaps WHERE content = ?", [(each,) for each in content_ids])


def read_gaps(db: sqlite3.Connection) -> dict[int, Gaps]:
    """Of all contents, by their ids; those that are not in it are whole."""
    found: dict[int, Gaps] = {}
    for content_id, is_written, start, stop in db.execute("SELECT * FROM gaps"):
        found.setdefault(content_id, ([], []))[is_written].append((start, stop))
    return found
