"""The tree of one account: what is at which path, every revision there was, and the journal of changes."""

import secrets
import sqlite3
import time
from collections.abc import Iterator

from cloudsandbox.dropbox.errors import LookupFailed, conflict
from cloudsandbox.dropbox.names import ancestors, check_readable, fold, name_of, parent_of, with_one_slash
from cloudsandbox.dropbox.records import Content, Entry, Revision, timestamp
from cloudsandbox.history import History

_ENTRY = """SELECT e.path_lower, e.path_display, e.id, r.rev, r.id, r.path_lower, r.path_display,
    r.size_bytes, r.content_hash, r.blob, r.client_modified, r.server_modified
    FROM entry e LEFT JOIN revision r ON r.rev = e.rev """
_REVISION = """SELECT rev, id, path_lower, path_display, size_bytes, content_hash, blob, client_modified,
    server_modified FROM revision """
FIRST_REV = 0x0160000000000


def _revision(row: tuple[str, str, str, str, int, str, str, str, str]) -> Revision:
    rev, identity, path_lower, path_display, size, digest, blob, client_modified, server_modified = row
    content = Content(size, digest, blob)
    return Revision(rev, identity, path_lower, path_display, content, client_modified, server_modified)


def _entry(row: tuple[str, ...]) -> Entry:
    return Entry(row[0], row[1], row[2], None if row[3] is None else _revision(row[3:]))  # type: ignore[arg-type]


