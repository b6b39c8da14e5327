"""What the service acknowledged of upload sessions that are under way, as rows."""

from __future__ import annotations

import sqlite3

from mountfs.model.order import Part


class PartRows:
    """Under the tree's lock; writes belong into a transaction of the store."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.has_some = db.execute("SELECT 1 FROM parts LIMIT 1").fetchone() is not None
        """False: there are none, and there were none since the start."""

    def add(self, content_id: int, part: Part) -> None:
        self.has_some = True
        self._db.execute(
            "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?)",
            (content_id, part.offset, part.length, part.receipt),
        )

    def of(self, content_id: int) -> tuple[Part, ...]:
        """What the service acknowledged of a content's session, ascending by offset."""
        found = self._db.execute(
            "SELECT offset, length, receipt FROM parts WHERE content = ? ORDER BY offset", (content_id,)
        )
        return tuple(Part(*row) for row in found)

    def clear(self, content_id: int) -> None:
        self._db.execute("DELETE FROM parts WHERE content = ?", (content_id,))
