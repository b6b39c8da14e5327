"""The stream of events: what happened to items, in order, with the doubts the real stream has."""

import json
import secrets
import sqlite3
import time
from typing import Any

from cloudsandbox.box.errors import bad_parameter
from cloudsandbox.box.records import Item
from cloudsandbox.box.switches import BoxSwitches
from cloudsandbox.box.views import Views

NOW = "now"
MAX_LIMIT = 500
TREE_STREAMS = ("all", "changes", "sync")


class Events:
    """The events of an account. On the state thread only."""

    def __init__(self, connection: sqlite3.Connection, views: Views) -> None:
        self._db = connection
        self._views = views
        self.switches = BoxSwitches()

    def add(self, event_type: str, item: Item) -> None:
        """Something happened to *item*, which is as it is after it."""
        self._db.execute(
            "INSERT INTO event (event_id, event_type, created_s, source) VALUES (?, ?, ?, ?)",
            (secrets.token_hex(20), event_type, int(time.time()), json.dumps(self._views.standard(item))),
        )

    def latest(self) -> int:
        """The position after the last event."""
        query = "SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'event'"
        return int(self._db.execute(query).fetchone()[0])

    def page(self, position: str, limit: int) -> dict[str, Any]:
        """The events after *position*. Raises Refusal for a position not given out, or out of keeping."""
        if position == NOW:
            return self._answer([], self.latest())
        after = self.checked(position)
        columns = "SELECT position, event_id, event_type, created_s, source FROM event"
        rows = self._db.execute(
            f"{columns} WHERE position > ? ORDER BY position LIMIT ?", (after, limit)
        ).fetchall()
        if not rows:
            return self._answer([], after)
        again = self._db.execute(
            f"{columns} WHERE position <= ? ORDER BY position DESC LIMIT ?",
            (after, min(self.switches.repeated_events, limit)),
        ).fetchall()
        entries = [*reversed(again), *rows]
        if self.switches.disordered_events:
            entries.reverse()
        return self._answer([self._event(row) for row in entries], rows[-1][0])

    def checked(self, position: str) -> int:
        """The number of a position. Raises Refusal: 400."""
        if not position.isascii() or not position.isdigit():
            raise bad_parameter("stream_position", f"Invalid value '{position}'", "invalid_stream_position")
        number = int(position)
        if number > self.latest() or 0 < number < self._forgotten():
            raise bad_parameter("stream_position", "The position is too old", "invalid_stream_position")
        return number

    def has_news(self, position: int) -> bool:
        """Whether anything happened since."""
        return self.latest() > position

    def forget(self) -> None:
        """Let every position given out so far be too old, as after weeks."""
        # A position nobody was given, so that the newest one given is too old as well.
        self._db.execute("INSERT INTO event (event_id, event_type, created_s, source) VALUES ('', '', 0, '')")
        self._db.execute("DELETE FROM event")
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('forgotten', ?)", (str(self.latest()),))

    def _forgotten(self) -> int:
        row = self._db.execute("SELECT value FROM meta WHERE name = 'forgotten'").fetchone()
        return 0 if row is None else int(row[0])

    def _answer(self, entries: list[dict[str, Any]], position: int) -> dict[str, Any]:
        following: int | str = str(position) if self.switches.string_positions else position
        return {"chunk_size": len(entries), "next_stream_position": following, "entries": entries}

    def _event(self, row: tuple[int, str, str, int, str]) -> dict[str, Any]:
        _, event_id, event_type, created_s, source = row
        created_at = self._views.time(created_s)
        return {
            "type": "event",
            "event_id": event_id,
            "event_type": event_type,
            "created_at": created_at,
            "recorded_at": created_at,
            "created_by": self._views.user(),
            "session_id": None,
            "source": json.loads(source),
        }
