"""What stands where, and what changed: Dropbox's listings and cursors."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from mountfs.backends import checked
from mountfs.backends.dropbox.api import DropboxApi, Json
from mountfs.backends.dropbox.entries import entry_of, file_of, listed_of, news_of, placed_of
from mountfs.backends.paging import guarded_pages, pages_ended
from mountfs.backends.wire import Response
from mountfs.errors import Conflict, InvalidArgument, NotFound, ServerFault
from mountfs.model.entry import Entry, File, Listed, Odd, Place
from mountfs.model.path import RemotePath, fold
from mountfs.ports import FolderPage, RemoteChanges, TreePage

LIST = "files/list_folder"
CONTINUE = "files/list_folder/continue"
REVISIONS = "files/list_revisions"
RESTORE = "files/restore"
PAGE_ENTRIES = 2000
"""The most a page may be asked for; fewest calls."""
MOST_ENTRIES = 10 * PAGE_ENTRIES
"""The number that is asked for is approximate (files/list_folder)."""
MOST_REVISIONS = 100
"""The most that can be asked for (files/list_revisions)."""
_LISTINGS = 3
"""How often a listing begins anew when its cursor is void in the middle."""


def list_folder(api: DropboxApi, path: RemotePath, folder_id: str = "") -> list[Listed]:
    """All children of a folder, by its id where that is known: it may have been renamed."""
    for _ in range(_LISTINGS):
        try:
            return _list_once(api, folder_id or path.text)
        except Conflict:
            continue
    raise ServerFault(f"the listing of {path} is cut off again and again")


def _list_once(api: DropboxApi, path_or_id: str) -> list[Listed]:
    reply = api.page(LIST, {"path": path_or_id, "recursive": False, "limit": PAGE_ENTRIES})
    # By key: what changes while we read may be listed again on a later page.
    children: dict[str, Listed] = {}
    nameless: list[Odd] = []
    with guarded_pages(api.http, LIST) as pages, ThreadPoolExecutor(1, "next-page") as ahead:
        while True:
            following: Future[Response] | None = None
            with api.taken_apart(reply, LIST) as page:
                if page.get("has_more") is True:
                    # It comes while this one is read, which takes as long as the service does.
                    following = ahead.submit(api.page, CONTINUE, {"cursor": _cursor(page)})
                is_new = _collect(children, nameless, page)
                if following is None:
                    return [*children.values(), *nameless]
                pages.check(_cursor(page), is_new=is_new)
                del page
            reply = following.result()


def list_page(
    api: DropboxApi,
    path: RemotePath,
    folder_id: str,
    cursor: str | None,
    most: int | None,
    *,
    is_ahead: bool,
) -> FolderPage:
    """A page of ``list_folder``."""
    if cursor is None:
        limit = PAGE_ENTRIES if most is None else min(most, PAGE_ENTRIES)
        arg = {"path": folder_id or path.text, "recursive": False, "limit": limit}
        route, reply = LIST, api.page(LIST, arg)
    else:
        route, reply = CONTINUE, api.page(CONTINUE, {"cursor": cursor})
    children: dict[str, Listed] = {}
    nameless: list[Odd] = []
    with api.taken_apart(reply, route, is_ahead=is_ahead) as page:
        _collect(children, nameless, page)
        gone = [None for metadata in _entries(page) if _is_deleted(metadata)]
        following = _cursor(page) if page.get("has_more") is True else None
    if following is None:
        pages_ended(api.http, LIST)
    return FolderPage([*children.values(), *nameless, *gone], following)


def _collect(children: dict[str, Listed], nameless: list[Odd], page: Json) -> bool:
    """Whether the page said anything that was not known."""
    is_new = False
    known = set(nameless)
    for metadata in _entries(page):
        listed = listed_of(metadata)
        key = fold(listed.name)
        if not listed.name:
            assert isinstance(listed, Odd)
            is_new = listed not in known or is_new
            nameless.append(listed)
        elif _is_deleted(metadata):
            is_new = children.pop(key, None) is not None or is_new
        else:
            is_new = children.get(key) != listed or is_new
            children[key] = listed
    return is_new


def _is_deleted(metadata: Any) -> bool:
    return isinstance(metadata, dict) and metadata.get(".tag") == "deleted"


def list_tree(api: DropboxApi, folder_id: str, cursor: str | None) -> TreePage:
    """A page of a recursive listing. What has no path is not mounted, and left out."""
    if cursor is None:
        arg = {"path": folder_id, "recursive": True, "limit": PAGE_ENTRIES}
        route, reply = LIST, api.page(LIST, arg)
    else:
        route, reply = CONTINUE, api.page(CONTINUE, {"cursor": cursor})
    with api.taken_apart(reply, route) as page:
        placed = [each for each in map(placed_of, _entries(page)) if each is not None]
        return TreePage(placed, _cursor(page), page.get("has_more") is True)


def stat(api: DropboxApi, place: Place) -> Entry:
    """By path. NotFound; the root, of which Dropbox keeps no metadata, is InvalidArgument."""
    if place.path.is_root:
        raise InvalidArgument("the root has no metadata")
    return entry_of(api.object("files/get_metadata", {"path": place.path.text}, is_read=True))


def revisions_before(api: DropboxApi, file: File, since: str | None) -> list[File]:
    """By id: a file's history goes with it when it is moved, and a file that had its name before has one of
    its own. Such a listing has no second page (``before_rev``). What makes no sense in it is left out."""
    arg = {"path": file.id, "mode": {".tag": "id"}, "limit": MOST_REVISIONS}
    page = api.object(REVISIONS, arg, is_read=True)
    found: list[File] = []
    for metadata in _entries(page):
        try:
            revision = file_of(checked.obj(metadata, "a revision"))
        except ServerFault:
            continue
        if revision.revision == since:
            return found
        if revision.revision != file.revision:
            found.append(revision)
    if since is not None:
        raise NotFound(f"{file.name}: its history does not tell what came after {since}")
    return found


def restore(api: DropboxApi, path: RemotePath, revision: str) -> File:
    """NotFound: the revision is not kept any more."""
    return file_of(api.object(RESTORE, {"path": path.text, "rev": revision}))


def latest_cursor(api: DropboxApi) -> str:
    """Of the whole namespace, recursively."""
    route = "files/list_folder/get_latest_cursor"
    return _cursor(api.object(route, {"path": "", "recursive": True}, is_read=True))


def changes(api: DropboxApi, cursor: str) -> RemoteChanges:
    """One page. Conflict: the cursor is void."""
    page = api.object(CONTINUE, {"cursor": cursor}, is_read=True)
    entries = _entries(page)
    if not all(isinstance(entry, dict) for entry in entries):
        raise Conflict("something changed, and neither what nor where is told")
    told = tuple(news for news in map(news_of, entries) if news is not None)
    return RemoteChanges(told, _cursor(page), page.get("has_more") is True)


def _entries(page: Json) -> list[Any]:
    entries = page.get("entries")
    if not isinstance(entries, list) or len(entries) > MOST_ENTRIES:
        raise ServerFault("a page of a listing has no entries, or far too many")
    return entries


def _cursor(page: Json) -> str:
    return checked.token(page.get("cursor"), "the cursor of a listing")
