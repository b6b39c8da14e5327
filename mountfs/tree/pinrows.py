"""What is pinned, as rows, so that one more or less writes one row, however many there are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from mountfs.model.path import RemotePath

NO_NODE = 0
"""The id of none: a pin that is about whatever stands at its path."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A file or folder that is kept here. *id*: one pinned later has a higher one. *path*: from the top of
    the account, where it stood when it was last looked at."""

    id: int
    node_id: int
    path: RemotePath


class PinRows:
    """Under the tree's lock; writes belong into a transaction of the store."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(self, node_id: int, path: RemotePath) -> None:
        self._db.execute(
            "INSERT INTO pins (node, path, path_key) VALUES (?, ?, ?)", (node_id, path.text, path.key)
        )

    def move(self, pin: Pin) -> None:
        """Harmless for one that was removed."""
        self._db.execute(
            "UPDATE pins SET node = ?, path = ?, path_key = ? WHERE id = ?",
            (pin.node_id, pin.path.text, pin.path.key, pin.id),
        )

    def remove(self, pin: Pin) -> None:
        self._db.execute("DELETE FROM pins WHERE id = ?", (pin.id,))

    def page(self, *, after_id: int, most: int) -> list[Pin]:
        """In the order in which they were pinned."""
        return list(self._found("id > ? ORDER BY id LIMIT ?", after_id, most))

    def of_node(self, node_id: int) -> list[Pin]:
        return list(self._found("node = ?", node_id))

    def at(self, path: RemotePath) -> list[Pin]:
        """Those that stood at *path* when they were last looked at."""
        return list(self._found("path_key = ?", path.key))

    def has_any(self) -> bool:
        return self._db.execute("SELECT 1 FROM pins LIMIT 1").fetchone() is not None

    def _found(self, where: str, *values: object) -> Iterator[Pin]:
        for number, node_id, path in self._db.execute(
            f"SELECT id, node, path FROM pins WHERE {where}", values
        ):
            yield Pin(number, node_id, RemotePath.parse(path))
