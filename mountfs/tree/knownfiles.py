"""Which files the service has by their bytes: an index of the rows of nodes, asked by size and hash."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

KNOWN_FILES = (
    "SELECT remote_id FROM nodes WHERE base_size = ? AND substr(base_hash, 1, 12) = ?"
    " AND base_hash IS NOT NULL AND +base_hash = ? AND parent IS NOT NULL AND remote_id <> ''"
)
"""The plus keeps SQLite from putting the hash into the expression that the index is about: it would go
through all files of the size then. Those that were removed here, and whose removal the service is still to be
told, are left out."""


class KnownFiles:
    """The rows of one store."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def has_size(self, size_bytes: int) -> bool:
        """Whether the service is known to have any file of *size_bytes*."""
        found = self._db.execute(
            "SELECT 1 FROM nodes WHERE base_size = ? AND base_hash IS NOT NULL LIMIT 1", (size_bytes,)
        )
        return found.fetchone() is not None

    def has_size_from(self, size_bytes: int) -> bool:
        """Whether the service is known to have any file of *size_bytes* or more."""
        found = self._db.execute(
            "SELECT 1 FROM nodes WHERE base_size >= ? AND base_hash IS NOT NULL LIMIT 1", (size_bytes,)
        )
        return found.fetchone() is not None

    def with_bytes(self, size_bytes: int, content_hash: str, time_s: int | None, most: int) -> Iterator[str]:
        """The service's ids of at most *most* files with these bytes; with a time, in whole seconds since
        1970: of those that have it."""
        values: tuple[int | str, ...] = (size_bytes, content_hash[:12], content_hash)
        where, more = ("", ()) if time_s is None else (" AND base_time_s = ?", (time_s,))
        found = self._db.execute(f"{KNOWN_FILES}{where} LIMIT ?", (*values, *more, most))
        yield from [remote_id for (remote_id,) in found]
