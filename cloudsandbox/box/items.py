"""The tree of files and folders, by the service's rules. A refusal changes nothing."""

import json
import sqlite3
import time
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from cloudsandbox.box.database import ROOT
from cloudsandbox.box.errors import Refusal, denied, not_found, precondition_failed, trashed
from cloudsandbox.box.events import Events
from cloudsandbox.box.names import check_name, fold
from cloudsandbox.box.records import (
    FILE,
    FOLDER,
    ITEM_QUERY,
    VERSION_COLUMNS,
    Attributes,
    Content,
    Item,
    Version,
    item_of,
    version_of,
)
from cloudsandbox.box.switches import BoxSwitches, ConflictShape, SameBytes
from cloudsandbox.box.views import Views
from cloudsandbox.history import History


class Items:
    """The items of an account. On the state thread only."""

    def __init__(
        self, connection: sqlite3.Connection, views: Views, events: Events, history: History
    ) -> None:
        self._db = connection
        self._history = history
        history.forget = self._forget
        self._views = views
        self._events = events
        self.switches = BoxSwitches()
        self.used_bytes = 0
        self.recount()

    def recount(self) -> None:
        """Read again what is counted along."""
        query = "SELECT TOTAL(v.size_bytes) FROM item i JOIN version v ON v.id = i.version"
        self.used_bytes = int(self._db.execute(query).fetchone()[0])

    def get(self, number: int, kind: str) -> Item:
        """The item with this id. Raises Refusal: 404, `trashed` when it is in the trash."""
        row = self._db.execute(f"{ITEM_QUERY} WHERE i.id = ? AND i.kind = ?", (number, kind)).fetchone()
        if row is None:
            raise not_found()
        item = item_of(row)
        if item.trashed_s is not None:
            raise trashed()
        return item

    def child(self, parent: int, name: str) -> Item | None:
        """What has this name in a folder, in whatever case."""
        where = "WHERE i.parent = ? AND i.key = ? AND i.trashed_s IS NULL"
        row = self._db.execute(f"{ITEM_QUERY} {where}", (parent, fold(name))).fetchone()
        return None if row is None else item_of(row)

    def children(self, parent: int) -> list[Item]:
        """All that lies in a folder, folders first."""
        where = "WHERE i.parent = ? AND i.trashed_s IS NULL ORDER BY i.kind DESC, i.key"
        return [item_of(row) for row in self._db.execute(f"{ITEM_QUERY} {where}", (parent,)).fetchall()]

    def census(self) -> dict[str, int]:
        """How many files and folders there are, the root not counted; what lies in the trash is not there."""
        query = "SELECT total(kind = 'file'), total(kind = 'folder') FROM item"
        live = " WHERE id != ? AND trashed_s IS NULL"
        files, folders = self._db.execute(query + live, (ROOT,)).fetchone()
        return {"files": int(files), "folders": int(folders)}

    def check_etag(self, item: Item, if_match: str | None) -> None:
        """Raise Refusal (412) when the header If-Match names another state of the item."""
        if if_match is not None and if_match.strip('"') != str(item.etag):
            raise precondition_failed()

    def check_editor(self, *numbers: int | None) -> None:
        """Raise Refusal (403) when the account is a viewer of any of these items; those that are gone do not
        count.
        """
        for number in numbers:
            row = self._db.execute(f"{ITEM_QUERY} WHERE i.id = ?", (number,)).fetchone()
            if row is not None and self._views.is_viewed(item_of(row)):
                raise denied()

    def check_free(self, parent: int, name: str, kind: str, own: int | None = None) -> str:
        """A name that an item of this kind may take in a folder. Raises Refusal: the name, or 409
        item_name_in_use.
        """
        checked = check_name(name, self.switches.refused_name_characters)
        self._check_policy(checked)
        taken = self.child(parent, checked)
        if taken is not None and taken.id != own:
            raise self.name_in_use(taken, kind)
        return checked

    def _check_policy(self, name: str) -> None:
        for rule in self.switches.refusals:
            if fnmatchcase(name, rule["name"]):
                raise Refusal(rule["status"], rule["code"])

    def name_in_use(self, taken: Item, wanted: str) -> Refusal:
        """The refusal that tells the id of what has the name that an item of the kind *wanted* was to get."""
        entry: Any = self._views.conflict(taken)
        shape = self.switches.conflict_shape
        if shape == ConflictShape.ARRAY or (shape == ConflictShape.USUAL and wanted == FOLDER):
            entry = [entry]
        message = "Item with the same name already exists"
        return Refusal(409, "item_name_in_use", message, {"conflicts": entry})

    def check_size(self, size_bytes: int, freed_bytes: int = 0) -> None:
        """Raise Refusal (403) for more than one file, or than the account, may hold."""
        if size_bytes > self.switches.max_upload_bytes:
            raise Refusal(403, "file_size_limit_exceeded", "File size exceeds the folder owner's limit")
        if self.used_bytes - freed_bytes + size_bytes > self.switches.quota_bytes:
            raise Refusal(403, "storage_limit_exceeded", "Account storage limit reached")

    def create_folder(self, parent: int, name: str) -> Item:
        """Make a folder."""
        self.get(parent, FOLDER)
        item = self._insert(FOLDER, parent, self.check_free(parent, name, FOLDER), Attributes())
        self._events.add("ITEM_CREATE", item)
        return item

    def create_file(self, attributes: Attributes, content: Content) -> Item:
        """Make a file with its first version; *attributes* has its name and parent."""
        parent = ROOT if attributes.parent is None else attributes.parent
        self.get(parent, FOLDER)
        name = self.check_free(parent, attributes.name or "", FILE)
        self.check_size(content.size_bytes)
        item = self._insert(FILE, parent, name, attributes)
        item = self._add_version(item, content, attributes.content_modified_s)
        self._events.add("ITEM_UPLOAD", item)
        return item

    def create_version(
        self, number: int, attributes: Attributes, content: Content, if_match: str | None
    ) -> Item:
        """Give a file new content, and a new name when *attributes* has one."""
        item = self.get(number, FILE)
        self.check_etag(item, if_match)
        self._check_policy(attributes.name or item.name)
        if attributes.name is not None:
            item = replace(item, name=self.check_free(item.parent or ROOT, attributes.name, FILE, item.id))
        old = item.version
        if old is not None:
            if self.switches.same_bytes == SameBytes.KEEP and old.content.sha1 == content.sha1:
                return item
            self.check_size(content.size_bytes, old.content.size_bytes)
        if attributes.description is not None:
            item = replace(item, description=attributes.description)
        item = self._add_version(self._changed(item), content, attributes.content_modified_s)
        self._events.add("ITEM_UPLOAD", item)
        return item

    def update(self, item: Item, wish: Attributes, if_match: str | None) -> Item:
        """Rename, move, describe, tag or date an item. A pure move heeds no If-Match."""
        if item.id == ROOT:
            raise denied()
        if wish != Attributes(parent=wish.parent):
            self.check_etag(item, if_match)
            if self.switches.moves_alone and item.kind == FOLDER and wish.parent is not None:
                raise Refusal(403, "operation_limit_exceeded", "Operation limit exceeded")
        parent = item.parent if wish.parent is None else wish.parent
        name = item.name if wish.name is None else wish.name
        if parent is not None and parent != item.parent:
            self._check_move(item, parent)
        events = ["ITEM_MOVE"] if parent != item.parent else []
        events += ["ITEM_RENAME"] if name != item.name else []
        changed = replace(
            item,
            parent=parent,
            name=self.check_free(parent or ROOT, name, item.kind, item.id),
            description=item.description if wish.description is None else wish.description,
            content_created_s=_chosen(wish.content_created_s, item.content_created_s),
            content_modified_s=_chosen(wish.content_modified_s, item.content_modified_s),
        )
        is_tagged = wish.tags is not None and list(wish.tags) != self._views.tags(item)
        if changed == item and not is_tagged:
            return item
        if is_tagged:
            row = (item.id, json.dumps(wish.tags))
            self._db.execute("INSERT OR REPLACE INTO tags VALUES (?, ?)", row)
        changed = self._changed(changed)
        for event in events or ["ITEM_MODIFY"]:
            self._events.add(event, changed)
        return changed

    def _check_move(self, item: Item, parent: int) -> None:
        folder: Item | None = self.get(parent, FOLDER)
        while folder is not None:
            if folder.id == item.id:
                raise Refusal(400, "cyclical_folder_structure", "Folder can't be moved into itself")
            folder = None if folder.parent is None else self.get(folder.parent, FOLDER)

    def delete(self, item: Item, recursive: bool, if_match: str | None) -> None:
        """Put an item into the trash, a folder with all that is in it."""
        if item.id == ROOT:
            raise denied()
        self.check_etag(item, if_match)
        if item.kind == FOLDER and not recursive and self.children(item.id):
            raise Refusal(400, "folder_not_empty", "Cannot delete - folder not empty")
        now_s = int(time.time())
        self._hide(item, now_s)
        self._db.execute("INSERT INTO trash VALUES (?)", (item.id,))
        gone = replace(item, trashed_s=now_s, etag=item.etag + 1, sequence=item.sequence + 1)
        self._save(gone)
        self._events.add("ITEM_TRASH", gone)

    def unshare(self, item: Item) -> None:
        """Take from the account a folder that somebody else shared with it; it is in no trash of ours."""
        self._hide(item, int(time.time()))
        self._events.add("COLLAB_REMOVE_COLLABORATOR", item)

    def _hide(self, item: Item, now_s: int) -> None:
        self._db.execute(
            "WITH RECURSIVE below (id) AS (SELECT ? UNION ALL SELECT i.id FROM item i JOIN below b"
            " ON i.parent = b.id WHERE i.trashed_s IS NULL)"
            " UPDATE item SET trashed_s = ? WHERE id IN (SELECT id FROM below)",
            (item.id, now_s),
        )

    def copy(self, item: Item, parent: int, name: str | None, version: Version | None = None) -> Item:
        """Copy an item, a folder with all that is in it; of a file one version."""
        self._check_move(item, parent)
        made = self._copied(item, parent, self.check_free(parent, name or item.name, item.kind), version)
        self._events.add("ITEM_COPY", made)
        return made

    def _copied(self, item: Item, parent: int, name: str, version: Version | None) -> Item:
        inherited = Attributes(None, None, item.content_created_s, item.content_modified_s, item.description)
        made = self._insert(item.kind, parent, name, inherited)
        source = version or item.version
        if source is not None:
            self.check_size(source.content.size_bytes)
            return self._add_version(made, source.content, item.content_modified_s)
        for child in self.children(item.id):
            self._copied(child, made.id, child.name, None)
        return made

    def versions(self, item: Item) -> list[Version]:
        """All versions of a file, the newest first."""
        rows = self._db.execute(
            f"SELECT {VERSION_COLUMNS} FROM version v WHERE file = ? ORDER BY number DESC", (item.id,)
        ).fetchall()
        return [version_of(row) for row in rows]

    def version(self, item: Item, number: int) -> Version:
        """One version of a file by its id. Raises Refusal: 404."""
        query = f"SELECT {VERSION_COLUMNS} FROM version v WHERE v.id = ? AND v.file = ?"
        row = self._db.execute(query, (number, item.id)).fetchone()
        if row is None:
            raise not_found()
        return version_of(row)

    def file_of(self, version: int) -> int:
        """The id of the file that a version is of. Raises Refusal: 404."""
        row = self._db.execute("SELECT file FROM version WHERE id = ?", (version,)).fetchone()
        if row is None:
            raise not_found()
        return int(row[0])

    def promote(self, item: Item, version: Version) -> Item:
        """Make a copy of an old version the current one."""
        freed = item.version.content.size_bytes if item.version else 0
        self.check_size(version.content.size_bytes, freed)
        changed = self._add_version(self._changed(item), version.content, version.modified_s)
        self._events.add("ITEM_MAKE_CURRENT_VERSION", changed)
        return changed

    def _insert(self, kind: str, parent: int, name: str, attributes: Attributes) -> Item:
        now_s = int(time.time())
        created_s = _chosen(attributes.content_created_s, now_s)
        modified_s = _chosen(attributes.content_modified_s, now_s)
        description = attributes.description or ""
        cursor = self._db.execute(
            "INSERT INTO item (kind, parent, name, key, etag, sequence, description, created_s, modified_s,"
            " content_created_s, content_modified_s) VALUES (?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?)",
            (kind, parent, name, fold(name), description, now_s, now_s, created_s, modified_s),
        )
        number = int(cursor.lastrowid or 0)
        return Item(
            number, kind, parent, name, 0, 0, description, now_s, now_s, created_s, modified_s, None, None
        )

    def _add_version(self, item: Item, content: Content, modified_s: int | None) -> Item:
        now_s = int(time.time())
        content_modified_s = _chosen(modified_s, now_s)
        number = 1 + (item.version.number if item.version else 0)
        blob = self._history.shared(content.sha1, content.size_bytes, content.blob)
        content = Content(content.size_bytes, content.sha1, blob)
        row = (item.id, number, item.name, content.sha1, content.size_bytes, content.blob)
        cursor = self._db.execute(
            "INSERT INTO version (file, number, name, sha1, size_bytes, blob, created_s, modified_s)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, now_s, content_modified_s),
        )
        version_id = int(cursor.lastrowid or 0)
        self._history.made(content.blob, content.sha1, content.size_bytes)
        if item.version is not None:
            self._history.replaced(item.version.id, item.version.content.blob)
        made = Version(version_id, item.id, number, item.name, content, now_s, content_modified_s)
        self.used_bytes += content.size_bytes - (item.version.content.size_bytes if item.version else 0)
        changed = replace(item, version=made, content_modified_s=content_modified_s)
        self._save(changed)
        return changed

    def _forget(self, version: int | str) -> None:
        """Let go of an old version; its id is never given to another one."""
        self._db.execute("DELETE FROM version WHERE id = ?", (version,))

    def _changed(self, item: Item) -> Item:
        """Save an item as its next state."""
        changed = replace(item, etag=item.etag + 1, sequence=item.sequence + 1, modified_s=int(time.time()))
        self._save(changed)
        return changed

    def _save(self, item: Item) -> None:
        self._db.execute(
            "UPDATE item SET parent = ?, name = ?, key = ?, etag = ?, sequence = ?, description = ?,"
            " modified_s = ?, content_created_s = ?, content_modified_s = ?, version = ? WHERE id = ?",
            (
                *(item.parent, item.name, fold(item.name), item.etag, item.sequence, item.description),
                *(item.modified_s, item.content_created_s, item.content_modified_s),
                *(item.version.id if item.version else None, item.id),
            ),
        )


def _chosen(wish: int | None, otherwise: int) -> int:
    return otherwise if wish is None else wish
