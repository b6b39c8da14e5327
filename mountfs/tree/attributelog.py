"""Modes, owners and times of change, before their rows have them: a line each in a file beside the database.

`chmod -R` of 10,000 files would be as many transactions; a line costs a fraction of one, and survives the
process in the page cache as a row does. The rows are written a second later, many in one transaction, and
the file is emptied. A start takes into the rows what is left in it. After a power loss it counts for
nothing: the rows are what a sync makes safe, and it may be older than they are.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mountfs.tree.kept import NOTHING_KEPT, Kept, kept_of, text_of

ENDING = "-attributes"
STORE_ENDINGS = ("", "-wal", "-shm", ENDING)
"""Of the files of one store, behind the name of its database."""
MOST_BYTES = 16 * 1024 * 1024
"""A file of this length takes no more lines, and each change writes its row. For comparison: chmod(2) called
without a pause makes 2 MB of lines a second, and the worker that syncs empties the file as often."""

Fields = tuple[int | None, ...]
"""Mode, user, group, access time and time of change, as ``Kept`` has them."""


def forget_former(database: Path) -> None:
    """If *database* is still to be made, what another one left beside it, which may have had the same inode
    number, is about other nodes."""
    if not database.exists():
        Path(f"{database}{ENDING}").unlink(missing_ok=True)


class AttributeLog:
    """Guarded by the tree's lock."""

    def __init__(self, database: Path, boot_id: str) -> None:
        self._path = Path(f"{database}{ENDING}")
        # A file that somebody else's database left, or that another run of the machine wrote, is not ours.
        self._head = f"{boot_id or '-'} {database.stat().st_ino}\n".encode()
        self._fd = -1
        self._size_bytes = 0

    def add(self, node_id: int, kept: Kept) -> bool:
        """*kept*, but for what changes seldom, survives the process; False: that cannot be done here."""
        text = f"{node_id} {kept.mode} {kept.uid} {kept.gid} {kept.atime_ns} {kept.ctime_ns}\n"
        line = text.encode()
        if not self._size_bytes:
            line = self._head + line
        if self._size_bytes >= MOST_BYTES:
            return False
        try:
            if self._fd < 0:
                flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                self._fd = os.open(self._path, flags, 0o600)
            written = os.pwrite(self._fd, line, self._size_bytes)
        except OSError:
            return False
        if written < len(line):  # a full disk; the next line goes over it, and a start ignores half of one
            return False
        self._size_bytes += written
        return True

    def clear(self) -> None:
        """The rows have it all."""
        if self._size_bytes:
            os.ftruncate(self._fd, 0)
            self._size_bytes = 0

    def replay(self, db: sqlite3.Connection) -> None:
        """Takes into the rows what the last process left, and empties the file."""
        self.take_into(db)
        self._path.unlink(missing_ok=True)

    def take_into(self, db: sqlite3.Connection) -> None:
        """Takes into the rows of *db*, which may be a copy, what the last process left."""
        if left := self.left():
            db.execute("BEGIN IMMEDIATE")
            for node_id, fields in left.items():
                _take(db, node_id, fields)
            db.execute("COMMIT")

    def left(self) -> dict[int, Fields]:
        """What the last process left, by the ids of nodes."""
        try:
            head, *lines = self._path.read_bytes().splitlines(keepends=True) or [b""]
        except FileNotFoundError:
            return {}
        return _newest(lines) if head == self._head else {}

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _newest(lines: list[bytes]) -> dict[int, Fields]:
    found: dict[int, Fields] = {}
    for line in lines:
        with suppress(ValueError):  # the last one may have been cut short
            node_id, *fields = line.split()
            if len(fields) == 5 and line.endswith(b"\n"):
                found[int(node_id)] = tuple(None if each == b"None" else int(each) for each in fields)
    return found


def _take(db: sqlite3.Connection, node_id: int, fields: Fields) -> None:
    """Writes *fields* into the row of a node, unless that has newer ones: each change has a later time."""
    row = db.execute("SELECT attributes FROM nodes WHERE id = ?", (node_id,)).fetchone()
    if row is None:
        return
    kept = kept_of(row[0])
    after = newer_of(kept, fields)
    if after != kept:
        db.execute("UPDATE nodes SET attributes = ? WHERE id = ?", (text_of(after), node_id))


def newer_of(kept: Kept | None, fields: Fields) -> Kept | None:
    """*kept*, with *fields* unless those are older."""
    mode, uid, gid, atime_ns, ctime_ns = fields
    before = kept or NOTHING_KEPT
    if before.ctime_ns is not None and (ctime_ns or 0) <= before.ctime_ns:
        return kept
    return replace(before, mode=mode, uid=uid, gid=gid, atime_ns=atime_ns, ctime_ns=ctime_ns)
