"""Upload sessions that no change holds any more, until the service has ended them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import RLock

from mountfs.journal.schema import ORPHANS

Transaction = Callable[[], AbstractContextManager[None]]


class Orphans:
    """Part of the journal, in its database and its transactions: a row lets go of its session in the same
    step in which the session comes here, so that no crash leaves it in neither."""

    def __init__(
        self, db: sqlite3.Connection, lock: RLock, transaction: Transaction, *, are_kept: bool
    ) -> None:
        """*are_kept*: not so where sessions end by themselves and only so; then none ever comes here."""
        self._db = db
        self._lock = lock
        self._transaction = transaction
        self._are_kept = are_kept
        self._listeners: list[Callable[[], None]] = []
        _complete(db)
        if not are_kept:
            db.execute("DELETE FROM orphans")

    def watch(self, listener: Callable[[], None]) -> None:
        """*listener* is called under the journal's lock whenever one comes."""
        with self._lock:
            self._listeners.append(listener)

    def add(self, session: str) -> None:
        """Its token; nobody will use it any more."""
        if not self._are_kept:
            return
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO orphans (session) VALUES (?)", (session,))
            for listener in self._listeners:
                listener()

    def put_last(self, session: str) -> None:
        """All others come before it."""
        with self._transaction():
            self._db.execute(
                "UPDATE orphans SET id = (SELECT max(id) + 1 FROM orphans) WHERE session = ?", (session,)
            )

    def remove(self, session: str) -> None:
        """It is over."""
        with self._transaction():
            self._db.execute("DELETE FROM orphans WHERE session = ?", (session,))

    def all(self) -> list[str]:
        """Oldest first."""
        return self._select("SELECT session FROM orphans ORDER BY id")

    def first(self) -> str | None:
        """The oldest."""
        found = self._select("SELECT session FROM orphans ORDER BY id LIMIT 1")
        return found[0] if found else None

    def count(self) -> int:
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM orphans").fetchone()[0])

    def _select(self, query: str) -> list[str]:
        with self._lock:
            return [str(session) for (session,) in self._db.execute(query)]


def _complete(db: sqlite3.Connection) -> None:
    """Makes the table, which journals of an earlier mountfs lack."""
    known = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'orphans'").fetchone()
    if not known[0]:
        db.executescript(f"BEGIN IMMEDIATE; {ORPHANS} COMMIT;")
