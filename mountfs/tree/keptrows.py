"""What this machine alone keeps of the nodes of an account, page by page, from their rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from mountfs.model.entry import NS_PER_S
from mountfs.tree.kept import NOTHING_KEPT, Kept, kept_of, text_of
from mountfs.tree.node import ROOT_ID

PAGE_ROWS = 1000
"""Rows looked at in one hold of the lock, whatever is kept of them: some 5 ms."""
PAGE_CHARS = 256 * 1024
"""Of paths and attributes in a page, which ends with the row that reaches it."""


@dataclass(frozen=True, slots=True)
class KeptRow:
    """*path*: names below the folder that was asked for. *mtime_ns*: a time that is kept here.
    *size_bytes*: of the file as the service has it."""

    path: tuple[str, ...]
    kind: str
    kept: Kept
    mtime_ns: int | None
    size_bytes: int | None


class KeptRows:
    """The rows of one store; under the tree's lock."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def save(self, kept: Iterable[tuple[int, Kept | None]]) -> None:
        """Writes what is kept of nodes, by their ids, into their rows; where there is none, nowhere."""
        rows = [(text_of(each), node_id) for node_id, each in kept]
        self._db.executemany("UPDATE nodes SET attributes = ? WHERE id = ?", rows)

    def page(self, top_id: int, after_id: int) -> tuple[list[KeptRow], int | None]:
        """Of what is shown at or below the node *top_id*: what is kept of those among the next rows after
        *after_id*; and where the next page begins, None: nowhere."""
        rows = self._db.execute(
            "SELECT id, parent, name, kind, attributes, time_s, time_ns, base_size FROM nodes"
            " WHERE id > ? ORDER BY id LIMIT ?",
            (after_id, PAGE_ROWS),
        ).fetchall()
        folders: dict[int, tuple[int | None, str]] = {}
        found: list[KeptRow] = []
        chars = 0
        for node_id, parent, name, kind, text, time_s, time_ns, size_bytes in rows:
            if parent is None or (text is None and time_s is None):
                continue
            path = () if node_id == top_id else self._path(folders, parent, name, top_id)
            if path is not None:
                mtime_ns = None if time_s is None else time_s * NS_PER_S + time_ns
                found.append(KeptRow(path, kind, kept_of(text) or NOTHING_KEPT, mtime_ns, size_bytes))
                chars += len(text or "") + sum(map(len, path))
                if chars >= PAGE_CHARS:
                    return found, node_id
        return found, rows[-1][0] if len(rows) == PAGE_ROWS else None

    def _path(
        self, folders: dict[int, tuple[int | None, str]], folder: int | None, name: str, top_id: int
    ) -> tuple[str, ...] | None:
        """Of what has *name* in *folder*; None: that is not at or below *top_id*, or below nothing that is
        shown. *folders*: those that were looked up, with the ones above them."""
        names = [name]
        seen: set[int] = set()
        while folder is not None and folder != top_id:
            if folder == ROOT_ID or folder in seen:
                return None
            seen.add(folder)
            if folder not in folders:
                row = self._db.execute("SELECT parent, name FROM nodes WHERE id = ?", (folder,)).fetchone()
                folders[folder] = (None, "") if row is None else row
            folder, name = folders[folder]
            names.append(name)
        return None if folder is None else tuple(reversed(names))
