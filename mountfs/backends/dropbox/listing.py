"""What stands where, and what changed: Dropbox's listings and cursors."""

from __future__ import annotations

from typing import Any

from mountfs.backends.dropbox.api import DropboxApi, Json
from mountfs.backends.dropbox.entries import entry_of, name_of, news_of
from mountfs.backends.paging import course
from mountfs.errors import Conflict, InvalidArgument, ServerFault
from mountfs.model.entry import Entry, Place
from mountfs.model.path import RemotePath, fold
from mountfs.ports import RemoteChanges

LIST = "files/list_folder"
CONTINUE = "files/list_folder/continue"
PAGE_ENTRIES = 2000
"""The most a page may be asked for; fewest calls."""
_LISTINGS = 3
"""How often a listing begins anew when its cursor is void in the middle."""


def list_folder(api: DropboxApi, path: RemotePath, folder_id: str = "") -> list[Entry]:
    """All children of a folder, by its id where that is known: it may have been renamed."""
    for _ in range(_LISTINGS):
        try:
            return _list_once(api, folder_id or path.text)
        except Conflict:
            continue
    raise ServerFault(f"the listing of {path} is cut off again and again")


def _list_once(api: DropboxApi, path_or_id: str) -> list[Entry]:
    page = api.object(LIST, {"path": path_or_id, "recursive": False, "limit": PAGE_ENTRIES}, is_read=True)
    # By key: what changes while we read may be listed again on a later page.
    children: dict[str, Entry] = {}
    is_new = _collect(children, page)
    with course(api.http, LIST) as pages:
        while page.get("has_more"):
            pages.turn(_cursor(page), is_new=is_new)
            page = api.object(CONTINUE, {"cursor": _cursor(page)}, is_read=True)
            is_new = _collect(children, page)
    return list(children.values())


def _collect(children: dict[str, Entry], page: Json) -> bool:
    """Whether the page said anything that was not known."""
    is_new = False
    for metadata in _entries(page):
        key = fold(name_of(metadata))
        if metadata.get(".tag") == "deleted":
            is_new = children.pop(key, None) is not None or is_new
        else:
            entry = entry_of(metadata)
            is_new = children.get(key) != entry or is_new
            children[key] = entry
    return is_new


def stat(api: DropboxApi, place: Place) -> Entry:
    """By path. NotFound; the root, of which Dropbox keeps no metadata, is InvalidArgument."""
    if place.path.is_root:
        raise InvalidArgument("the root has no metadata")
    return entry_of(api.object("files/get_metadata", {"path": place.path.text}, is_read=True))


def latest_cursor(api: DropboxApi) -> str:
    """Of the whole namespace, recursively."""
    route = "files/list_folder/get_latest_cursor"
    return _cursor(api.object(route, {"path": "", "recursive": True}, is_read=True))


def changes(api: DropboxApi, cursor: str) -> RemoteChanges:
    """One page. Conflict: the cursor is void."""
    page = api.object(CONTINUE, {"cursor": cursor}, is_read=True)
    told = tuple(news for news in map(news_of, _entries(page)) if news is not None)
    return RemoteChanges(told, _cursor(page), bool(page.get("has_more")))


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
