"""Notices, as rows: the last ones, for `mountfs status` and the page."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

NOTICES_KEPT = 200


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know about a path."""

    wall_ns: int
    path: str
    text: str


class NoticeRows:
    """Under the tree's lock; writes belong into a transaction of the store."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(self, notice: Notice) -> None:
        values = (notice.wall_ns, notice.path, notice.text)
        self._db.execute("DELETE FROM notices WHERE path = ? AND text = ?", values[1:])
        self._db.execute("INSERT INTO notices (wall_ns, path, text) VALUES (?, ?, ?)", values)
        self._db.execute("DELETE FROM notices WHERE id <= (SELECT max(id) FROM notices) - ?", (NOTICES_KEPT,))

    def all(self) -> list[Notice]:
        """All notices, the oldest first."""
        found = self._db.execute("SELECT wall_ns, path, text FROM notices ORDER BY id")
        return [Notice(*row) for row in found]
