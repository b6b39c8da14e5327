"""What stands where, and what changed: Dropbox's listings and cursors."""

from __future__ import annotations

from typing import Any

from mountfs.backends.dropbox.api import DropboxApi, Json
from mountfs.backends.dropbox.entries import change_of, entry_at, named_in
from mountfs.errors import Conflict, InvalidArgument, ServerFault
from mountfs.model.entry import Entry
from mountfs.model.path import RemotePath
from mountfs.ports import RemoteChanges

LIST = "files/list_folder"
CONTINUE = "files/list_folder/continue"
PAGE_ENTRIES = 2000
"""The most a page may be asked for; fewest calls."""
_LISTINGS = 3
"""How often a listing begins anew when its cursor is void in the middle."""


def list_folder(api: DropboxApi, path: RemotePath) -> list[Entry]:
    """All children, each spelled as it is, below *path* as it was asked for."""
    for _ in range(_LISTINGS):
        try:
            return _list_once(api, path)
        except Conflict:
            continue
    raise ServerFault(f"the listing of {path} is cut off again and again")


def _list_once(api: DropboxApi, path: RemotePath) -> list[Entry]:
    page = api.object(LIST, {"path": path.text, "recursive": False, "limit": PAGE_ENTRIES}, is_read=True)
    # By key: what changes while we read may be listed again on a later page.
    children: dict[str, Entry] = {}
    _collect(children, path, page)
    while page.get("has_more"):
        page = api.object(CONTINUE, {"cursor": page.get("cursor")}, is_read=True)
        _collect(children, path, page)
    return list(children.values())


def _collect(children: dict[str, Entry], folder: RemotePath, page: Json) -> None:
    for metadata in _entries(page):
        path = named_in(folder, metadata)
        if metadata.get(".tag") == "deleted":
            children.pop(path.key, None)
        else:
            children[path.key] = entry_at(path, metadata)


def stat(api: DropboxApi, path: RemotePath) -> Entry:
    """NotFound; the root, of which Dropbox keeps no metadata, is InvalidArgument."""
    if path.is_root:
        raise InvalidArgument("the root has no metadata")
    metadata = api.object("files/get_metadata", {"path": path.text}, is_read=True)
    return entry_at(named_in(path.parent, metadata), metadata)


def latest_cursor(api: DropboxApi) -> str:
    """Of the whole namespace, recursively."""
    route = "files/list_folder/get_latest_cursor"
    return _cursor(api.object(route, {"path": "", "recursive": True}, is_read=True))


def changes(api: DropboxApi, cursor: str) -> RemoteChanges:
    """One page. Conflict: the cursor is void."""
    page = api.object(CONTINUE, {"cursor": cursor}, is_read=True)
    found = (change_of(metadata) for metadata in _entries(page))
    kept = tuple(change for change in found if change is not None)
    return RemoteChanges(kept, _cursor(page), bool(page.get("has_more")))


def _entries(page: Json) -> list[dict[str, Any]]:
    entries = page.get("entries")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ServerFault("a page of a listing has no entries")
    return entries


def _cursor(page: Json) -> str:
    cursor = page.get("cursor")
    if not isinstance(cursor, str):
        raise ServerFault("a page of a listing has no cursor")
    return cursor
