"""The trash: what was deleted, can come back, and is in the way of nothing until it is purged."""

import sqlite3
import time

from cloudsandbox.box.errors import Refusal, not_found
from cloudsandbox.box.events import Events
from cloudsandbox.box.items import Items
from cloudsandbox.box.names import fold
from cloudsandbox.box.records import FOLDER, ITEM_QUERY, Item, item_of
from cloudsandbox.history import History

# An item and all that was deleted along with it, not what had been deleted before.
_BELOW = (
    "WITH RECURSIVE below (id) AS (SELECT ? UNION ALL SELECT i.id FROM item i JOIN below b"
    " ON i.parent = b.id WHERE i.id NOT IN (SELECT item FROM trash)) "
)


class Trash:
    """What was deleted in an account. On the state thread only."""

    def __init__(
        self, connection: sqlite3.Connection, items: Items, events: Events, history: History
    ) -> None:
        self._db = connection
        self._items = items
        self._events = events
        self._history = history

    def get(self, number: int, kind: str) -> Item:
        """An item that was deleted itself. Raises Refusal: 404, also when it went along with a folder."""
        where = "WHERE i.id = ? AND i.kind = ? AND i.id IN (SELECT item FROM trash)"
        row = self._db.execute(f"{ITEM_QUERY} {where}", (number, kind)).fetchone()
        if row is None:
            raise not_found()
        return item_of(row)

    def restore(self, item: Item, name: str | None, fallback: int | None) -> Item:
        """Bring an item back with what went along with it: into its folder, or into *fallback* when that is
        gone. Raises Refusal: 404 without a folder, 409 when the name is taken.
        """
        parent = self._folder(item, fallback)
        free = self._items.check_free(parent, name or item.name, item.kind)
        self._db.execute(
            "UPDATE item SET parent = ?, name = ?, key = ?, etag = etag + 1, sequence = sequence + 1,"
            " modified_s = ? WHERE id = ?",
            (parent, free, fold(free), int(time.time()), item.id),
        )
        untrash = "UPDATE item SET trashed_s = NULL WHERE id IN (SELECT id FROM below)"
        self._db.execute(_BELOW + untrash, (item.id,))
        self._db.execute("DELETE FROM trash WHERE item = ?", (item.id,))
        back = self._items.get(item.id, item.kind)
        self._events.add("ITEM_UNDELETE_VIA_TRASH", back)
        return back

    def _folder(self, item: Item, fallback: int | None) -> int:
        if item.parent is not None:
            try:
                return self._items.get(item.parent, FOLDER).id
            except Refusal:
                pass
        if fallback is None:
            raise not_found()
        return self._items.get(fallback, FOLDER).id

    def purge(self, item: Item) -> None:
        """Remove an item, what went along with it, and the bytes that nothing else has, for good."""
        gone = self._db.execute(_BELOW + "SELECT id FROM below", (item.id,)).fetchall()
        versions = "SELECT v.id, v.blob FROM version v JOIN below b ON v.file = b.id"
        for version, blob in self._db.execute(_BELOW + versions, (item.id,)).fetchall():
            self._history.removed(version, blob)
        self._db.executemany("DELETE FROM version WHERE file = ?", gone)
        self._db.executemany("DELETE FROM item WHERE id = ?", gone)
        self._db.executemany("DELETE FROM tags WHERE item = ?", gone)
        self._db.execute("DELETE FROM trash WHERE item = ?", (item.id,))
        # What had been deleted before stays, without a folder.
        self._db.executemany("UPDATE item SET parent = NULL WHERE parent = ?", gone)
        self._items.recount()
