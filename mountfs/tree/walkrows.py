"""What a recursive listing asks of the store, and writes to it, beside the rows of nodes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from mountfs.model.entry import NS_PER_S, Entry, File
from mountfs.tree.listing import Listing
from mountfs.tree.rows import Value, listing_of, listing_values
from mountfs.tree.toldids import ToldIds

SAVE_LISTING = "INSERT OR REPLACE INTO listings VALUES (?, ?, ?, ?, ?)"

Known = dict[str, list[tuple[int, bool, int | None]]]
"""The nodes that have an id of the service's, by that id: each with its own id, whether it is a folder, and
the id of the folder that the service has it in. There is more than one where a node is below a folder that
vanished."""


New = tuple[int, int, Entry]
"""A clean node that has no row yet: its id, that of the folder it is in, and what the service has."""

ADD = (
    "INSERT INTO nodes (id, kind, parent, name, base_parent, base_name, remote_id, revision, base_size,"
    " base_time_s, base_hash, is_document, touched_ns, is_dirty) VALUES "
)
ADDED = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)"
ADDED_AT_ONCE = 50
"""Rows that one statement writes: half of what a row takes is the beginning and the end of its statement."""
ADD_ONE, ADD_MANY = ADD + ADDED, ADD + ", ".join([ADDED] * ADDED_AT_ONCE)

Shown = tuple[int, str, str, str | None]
"""Something that is shown in a folder: its id, kind, name and attributes, as its row has them."""

FileRow = tuple[str, int, int, int, str | None]
"""A clean file: its name, id, size in bytes, modification time in ns and attributes."""


class WalkRows:
    """Under the tree's lock; what writes belongs into a transaction."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self.on_folder: Callable[[int, int, str], None] = lambda _id, _parent, _name: None
        """Called, under the lock, with each folder that ``add`` writes: its id, that of the folder it is in,
        and its name. The tree does not tell of these."""
        self.told_ids = ToldIds()
        self.filled_alone: dict[int, object] = {}
        """By the ids of folders that are just being listed for themselves: who writes their rows. Whoever
        else does leaves them out; which rows are whose, nothing tells."""

    def known(self, remote_ids: Sequence[str]) -> Known:
        """The nodes that have any of *remote_ids*."""
        marks = ", ".join("?" * len(remote_ids))
        found: Known = {}
        for remote_id, node_id, is_folder, folder in self._db.execute(
            "SELECT remote_id, id, kind = 'folder', base_parent FROM nodes"
            f" WHERE remote_id <> '' AND remote_id IN ({marks})",
            remote_ids,
        ):
            found.setdefault(remote_id, []).append((node_id, bool(is_folder), folder))
        return found

    def add(self, nodes: Iterable[New]) -> None:
        """Writes the rows of *nodes*."""
        new = list(nodes)
        for node_id, folder_id, entry in new:
            if not isinstance(entry, File):
                self.on_folder(node_id, folder_id, entry.name)
        values = list(map(_values, new))
        single = len(values) % ADDED_AT_ONCE
        self._db.executemany(ADD_ONE, values[:single])
        for begin in range(single, len(values), ADDED_AT_ONCE):
            together = chain.from_iterable(values[begin : begin + ADDED_AT_ONCE])
            self._db.execute(ADD_MANY, tuple(together))

    def has_any(self, folder_id: int) -> bool:
        """Whether anything is shown in a folder."""
        found = self._db.execute("SELECT 1 FROM nodes WHERE parent = ? LIMIT 1", (folder_id,))
        return found.fetchone() is not None

    def has_special(self, folder_id: int) -> bool:
        """Whether a symbolic link, a fifo or such is shown in a folder. There are few of them, and of other
        nodes in it there may be many: their index is not used."""
        ask = "SELECT 1 FROM nodes WHERE kind = 'special' AND +parent = ? LIMIT 1"
        return self._db.execute(ask, (folder_id,)).fetchone() is not None

    def ids_in(self, folder_id: int, *, most: int) -> list[int]:
        """The ids of clean nodes that are shown in a folder, at most so many."""
        found = self._db.execute(
            "SELECT id FROM nodes WHERE parent = ? AND NOT is_dirty LIMIT ?", (folder_id, most)
        )
        return [node_id for (node_id,) in found]

    def shown_in(self, folder_id: int, *, after_id: int, most: int) -> list[Shown] | None:
        """What is shown in a folder, ascending by id, at most so many; None where one of them is not clean:
        its row alone does not tell."""
        found = self._db.execute(
            "SELECT id, kind, name, attributes, is_dirty OR (kind <> 'special' AND base_parent IS NOT parent)"
            " FROM nodes WHERE parent = ? AND id > ? ORDER BY id LIMIT ?",
            (folder_id, after_id, most),
        ).fetchall()
        return None if any(row[4] for row in found) else [row[:4] for row in found]

    def folders_in(
        self, folder_id: int, *, after_id: int, most: int
    ) -> tuple[list[tuple[int, str]], int | None]:
        """Of what is shown in a folder, ascending by id, at most so many: the ids of folders that the service
        has there too, with its names of them; and the id of the last one of all; None: there is no further
        one."""
        found = self._db.execute(
            "SELECT id, CASE WHEN kind = 'folder' AND base_parent = parent THEN base_name END"
            " FROM nodes WHERE parent = ? AND id > ? ORDER BY id LIMIT ?",
            (folder_id, after_id, most),
        ).fetchall()
        folders = [(node_id, name) for node_id, name in found if name is not None]
        return folders, found[-1][0] if len(found) == most else None

    def files_in(
        self, folder_id: int, *, after_id: int, most: int
    ) -> tuple[list[FileRow], int | None] | None:
        """Of what is shown in a folder, ascending by id, at most so many: the files, and the id of the last
        one of all; None: there is no further one. None in place of both where one is not clean."""
        found = self._db.execute(
            "SELECT name, id, base_size, base_time_s, time_s, time_ns, attributes, kind,"
            " is_dirty OR (kind <> 'special' AND base_parent IS NOT parent)"
            " FROM nodes WHERE parent = ? AND id > ? ORDER BY id LIMIT ?",
            (folder_id, after_id, most),
        ).fetchall()
        if any(row[8] for row in found):
            return None
        files = [
            (name, node_id, size, (base_s if own_s is None else own_s) * NS_PER_S + (own_ns or 0), kept)
            for name, node_id, size, base_s, own_s, own_ns, kept, kind, _ in found
            if kind == "file"
        ]
        return files, found[-1][1] if len(found) == most else None

    def listings_of(self, folder_ids: Sequence[int]) -> dict[int, Listing]:
        """What is known of the listings of folders, by their ids."""
        marks = ", ".join("?" * len(folder_ids))
        found = self._db.execute(f"SELECT * FROM listings WHERE node IN ({marks})", folder_ids)
        return {row[0]: listing_of(row) for row in found}

    def save_listings(self, listings: Iterable[tuple[int, Listing]]) -> None:
        """Writes what is known of the listings of folders, given by their ids."""
        self._db.executemany(SAVE_LISTING, [listing_values(*each) for each in listings])


def _values(new: New) -> tuple[Value, ...]:
    node_id, folder_id, entry = new
    name = entry.name
    if not isinstance(entry, File):
        return (node_id, "folder", folder_id, name, folder_id, name, entry.id, None, None, None, None, 0)
    return (
        node_id,
        "file",
        folder_id,
        name,
        folder_id,
        name,
        entry.id,
        entry.revision,
        entry.size_bytes,
        entry.mtime_ns // NS_PER_S,
        entry.content_hash,
        int(not entry.is_downloadable),
    )
