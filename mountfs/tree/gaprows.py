"""Rows of the table ``gaps``: ranges of contents that the spool file lacks, or may lack after a power
loss."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from mountfs.tree.overlay import Edit, Overlay, Range

Gaps = tuple[list[Range], list[Range]]
"""The missing and the unsynced ranges of one content, as in ``Overlay``."""


class GapRows:
    """The table of one store. Each call is part of the store's transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(self, content_id: int, overlay: Overlay) -> None:
        """Writes all ranges of *overlay*, for a content that has no rows yet."""
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
        """The ids of contents that have rows."""
        return [content_id for (content_id,) in self._db.execute("SELECT DISTINCT content FROM gaps")]

    def delete(self, content_ids: Iterable[int]) -> None:
        self._db.executemany("DELETE FROM gaps WHERE content = ?", [(each,) for each in content_ids])


def read_gaps(db: sqlite3.Connection) -> dict[int, Gaps]:
    """The gaps of contents by id; a content that is not among them is whole. ValueError."""
    found: dict[int, Gaps] = {}
    for content_id, is_written, start, stop in db.execute("SELECT * FROM gaps"):
        if is_written not in (0, 1) or not 0 <= start < stop:
            raise ValueError(f"it has a gap that is none, from {start} to {stop}")
        found.setdefault(content_id, ([], []))[is_written].append((start, stop))
    return found
