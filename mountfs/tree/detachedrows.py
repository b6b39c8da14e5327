"""Rows of nodes that are gone: removed at once, and later, a part at a time, what is below them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable


class DetachedRows:
    """Folders that are gone, with rows below them that are still to be removed. Under the tree's lock; writes
    belong into a transaction of the store."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(self, folder_id: int) -> None:
        """A folder is gone, and what the store has below it is to be removed."""
        self._db.execute("INSERT OR IGNORE INTO detached VALUES (?)", (folder_id,))

    def sweep(self, most_rows: int) -> int:
        """Removes rows below folders that are gone, at most about *most_rows*; how many it removed."""
        row = self._db.execute("SELECT node FROM detached LIMIT 1").fetchone()
        if row is None:
            return 0
        (folder_id,) = row
        found = self._db.execute(
            "SELECT id, kind FROM nodes WHERE parent = ? AND NOT is_dirty LIMIT ?", (folder_id, most_rows)
        ).fetchall()
        if not found:
            self._db.execute("DELETE FROM detached WHERE node = ?", (folder_id,))
            return 1
        for node_id, kind in found:
            if kind == "folder":
                self.add(node_id)
        delete_nodes(self._db, (node_id for node_id, _ in found))
        return len(found)


def delete_nodes(db: sqlite3.Connection, node_ids: Iterable[int]) -> None:
    """Removes the rows of nodes, and of their listings."""
    rows = [(node_id,) for node_id in node_ids]
    db.executemany("DELETE FROM nodes WHERE id = ?", rows)
    db.executemany("DELETE FROM listings WHERE node = ?", rows)
