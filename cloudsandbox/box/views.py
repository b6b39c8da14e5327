"""Items as JSON: the standard representation, the mini one, or the fields that were asked for."""

import json
import sqlite3
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from cloudsandbox.box.database import ROOT
from cloudsandbox.box.errors import bad_parameter
from cloudsandbox.box.names import extension_of
from cloudsandbox.box.records import FILE, ITEM_QUERY, Item, Version, item_of
from cloudsandbox.box.switches import BoxSwitches
from cloudsandbox.box.times import rendered

COLLECTION_ENTRIES = 100  # of item_collection
ALWAYS = ("type", "id", "etag")
MINI = (*ALWAYS, "sequence_id", "name")
STANDARD = (
    *MINI,
    "description",
    "size",
    "path_collection",
    "created_at",
    "modified_at",
    "trashed_at",
    "purged_at",
    "content_created_at",
    "content_modified_at",
    "created_by",
    "modified_by",
    "owned_by",
    "shared_link",
    "parent",
    "item_status",
)
OF_FILES = ("sha1", "file_version")
MINI_FILE = (*MINI, *OF_FILES)
STANDARD_FILE = (*STANDARD, *OF_FILES)
STANDARD_FOLDER = (*STANDARD, "folder_upload_email", "item_collection")
# What the service knows and this stand-in leaves out of its answers.
_NOT_KEPT = frozenset(
    {
        "allowed_invitee_roles",
        "allowed_shared_link_access_levels",
        "can_non_owners_invite",
        "can_non_owners_view_collaborators",
        "classification",
        "disposition_at",
        "expires_at",
        "expiring_embed_link",
        "is_accessible_via_shared_link",
        "is_associated_with_app_item",
        "is_collaboration_restricted_to_enterprise",
        "is_package",
        "metadata",
        "representations",
        "shared_link_permission_options",
        "sync_state",
        "url",
        "watermark_info",
    }
)


class Views:
    """Makes the JSON of items. On the state thread only."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.switches = BoxSwitches()

    def mini(self, item: Item) -> dict[str, Any]:
        """What other objects say of an item."""
        return self._made(item, MINI_FILE if item.kind == FILE else MINI)

    def standard(self, item: Item) -> dict[str, Any]:
        """What the answer to a call about this item says without `fields`."""
        return self._made(item, STANDARD_FILE if item.kind == FILE else STANDARD_FOLDER)

    def shown(self, item: Item, fields: list[str] | None) -> dict[str, Any]:
        """The standard representation, or the fields asked for with those that always come."""
        return self.standard(item) if fields is None else self.selected(item, fields)

    def listed(self, item: Item, fields: list[str] | None) -> dict[str, Any]:
        """An entry of a listing: mini unless fields are asked for."""
        return self.mini(item) if fields is None else self.selected(item, fields)

    def selected(self, item: Item, fields: list[str]) -> dict[str, Any]:
        """The named fields as far as the item has them, and those that always come."""
        return self._made(item, (*ALWAYS, *fields))

    def _made(self, item: Item, fields: tuple[str, ...]) -> dict[str, Any]:
        own = _FILE_FIELDS if item.kind == FILE else _FOLDER_FIELDS
        return {name: own[name](self, item) for name in fields if name in own}

    def time(self, epoch_s: int) -> str:
        """A time as replies have it."""
        return rendered(epoch_s, self.switches.utc_offset_hours)

    def user(self) -> dict[str, Any]:
        """The account's user, mini."""
        switches = self.switches
        return {"type": "user", "id": switches.user_id, "name": "Sandy Box", "login": switches.login}

    def version(self, version: Version) -> dict[str, Any]:
        """A version, in full."""
        return {
            "type": "file_version",
            "id": str(version.id),
            "sha1": version.content.sha1,
            "name": version.name,
            "size": version.content.size_bytes,
            "created_at": self.time(version.created_s),
            "modified_at": self.time(version.modified_s),
            "modified_by": self.user(),
            "trashed_at": None,
            "purged_at": None,
            "uploader_display_name": "Sandy Box",
            "version_number": str(version.number),
        }

    def conflict(self, item: Item) -> dict[str, Any]:
        """The item that has the name already, as an error names it."""
        return self.mini(item)

    def parent(self, item: Item) -> dict[str, Any] | None:
        """The folder of an item, mini; None for the root."""
        return None if item.parent is None else self.mini(self._item(item.parent))

    def is_viewed(self, item: Item) -> bool:
        """Whether the account may look at an item and no more, as a viewer of a folder above it."""
        at: Item | None = item
        while self.switches.viewed_folders and at is not None:
            if at.kind != FILE and any(fnmatchcase(at.name, glob) for glob in self.switches.viewed_folders):
                return True
            at = None if at.parent is None else self._item(at.parent)
        return False

    def permissions(self, item: Item) -> dict[str, bool]:
        """What the account may do with an item."""
        granted = _FILE_PERMISSIONS if item.kind == FILE else _PERMISSIONS
        return {**granted, **_VIEWERS} if self.is_viewed(item) else granted

    def tags(self, item: Item) -> list[str]:
        """The tags of an item, in the order in which they were given."""
        row = self._db.execute("SELECT tags FROM tags WHERE item = ?", (item.id,)).fetchone()
        return [] if row is None else list(json.loads(row[0]))

    def path_collection(self, item: Item) -> dict[str, Any]:
        """The folders above an item, the root first."""
        entries: list[dict[str, Any]] = []
        parent = item.parent
        while parent is not None:
            folder = self._item(parent)
            entries.insert(0, self.mini(folder))
            parent = folder.parent
        return {"total_count": len(entries), "entries": entries}

    def folder_size(self, item: Item) -> int:
        """The bytes of all files below a folder."""
        (total,) = self._db.execute(
            "WITH RECURSIVE below (id) AS (SELECT ? UNION ALL SELECT i.id FROM item i JOIN below b"
            " ON i.parent = b.id WHERE i.trashed_s IS NULL)"
            " SELECT TOTAL(v.size_bytes) FROM below b JOIN item i ON i.id = b.id JOIN version v"
            " ON v.id = i.version",
            (item.id,),
        ).fetchone()
        return int(total)

    def item_collection(self, item: Item) -> dict[str, Any]:
        """The first items of a folder."""
        where = "WHERE i.parent = ? AND i.trashed_s IS NULL"
        rows = self._db.execute(
            f"{ITEM_QUERY} {where} ORDER BY i.kind DESC, i.key LIMIT {COLLECTION_ENTRIES}", (item.id,)
        ).fetchall()
        (total,) = self._db.execute(f"SELECT COUNT(*) FROM item i {where}", (item.id,)).fetchone()
        return {
            "total_count": total,
            "limit": COLLECTION_ENTRIES,
            "offset": 0,
            "order": [{"by": "type", "direction": "ASC"}, {"by": "name", "direction": "ASC"}],
            "entries": [self.mini(item_of(row)) for row in rows],
        }

    def _item(self, number: int) -> Item:
        return item_of(self._db.execute(f"{ITEM_QUERY} WHERE i.id = ?", (number,)).fetchone())


