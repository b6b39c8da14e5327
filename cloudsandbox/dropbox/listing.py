"""Listings and their cursors: pages of what is there, then the changes since."""

import base64
import hashlib
import hmac
import json
import sqlite3
from dataclasses import asdict, dataclass, replace
from typing import Any

from cloudsandbox.dropbox.errors import BadRequest, LookupFailed, RouteError, tag
from cloudsandbox.dropbox.names import fold
from cloudsandbox.dropbox.records import deleted_metadata, tagged_metadata
from cloudsandbox.dropbox.tree import Tree

DEFAULT_LIMIT = 500
MAC_BYTES = 9


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position: in the pages of a listing while after_key is set, else in the journal of changes."""

    folder: str  # folded
    recursive: bool
    include_deleted: bool
    limit: int
    seq: int  # changes up to this one are known to the client, or will be when the pages are through
    after_key: str | None = None


class CursorCodec:
    """Cursors as opaque text that only this data directory, in this epoch, accepts back."""

    def __init__(self, secret: str) -> None:
        self.secret = secret.encode()

    def encode(self, cursor: Cursor) -> str:
        """The text a client gets."""
        payload = json.dumps(list(asdict(cursor).values()), separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(payload) + payload).decode().rstrip("=")

    def decode(self, text: str) -> Cursor:
        """The position it stands for. Raises RouteError `reset` when it is not one of ours."""
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            raise RouteError(tag("reset")) from None
        mac, payload = raw[:MAC_BYTES], raw[MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(payload)):
            raise RouteError(tag("reset"))
        return Cursor(*json.loads(payload))

    def _mac(self, payload: bytes) -> bytes:
        return hmac.new(self.secret, payload, hashlib.sha256).digest()[:MAC_BYTES]


class Listing:
    """Pages and changes of a folder. On the state thread only."""

    def __init__(self, connection: sqlite3.Connection, tree: Tree, codec: CursorCodec) -> None:
        self._db = connection
        self._tree = tree
        self.codec = codec
        self.lists_gone_folders = False

    def latest_seq(self) -> int:
        """The number of the newest change."""
        seq: int = self._db.execute("SELECT coalesce(max(seq), 0) FROM change").fetchone()[0]
        return seq

    def begin(self, argument: dict[str, Any]) -> Cursor:
        """A cursor at the first page of a folder. Raises LookupFailed."""
        path = argument["path"]
        if path == "/":
            raise BadRequest('path: Specify the root folder as an empty string rather than as "/".')
        folder = fold(self._tree.resolve(path))
        self._check_folder(folder, argument["include_deleted"])
        limit = argument["limit"] or DEFAULT_LIMIT
        return Cursor(
            folder, argument["recursive"], argument["include_deleted"], limit, self.latest_seq(), ""
        )

    def _check_folder(self, folder: str, include_deleted: bool) -> None:
        if folder == "":
            return
        entry = self._tree.get(folder)
        if entry is None:
            if include_deleted and self.lists_gone_folders and self._tree.was_folder(folder):
                return
            raise LookupFailed("not_found")
        if not entry.is_folder:
            raise LookupFailed("not_folder")

    def next(self, cursor: Cursor) -> dict[str, Any]:
        """ListFolderResult at a cursor. Raises LookupFailed when the folder is gone."""
        self._check_folder(cursor.folder, cursor.include_deleted)
        if cursor.after_key is not None:
            entries, after = self._page(cursor, cursor.after_key)
        else:
            entries, after = self._changes(cursor)
        more = (
            after.after_key is not None or self._has_changes(after) if len(entries) >= cursor.limit else False
        )
        return {"entries": entries, "cursor": self.codec.encode(after), "has_more": more}

    def _page(self, cursor: Cursor, after_key: str) -> tuple[list[dict[str, Any]], Cursor]:
        live = f"SELECT path_lower, 1 FROM entry WHERE {self._scope(cursor)} AND path_lower > :after"
        gone = f"SELECT path_lower, 0 FROM tombstone WHERE {self._scope(cursor)} AND path_lower > :after"
        query = f"{live} UNION ALL {gone}" if cursor.include_deleted else live
        rows = self._db.execute(
            f"{query} ORDER BY 1 LIMIT :limit",
            {**self._bounds(cursor), "after": after_key, "limit": cursor.limit},
        ).fetchall()
        entries = [self._metadata(key) for key, _ in rows]
        # A full page says nothing of what follows: the last page may be an empty one, as the service allows.
        after = replace(cursor, after_key=rows[-1][0] if len(rows) == cursor.limit else None)
        return entries, after

    def _changes(self, cursor: Cursor) -> tuple[list[dict[str, Any]], Cursor]:
        rows = self._db.execute(
            "SELECT seq, path_lower FROM change"
            f" WHERE seq > :seq AND {self._scope(cursor)} ORDER BY seq LIMIT :limit",
            {**self._bounds(cursor), "seq": cursor.seq, "limit": cursor.limit},
        ).fetchall()
        seq = rows[-1][0] if rows else max(cursor.seq, self.latest_seq())
        return [self._metadata(key) for _, key in rows], replace(cursor, seq=seq)

    def has_news(self, cursor: Cursor) -> bool:
        """Whether `next` would give anything: what a longpoll waits for."""
        return cursor.after_key is not None or self._has_changes(cursor)

    def _has_changes(self, cursor: Cursor) -> bool:
        found = self._db.execute(
            f"SELECT 1 FROM change WHERE seq > :seq AND {self._scope(cursor)} LIMIT 1",
            {**self._bounds(cursor), "seq": cursor.seq},
        ).fetchone()
        return found is not None

    def _metadata(self, key: str) -> dict[str, Any]:
        entry = self._tree.get(key)
        if entry is not None:
            return tagged_metadata(entry)
        tombstone = self._tree.tombstone(key)
        return deleted_metadata(key, tombstone[0] if tombstone else key)

    @staticmethod
    def _scope(cursor: Cursor) -> str:
        if not cursor.recursive:
            return "parent_lower = :folder"
        if cursor.folder == "":
            return "path_lower > ''"
        # With recursion the folder itself is listed too. "0" is the character after "/".
        return "(path_lower = :folder OR (path_lower > :folder || '/' AND path_lower < :folder || '0'))"

    @staticmethod
    def _bounds(cursor: Cursor) -> dict[str, Any]:
        return {"folder": cursor.folder}
