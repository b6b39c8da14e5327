"""What is kept of the past: old revisions up to a number of bytes, and each content once.

A revision is a *head* while it is what a file consists of, and *old* from then on. Revisions with the same
digest share one content file. For example: `a` is written, copied to `b`, and written anew. The first content
has one head (of `b`) and one old revision (of `a`): to forget that one would free nothing. Once `b` is gone
too, its bytes are history.
"""

import sqlite3
from collections.abc import Callable

from cloudsandbox.content import ContentFiles

SCHEMA = """
-- Content files that revisions name; heads and olds count them. digest is the service's own kind of hash.
CREATE TABLE IF NOT EXISTS blob (
    name TEXT PRIMARY KEY, digest TEXT NOT NULL, size_bytes INTEGER NOT NULL, heads INTEGER NOT NULL,
    olds INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS blob_digest ON blob (digest, size_bytes);
-- Revisions that are no head; their names ascend with their age.
CREATE TABLE IF NOT EXISTS old (revision PRIMARY KEY, blob TEXT NOT NULL) WITHOUT ROWID;
-- Content files to remove, once the transaction that let go of them is over; a start removes what is left.
CREATE TABLE IF NOT EXISTS doomed (blob TEXT PRIMARY KEY) WITHOUT ROWID;
"""

Revision = str | int


class History:
    """The account's revisions by age, and the bytes they hold. On the state thread only."""

    def __init__(self, connection: sqlite3.Connection, files: ContentFiles) -> None:
        self._db = connection
        self._files = files
        self._has_doomed = True  # what an earlier process left
        self.limit_bytes = 0
        self.forget: Callable[[Revision], None] = lambda _revision: None
        """Removes a revision from the tree, which never shows it again."""
        self.content_bytes = 0  # of all contents that revisions name
        self.old_bytes = 0  # of those that only old ones name
        self.recount()

    def recount(self) -> None:
        """Take the bytes from the database: at the start, and after a rollback."""
        query = "SELECT total(size_bytes), total(size_bytes * (heads = 0)) FROM blob"
        content_bytes, old_bytes = self._db.execute(query).fetchone()
        self.content_bytes, self.old_bytes = int(content_bytes), int(old_bytes)

    def report(self) -> dict[str, int]:
        """`content_bytes`, on the disk for all revisions, and `history_bytes`, for old ones alone."""
        return {"content_bytes": self.content_bytes, "history_bytes": self.old_bytes}

    def shared(self, digest: str, size_bytes: int, blob: str) -> str:
        """The content file that has these bytes already; *blob* when there is none."""
        query = "SELECT name FROM blob WHERE digest = ? AND size_bytes = ? LIMIT 1"
        row = self._db.execute(query, (digest, size_bytes)).fetchone()
        return blob if row is None else str(row[0])

    def has(self, blob: str) -> bool:
        """Whether a revision names this content file."""
        return self._db.execute("SELECT 1 FROM blob WHERE name = ?", (blob,)).fetchone() is not None

    def made(self, blob: str, digest: str, size_bytes: int) -> None:
        """A new revision with this content is a head."""
        self._db.execute("INSERT OR IGNORE INTO blob VALUES (?, ?, ?, 0, 0)", (blob, digest, size_bytes))
        self._count(blob, heads=1)

    def replaced(self, revision: Revision, blob: str) -> None:
        """A head is old from here on."""
        self._db.execute("INSERT INTO old VALUES (?, ?)", (revision, blob))
        self._count(blob, heads=-1, olds=1)

    def revived(self, revision: Revision, blob: str) -> None:
        """An old revision is a head again."""
        self._db.execute("DELETE FROM old WHERE revision = ?", (revision,))
        self._count(blob, heads=1, olds=-1)

    def removed(self, revision: Revision, blob: str) -> None:
        """A revision, head or old, is no more."""
        was_old = self._db.execute("DELETE FROM old WHERE revision = ?", (revision,)).rowcount
        self._count(blob, heads=was_old - 1, olds=-was_old)

    def doom(self, blob: str) -> None:
        """Remove the content file, which no revision names, after this transaction."""
        self._db.execute("INSERT OR IGNORE INTO doomed VALUES (?)", (blob,))
        self._has_doomed = True

    def prune(self) -> None:
        """Forget old revisions, the oldest first, until what they hold fits. At the end of a transaction."""
        while self.old_bytes > self.limit_bytes:
            revision, blob = self._db.execute(
                "SELECT revision, blob FROM old ORDER BY revision LIMIT 1"
            ).fetchone()
            self.forget(revision)
            self.removed(revision, blob)

    def clear(self) -> None:
        """Remove the content files that were let go of. Outside of transactions."""
        if not self._has_doomed:
            return
        for (blob,) in self._db.execute("SELECT blob FROM doomed").fetchall():
            self._files.forget(blob)
        self._db.execute("DELETE FROM doomed")
        self._has_doomed = False

    def _count(self, blob: str, heads: int = 0, olds: int = 0) -> None:
        row = self._db.execute("SELECT size_bytes, heads, olds FROM blob WHERE name = ?", (blob,)).fetchone()
        size_bytes, old_heads, old_olds = row
        new_heads, new_olds = old_heads + heads, old_olds + olds
        was_named, is_named = old_heads + old_olds > 0, new_heads + new_olds > 0
        self.content_bytes += size_bytes * (is_named - was_named)
        was_history = was_named and not old_heads
        is_history = is_named and not new_heads
        self.old_bytes += size_bytes * (is_history - was_history)
        if is_named:
            self._db.execute(
                "UPDATE blob SET heads = ?, olds = ? WHERE name = ?", (new_heads, new_olds, blob)
            )
            return
        self._db.execute("DELETE FROM blob WHERE name = ?", (blob,))
        self.doom(blob)