def parsed_fields(text: str | None) -> list[str] | None:
    """The list in the parameter `fields`. Raises Refusal for a field no item can have."""
    if text is None:
        return None
    fields = [each.strip() for each in text.split(",") if each.strip()]
    for name in fields:
        top = name.partition(".")[0]
        if top not in _FILE_FIELDS and top not in _FOLDER_FIELDS and top not in _NOT_KEPT:
            raise bad_parameter("fields", f"unknown field {name}")
    return fields


def _status(item: Item) -> str:
    return "active" if item.trashed_s is None else "trashed"


def _file_version(item: Item) -> dict[str, Any] | None:
    version = item.version
    if version is None:
        return None
    return {"type": "file_version", "id": str(version.id), "sha1": version.content.sha1}


_PERMISSIONS = dict.fromkeys(
    ("can_delete", "can_download", "can_invite_collaborator", "can_rename", "can_set_share_access"), True
) | {"can_share": True, "can_upload": True}
_FILE_PERMISSIONS = _PERMISSIONS | dict.fromkeys(
    (
        "can_annotate",
        "can_comment",
        "can_preview",
        "can_view_annotations_all",
        "can_view_annotations_self",
    ),
    True,
)
_VIEWERS = dict.fromkeys(("can_delete", "can_invite_collaborator", "can_rename", "can_upload"), False)

Field = Callable[[Views, Item], Any]

_SHARED_FIELDS: dict[str, Field] = {
    "type": lambda _views, item: item.kind,
    "id": lambda _views, item: str(item.id),
    "etag": lambda _views, item: None if item.id == ROOT else str(item.etag),
    "sequence_id": lambda _views, item: None if item.id == ROOT else str(item.sequence),
    "name": lambda _views, item: item.name,
    "description": lambda _views, item: item.description,
    "tags": Views.tags,
    "path_collection": Views.path_collection,
    "created_at": lambda views, item: None if item.id == ROOT else views.time(item.created_s),
    "modified_at": lambda views, item: None if item.id == ROOT else views.time(item.modified_s),
    "trashed_at": lambda views, item: None if item.trashed_s is None else views.time(item.trashed_s),
    "purged_at": lambda _views, _item: None,
    "content_created_at": lambda views, item: None if item.id == ROOT else views.time(item.content_created_s),
    "content_modified_at": lambda views, item: (
        None if item.id == ROOT else views.time(item.content_modified_s)
    ),
    "created_by": lambda views, _item: views.user(),
    "modified_by": lambda views, _item: views.user(),
    "owned_by": lambda views, _item: views.user(),
    "shared_link": lambda _views, _item: None,
    "parent": Views.parent,
    "item_status": lambda _views, item: _status(item),
    "permissions": Views.permissions,
    "has_collaborations": lambda _views, _item: False,
    "is_externally_owned": lambda _views, _item: False,
}
_FILE_FIELDS: dict[str, Field] = {
    **_SHARED_FIELDS,
    "size": lambda _views, item: item.version.content.size_bytes if item.version else 0,
    "sha1": lambda _views, item: item.version.content.sha1 if item.version else "",
    "file_version": lambda _views, item: _file_version(item),
    "version_number": lambda _views, item: str(item.version.number if item.version else 0),
    "extension": lambda _views, item: extension_of(item.name),
    "lock": lambda _views, _item: None,
    "comment_count": lambda _views, _item: 0,
    "uploader_display_name": lambda _views, _item: "Sandy Box",
}
_FOLDER_FIELDS: dict[str, Field] = {
    **_SHARED_FIELDS,
    "size": Views.folder_size,
    "item_collection": Views.item_collection,
    "folder_upload_email": lambda _views, _item: None,
}