class Tree:
    """Reads and writes of the tree, each part of the caller's transaction. On the state thread only."""

    def __init__(self, connection: sqlite3.Connection, history: History) -> None:
        self._db = connection
        self._history = history
        history.forget = self._forget
        self._last_rev = FIRST_REV
        self.used_bytes = 0
        self.namespace_id = ""
        self.recount()

    def recount(self) -> None:
        """Take the newest rev and the bytes in use from the database: at the start, and after a rollback."""
        newest = "SELECT max(rev) FROM revision UNION SELECT value FROM meta WHERE name = 'forgotten_rev'"
        revs = [int(rev, 16) for (rev,) in self._db.execute(newest) if rev is not None]
        self._last_rev = max(revs, default=FIRST_REV)
        self.used_bytes = self._db.execute(
            "SELECT coalesce(sum(r.size_bytes), 0) FROM entry e JOIN revision r ON r.rev = e.rev"
        ).fetchone()[0]

    # Reading.

    def get(self, key: str) -> Entry | None:
        """What is at this folded path now."""
        row = self._db.execute(_ENTRY + "WHERE e.path_lower = ?", (key,)).fetchone()
        return None if row is None else _entry(row)

    def by_id(self, identity: str) -> Entry | None:
        """The live file or folder with this id."""
        row = self._db.execute(_ENTRY + "WHERE e.id = ?", (identity,)).fetchone()
        return None if row is None else _entry(row)

    def census(self) -> dict[str, int]:
        """How many files and folders there are, the root not counted."""
        files, folders = self._db.execute("SELECT count(rev), count(*) - count(rev) FROM entry").fetchone()
        return {"files": files, "folders": folders}

    def revision(self, rev: str) -> Revision | None:
        """A version by its rev, also of a file that is gone."""
        row = self._db.execute(_REVISION + "WHERE rev = ?", (rev,)).fetchone()
        return None if row is None else _revision(row)

    def revisions(self, column: str, value: str, before_rev: str, limit: int) -> list[Revision]:
        """The newest versions below *before_rev*, newest first; *column* is `path_lower` or `id`."""
        order = f"WHERE {column} = ? AND rev < ? ORDER BY rev DESC LIMIT ?"
        return [_revision(row) for row in self._db.execute(_REVISION + order, (value, before_rev, limit))]

    def under(self, key: str) -> list[Entry]:
        """The entry at *key* and all below it, parents first."""
        rows = self._db.execute(
            _ENTRY
            + "WHERE e.path_lower = ? OR (e.path_lower > ? AND e.path_lower < ?) ORDER BY e.path_lower",
            (key, key + "/", key + "0"),
        )
        return [_entry(row) for row in rows]

    def count_under(self, key: str) -> int:
        """How many entries `under` would give."""
        query = "SELECT count(*) FROM entry WHERE path_lower = ? OR (path_lower > ? AND path_lower < ?)"
        count: int = self._db.execute(query, (key, key + "/", key + "0")).fetchone()[0]
        return count

    def everything(self) -> Iterator[Entry]:
        """All entries, parents first."""
        return (_entry(row) for row in self._db.execute(_ENTRY + "ORDER BY e.path_lower"))

    def tombstone(self, key: str) -> tuple[str, str] | None:
        """The display path and the time of deletion of what was at *key*, when nothing is there now."""
        row = self._db.execute("SELECT path_display, deleted_at FROM tombstone WHERE path_lower = ?", (key,))
        found: tuple[str, str] | None = row.fetchone()
        return found

    def was_folder(self, key: str) -> bool:
        """Whether what was at *key* is gone and was a folder."""
        row = self._db.execute("SELECT 1 FROM gone_folder WHERE path_lower = ?", (key,))
        return row.fetchone() is not None

    def resolve(self, path: str) -> str:
        """The plain path that `id:`, `id:/child` or `ns:` stands for. Raises LookupFailed."""
        if path.startswith("id:"):
            identity, slash, rest = path.partition("/")
            entry = self.by_id(identity)
            if entry is None:
                raise LookupFailed("not_found")
            path = entry.path_display + slash + rest
        elif path.startswith("ns:"):
            namespace, slash, rest = path.removeprefix("ns:").partition("/")
            if namespace != self.namespace_id:
                raise LookupFailed("not_found")
            path = slash + rest
        path = with_one_slash(path)
        check_readable(path)
        return path

    def find(self, path: str) -> Entry:
        """The live entry at a path, id or ns path. Raises LookupFailed."""
        entry = self.get(fold(self.resolve(path)))
        if entry is None:
            raise LookupFailed("not_found")
        return entry

    # Writing.

    def check_ancestors(self, path: str) -> None:
        """Raise WriteFailed when a component above *path* is a file."""
        for folder in reversed(ancestors(fold(path))):
            found = self.get(folder)
            if found is not None:
                if not found.is_folder:
                    raise conflict("file_ancestor")
                return  # what is above a folder are folders

    def cased(self, path: str) -> str:
        """*path* with the case its existing parent folders have; missing ones are made."""
        parent = parent_of(path)
        if parent == "":
            return path
        found = self.get(fold(parent))
        display = found.path_display if found is not None else self.put_folder(parent).path_display
        return f"{display}/{name_of(path)}"

    def put_folder(self, path: str, identity: str | None = None) -> Entry:
        """Create a folder, and its missing parents; the caller has checked that nothing is in the way."""
        display = self.cased(path)
        entry = Entry(fold(path), display, identity or self._new_id(), None)
        self._write(entry)
        return entry

    def put_file(
        self, path: str, content: Content, client_modified: str | None, identity: str | None = None
    ) -> Entry:
        """Write a new revision at *path*, replacing the file there; parents appear by themselves."""
        key = fold(path)
        existing = self.get(key)
        display = self.cased(path) if existing is None else existing.path_display
        server_modified = timestamp(time.time())
        digest, size_bytes = content.content_hash, content.size_bytes
        content = Content(size_bytes, digest, self._history.shared(digest, size_bytes, content.blob))
        identity = identity or (existing.id if existing is not None else self._new_id())
        self._last_rev += 1
        revision = Revision(
            f"{self._last_rev:015x}",
            identity,
            key,
            display,
            content,
            client_modified or server_modified,
            server_modified,
        )
        self._db.execute(
            "INSERT INTO revision (rev, id, path_lower, path_display, size_bytes, content_hash, blob,"
            " client_modified, server_modified) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                revision.rev,
                identity,
                key,
                display,
                content.size_bytes,
                content.content_hash,
                content.blob,
                revision.client_modified,
                server_modified,
            ),
        )
        self._history.made(content.blob, digest, size_bytes)
        if existing is not None and existing.revision is not None:
            self._history.replaced(existing.revision.rev, existing.revision.content.blob)
            self.used_bytes -= existing.revision.content.size_bytes
        self.used_bytes += content.size_bytes
        entry = Entry(key, display, identity, revision)
        self._write(entry)
        return entry

    def place(self, entry: Entry, path: str) -> Entry:
        """Put an entry that was removed at another path, with its id and revision unchanged."""
        moved = Entry(fold(path), self.cased(path), entry.id, entry.revision)
        if moved.revision is not None:
            self._history.revived(moved.revision.rev, moved.revision.content.blob)
            self.used_bytes += moved.revision.content.size_bytes
        self._write(moved)
        return moved

    def remove(self, key: str) -> list[Entry]:
        """Delete the entry at *key* and all below it; gives what was there, parents first."""
        gone = self.under(key)
        deleted_at = timestamp(time.time())
        for entry in gone:
            if entry.revision is not None:
                self._history.replaced(entry.revision.rev, entry.revision.content.blob)
                self.used_bytes -= entry.revision.content.size_bytes
            parent = parent_of(entry.path_lower)
            self._db.execute("DELETE FROM entry WHERE path_lower = ?", (entry.path_lower,))
            self._db.execute(
                "INSERT OR REPLACE INTO tombstone VALUES (?, ?, ?, ?)",
                (entry.path_lower, parent, entry.path_display, deleted_at),
            )
            if entry.is_folder:
                self._db.execute("INSERT OR REPLACE INTO gone_folder VALUES (?)", (entry.path_lower,))
            self._journal(entry.path_lower)
        return gone

    def _forget(self, rev: str | int) -> None:
        """Let go of an old revision; its rev is never given to another one."""
        self._db.execute("DELETE FROM revision WHERE rev = ?", (rev,))
        self._db.execute(
            "INSERT INTO meta VALUES ('forgotten_rev', ?)"
            " ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
            (rev,),
        )

    def _write(self, entry: Entry) -> None:
        rev = None if entry.revision is None else entry.revision.rev
        parent = parent_of(entry.path_lower)
        self._db.execute(
            "INSERT OR REPLACE INTO entry (path_lower, parent_lower, path_display, id, rev)"
            " VALUES (?, ?, ?, ?, ?)",
            (entry.path_lower, parent, entry.path_display, entry.id, rev),
        )
        for table in ("tombstone", "gone_folder"):
            self._db.execute(f"DELETE FROM {table} WHERE path_lower = ?", (entry.path_lower,))
        self._journal(entry.path_lower)

    def _journal(self, key: str) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO change (path_lower, parent_lower) VALUES (?, ?)", (key, parent_of(key))
        )

    @staticmethod
    def _new_id() -> str:
        return "id:" + secrets.token_urlsafe(16)
