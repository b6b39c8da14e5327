"""Upload sessions that nobody will commit, and that are to be ended, as rows."""

from __future__ import annotations

import sqlite3


class OrphanRows:
    """Under the tree's lock; writes belong into a transaction of the store."""

    def __init__(self, db: sqlite3.Connection, *, are_kept: bool) -> None:
        """*are_kept*: False where the service's sessions end by themselves."""
        self._db = db
        self._are_kept = are_kept

    def add(self, session: str) -> None:
        """Notes an upload session that nobody will use any more, to be ended; none where they end alone."""
        if self._are_kept:
            self._db.execute("INSERT OR IGNORE INTO orphans (session) VALUES (?)", (session,))

    def put_last(self, session: str) -> None:
        """Has the session ended after all others: it could not be ended just now."""
        self._db.execute(
            "UPDATE orphans SET id = (SELECT max(id) + 1 FROM orphans) WHERE session = ?", (session,)
        )

    def remove(self, session: str) -> None:
        self._db.execute("DELETE FROM orphans WHERE session = ?", (session,))

    def first(self) -> str | None:
        row = self._db.execute("SELECT session FROM orphans ORDER BY id LIMIT 1").fetchone()
        return None if row is None else str(row[0])

    def all(self) -> list[str]:
        """The upload sessions to end, the oldest first."""
        return [str(session) for (session,) in self._db.execute("SELECT session FROM orphans ORDER BY id")]

    def count(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM orphans").fetchone()[0])
