"""The journal of changes: SQLite is the truth, memory mirrors what is live."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from mountfs.errors import NoSpace
from mountfs.journal import rows
from mountfs.journal.database import check, connect, is_full, unusable
from mountfs.journal.orphans import Orphans
from mountfs.model.change import FINAL_STATES, Change, ChangeEvent, ChangeKind, ChangeState, advance
from mountfs.model.path import RemotePath
from mountfs.ports import Clock, Part

Listener = Callable[[Change | None, Change | None], None]
"""Called with (before, after) of each row a transaction changed; None: not there."""

K = TypeVar("K")

NOTICES_KEPT = 200


class StaleChange(Exception):
    """The row has moved on since the caller looked; whatever it wanted to do is void."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know about a path."""

    wall_ns: int
    path: str
    text: str


class Journal:
    """All live changes of one account on this machine.

    ``lock`` is the account's one lock: it guards the rows, and whatever is derived from them takes the
    same one, so that no two locks can be taken in different orders. It is never held across the network.
    Listeners run under it, after the transaction is in the database.
    """

    def __init__(self, path: Path, clock: Clock, *, ends_sessions: bool = True) -> None:
        """Opens or makes the database at *path*, or JournalUnusable; *ends_sessions*: as in the limits."""
        self.lock = threading.RLock()
        self.path = path
        self.commits = 0
        """How many transactions are in the database since it was opened; read it under ``lock``."""
        self._clock = clock
        self._listeners: list[Listener] = []
        self._depth = 0
        self._undo: dict[int, Change | None] = {}
        self._live: dict[int, Change] = {}
        self._in_order: list[Change] | None = None
        self._followers: dict[int, set[int]] = {}
        self._by_base: dict[str, set[int]] = {}
        self._failed: set[int] = set()
        self._db = connect(path)
        try:
            check(self._db)
            self.orphans = Orphans(self._db, self.lock, self.transaction, are_kept=ends_sessions)
            for change in map(rows.from_row, self._db.execute(rows.SELECT)):
                self._keep(change.id, change)
            self._times = self._stored_times()
        except (sqlite3.Error, ValueError) as error:
            self._db.close()
            raise unusable(path, error) from error
        self._last_seq = max((change.seq for change in self._live.values()), default=0)

    # Reading

    def live(self) -> list[Change]:
        """Every change that is not final, in the order of effect."""
        with self.lock:
            if self._in_order is None:
                self._in_order = sorted(
                    (change for change in self._live.values() if change.state not in FINAL_STATES),
                    key=lambda change: change.seq,
                )
            return list(self._in_order)

    def followers(self, change_id: int) -> list[Change]:
        """The changes that replace what *change_id* will have made."""
        with self.lock:
            return [self._live[follower] for follower in sorted(self._followers.get(change_id, ()))]

    def rows(self) -> list[Change]:
        """Every row, final ones included, in the order of effect."""
        with self.lock:
            return sorted(self._live.values(), key=lambda change: change.seq)

    def get(self, change_id: int) -> Change | None:
        with self.lock:
            return self._live.get(change_id)

    def replacing(self, revision: str) -> list[Change]:
        """The live changes whose base is *revision*, in the order of effect."""
        with self.lock:
            found = [self._live[change_id] for change_id in self._by_base.get(revision, ())]
            return sorted(
                (change for change in found if change.state not in FINAL_STATES),
                key=lambda change: change.seq,
            )

    def failed(self) -> list[Change]:
        """The changes that were refused."""
        with self.lock:
            return [self._live[change_id] for change_id in sorted(self._failed)]

    def watch(self, listener: Listener) -> None:
        with self.lock:
            self._listeners.append(listener)

    # Writing

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens or nothing does; may be nested, the outermost counts."""
        with self.lock:
            if self._depth:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
                self._db.execute("COMMIT")
                self.commits += 1
            except BaseException as error:
                self._roll_back()
                if isinstance(error, sqlite3.Error) and is_full(error):
                    raise NoSpace(f"the disk that keeps the journal is full: {error}") from error
                raise
            finally:
                self._depth = 0
            self._tell_listeners()

    def add(self, kind: ChangeKind, path: RemotePath, state: ChangeState, **fields: Any) -> Change:
        """A new last row."""
        with self.transaction():
            self._last_seq += 1
            draft = Change(
                id=0, seq=self._last_seq, kind=kind, state=state, path=path, touched_ns=self._clock.wall_ns()
            )
            draft = replace(draft, **fields)
            cursor = self._db.execute(rows.INSERT, (None, *rows.to_row(draft)[1:]))
            change = replace(draft, id=cursor.lastrowid or 0)
            self._remember(change.id)
            self._keep(change.id, change)
            return change

    def advance(self, seen: Change, event: ChangeEvent, **fields: Any) -> Change:
        """One step of the table for the row that *seen* shows, with further fields set in the same step.

        StaleChange when the row is gone or in another state than *seen*; IllegalStep for a bug.
        """
        with self.transaction():
            now = self._live.get(seen.id)
            if now is None or now.state is not seen.state:
                raise StaleChange(f"change {seen.id} is no longer {seen.state}")
            return self._set(now, state=advance(now.state, event), **fields)

    def amend(self, seen: Change, **fields: Any) -> Change:
        """Sets fields without a step, under the same condition as ``advance``."""
        with self.transaction():
            now = self._live.get(seen.id)
            if now is None or now.state is not seen.state:
                raise StaleChange(f"change {seen.id} is no longer {seen.state}")
            return self._set(now, **fields)

    def move_to_end(self, seen: Change, **fields: Any) -> Change:
        """Amends, and makes the row take effect after all others."""
        with self.transaction():
            self._last_seq += 1
            return self.amend(seen, seq=self._last_seq, **fields)

    def forget(self, change_id: int) -> None:
        """Removes a final row, whose spool file is gone."""
        with self.transaction():
            change = self._live.get(change_id)
            if change is None:
                return
            if change.state not in FINAL_STATES:
                raise StaleChange(f"change {change_id} is {change.state}, not final")
            self._db.execute("DELETE FROM changes WHERE id = ?", (change_id,))
            self._remember(change_id)
            self._keep(change_id, None)

    # Parts of sessions

    def add_part(self, change_id: int, part: Part) -> None:
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?)",
                (change_id, part.offset, part.length, part.receipt),
            )

    def parts(self, change_id: int) -> tuple[Part, ...]:
        """Ascending by offset."""
        with self.lock:
            found = self._db.execute(
                "SELECT offset, length, receipt FROM parts WHERE change_id = ? ORDER BY offset", (change_id,)
            )
            return tuple(Part(*row) for row in found)

    def clear_parts(self, change_id: int) -> None:
        with self.transaction():
            self._db.execute("DELETE FROM parts WHERE change_id = ?", (change_id,))

    # Times the service does not have

    def time_of(self, path: RemotePath, revision: str) -> int | None:
        """The mtime in ns set here for this revision of *path* (a folder: ""), or None."""
        with self.lock:
            kept = self._times.get(rows.time_key(path, revision))
            return kept[1] if kept is not None and kept[0] == revision else None

    def set_time(self, path: RemotePath, revision: str, mtime_ns: int) -> None:
        key = rows.time_key(path, revision)
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO times VALUES (?, ?, ?)", (key, revision, mtime_ns))
            self._times[key] = (revision, mtime_ns)

    def forget_time(self, path: RemotePath) -> None:
        """That of the file *path*."""
        with self.lock:
            if path.key not in self._times:
                return
            with self.transaction():
                self._db.execute("DELETE FROM times WHERE path_key = ?", (path.key,))
                del self._times[path.key]

    def times(self) -> list[tuple[RemotePath, str, int]]:
        """All of them: path in folded spelling, revision, mtime in ns."""
        with self.lock:
            return [(RemotePath.parse(key), *kept) for key, kept in self._times.items()]

    def forget_folder_times(self, path: RemotePath) -> None:
        """Those of the folder *path* and of all folders below it."""
        with self.transaction():
            at = rows.time_key(path, "")
            for key in [key for key in self._times if key.startswith(at) and key.endswith("/")]:
                self._db.execute("DELETE FROM times WHERE path_key = ?", (key,))
                del self._times[key]

    # Notices and facts

    def notice(self, path: RemotePath, text: str) -> None:
        with self.transaction():
            self._db.execute(
                "INSERT INTO notices (wall_ns, path, text) VALUES (?, ?, ?)",
                (self._clock.wall_ns(), str(path), text),
            )
            self._db.execute(
                "DELETE FROM notices WHERE id <= (SELECT max(id) FROM notices) - ?", (NOTICES_KEPT,)
            )

    def notices(self) -> list[Notice]:
        """Oldest first."""
        with self.lock:
            found = self._db.execute("SELECT wall_ns, path, text FROM notices ORDER BY id")
            return [Notice(*row) for row in found]

    def fact(self, key: str) -> str | None:
        with self.lock:
            row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
            return None if row is None else str(row[0])

    def set_fact(self, key: str, value: str) -> None:
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def close(self) -> None:
        with self.lock:
            self._db.close()

    # Inside

    def _set(self, now: Change, **fields: Any) -> Change:
        if now.session is not None:
            if fields.get("state") in (ChangeState.FAILED, ChangeState.DROPPED):
                fields["session"] = None
            if fields.get("session", now.session) != now.session:
                self.orphans.add(now.session)
                self.clear_parts(now.id)
        assignments, values = rows.update_of(fields)
        after = replace(now, **fields)
        self._db.execute(f"UPDATE changes SET {assignments} WHERE id = ?", (*values, now.id))
        self._remember(now.id)
        self._keep(now.id, after)
        return after

    def _keep(self, change_id: int, change: Change | None) -> None:
        """The one place that changes memory: the row, and what is derived from it."""
        self._in_order = None
        before = self._live.pop(change_id, None)
        if before is not None:
            _unindex(self._followers, before.base_change, change_id)
            _unindex(self._by_base, before.base_revision, change_id)
        self._failed.discard(change_id)
        if change is not None:
            self._live[change_id] = change
            if change.state is ChangeState.FAILED:
                self._failed.add(change_id)
            _index(self._followers, change.base_change, change_id)
            _index(self._by_base, change.base_revision, change_id)

    def _remember(self, change_id: int) -> None:
        self._undo.setdefault(change_id, self._live.get(change_id))

    def _roll_back(self) -> None:
        undo, self._undo = self._undo, {}
        for change_id, before in undo.items():
            self._keep(change_id, before)
        # A full or failing disk makes SQLite roll back by itself.
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._times = self._stored_times()

    def _stored_times(self) -> dict[str, tuple[str, int]]:
        found = self._db.execute("SELECT path_key, revision, mtime_ns FROM times")
        return {key: (revision, mtime_ns) for key, revision, mtime_ns in found}

    def _tell_listeners(self) -> None:
        undo, self._undo = self._undo, {}
        for change_id, before in undo.items():
            after = self._live.get(change_id)
            if before is not None or after is not None:
                for listener in self._listeners:
                    listener(before, after)


def _index(index: dict[K, set[int]], key: K | None, change_id: int) -> None:
    if key is not None:
        index.setdefault(key, set()).add(change_id)


def _unindex(index: dict[K, set[int]], key: K | None, change_id: int) -> None:
    if key is not None:
        index[key].discard(change_id)
        if not index[key]:
            del index[key]
