"""What stands where: paths to ids and back, with as few listings as that takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from mountfs.backends.box.api import BoxApi, Json, object_in, quoted
from mountfs.backends.box.entries import (
    FIELDS,
    entry_at,
    folder_at,
    id_of,
    named_in,
    parent_id_of,
)
from mountfs.backends.box.errors import NAME_IN_USE, code_of, conflicting_item, from_response
from mountfs.backends.box.index import Found, Index, Unlisted
from mountfs.errors import Conflict, InvalidArgument, NotADirectory, NotFound, ServerFault
from mountfs.model.entry import Entry, Folder
from mountfs.model.path import RemotePath, fold

LIST = "GET folders/:id/items"
STAT_FILE = "GET files/:id"
STAT_FOLDER = "GET folders/:id"
MAKE = "POST folders"
PAGE_ITEMS = 1000
"""The most a page may be asked for; fewest calls."""
_PAGES = 100_000
"""A marker that never ends is the service's fault, and must not become ours."""

Result = TypeVar("Result")


class Tree:
    """Reads the tree by path; raises NotFound for what is not there, NotADirectory below a file."""

    def __init__(self, api: BoxApi, index: Index) -> None:
        self._api = api
        self.index = index

    # Paths to ids

    def find(self, path: RemotePath) -> Found:
        """The item at *path*: from what is known, else from listings of the folders above it."""
        listed: set[str] = set()
        while True:
            found = self.index.find(path)
            if isinstance(found, Found) and not found.is_above:
                return found
            folder = found.folder if isinstance(found, Unlisted) else self._folder_of(found.id)
            if folder in listed:
                if isinstance(found, Found):
                    raise NotADirectory(f"a file stands above {path}")
                raise NotFound(f"no such file or folder: {path}")
            listed.add(folder)
            try:
                self._items(folder)
            except NotFound:
                # Gone since it was learned: its own folder tells what stands there instead, if anything.
                self._forget_folder(folder)

    def find_folder(self, path: RemotePath) -> str:
        """The id of the folder *path*."""
        found = self.find(path)
        if not found.is_folder:
            raise NotADirectory(f"not a folder: {path}")
        return found.id

    def in_folder(self, path: RemotePath, call: Callable[[str], Result]) -> Result:
        """*call* with the id of the folder *path*, made with those above it where they are missing.

        Once more when that id turns out to be gone: *call* raises NotFound for that alone.
        """
        folder_id = self._folder_made(path)
        try:
            return call(folder_id)
        except NotFound:
            self._forget_folder(folder_id)
        return call(self._folder_made(path))

    def make_folder(self, parent_id: str, path: RemotePath) -> Folder:
        """The folder *path* in *parent_id*; one that stands there is as good. Conflict: a file stands there.

        NotFound: the parent is gone.
        """
        arg = {"name": path.name, "parent": {"id": parent_id}}
        response = self._api.exchange(MAKE, self._api.api_url("folders", fields=FIELDS), arg=arg)
        if response.status == 409 and code_of(response) == NAME_IN_USE:
            standing = conflicting_item(response) or {}
            if standing.get("type") != "folder":
                raise Conflict(f"a file stands at {path}")
            self.index.learn({"name": path.name, **standing}, parent_id)
            name = standing.get("name")
            return folder_at(path.parent.child(name if isinstance(name, str) else path.name), standing)
        if response.status != 201:
            raise from_response(response, str(path))
        item = object_in(response, MAKE)
        self.index.learn(item, parent_id)
        return replace(folder_at(named_in(path.parent, item), item), is_new=True)

    # What stands there

    def list_folder(self, path: RemotePath) -> list[Entry]:
        """All children, each spelled as it is, below *path* as it was asked for."""
        folder_id = self.find_folder(path)
        try:
            items = self._items(folder_id)
        except NotFound:
            self._forget_folder(folder_id)
            items = self._items(self.find_folder(path))
        entries = (entry_at(named_in(path, item), item) for item in items)
        return [entry for entry in entries if entry is not None]

    def stat(self, path: RemotePath) -> Entry:
        """By the id that is known for *path*, or from the listing of its folder."""
        if path.is_root:
            raise InvalidArgument("the root has no metadata")
        known = self.index.find(path)
        if isinstance(known, Found) and not known.is_above:
            item = self.item(known.id, is_folder=known.is_folder)
            entry = self._entry_if_there(path, item)
            if entry is not None:
                return entry
        for entry in self.list_folder(path.parent):
            if entry.path.name_key == path.name_key:
                return entry
        raise NotFound(f"no such file or folder: {path}")

    def item(self, item_id: str, *, is_folder: bool) -> Json | None:
        """What an id stands for now; None when nothing has it any more."""
        route, place = (STAT_FOLDER, "folders") if is_folder else (STAT_FILE, "files")
        url = self._api.api_url(f"{place}/{quoted(item_id)}", fields=FIELDS)
        response = self._api.exchange(route, url)
        if response.status in (404, 410):
            self.index.forget(item_id, is_gap=True)
            return None
        if response.status != 200:
            raise from_response(response, route)
        item = object_in(response, route)
        self.index.learn(item)
        return item

    def is_at(self, item: Json, path: RemotePath) -> bool:
        """Whether *item*, just read, stands at *path*: others may have moved it."""
        name, parent_id = item.get("name"), parent_id_of(item)
        if not isinstance(name, str) or fold(name) != path.name_key or parent_id is None:
            return False
        try:
            return self.find_folder(path.parent) == parent_id
        except (NotFound, NotADirectory):
            return False

    # Inside

    def _entry_if_there(self, path: RemotePath, item: Json | None) -> Entry | None:
        if item is None or not self.is_at(item, path):
            return None
        return entry_at(named_in(path.parent, item), item)

    def _items(self, folder_id: str) -> list[Json]:
        """The listing of a folder, which the index learns. NotFound."""
        items: dict[str, Json] = {}
        mark = self.index.mark()
        query: dict[str, str | int] = {"fields": FIELDS, "usemarker": "true", "limit": PAGE_ITEMS}
        for _ in range(_PAGES):
            url = self._api.api_url(f"folders/{quoted(folder_id)}/items", **query)
            page = self._api.object(LIST, url)
            # By id: what changes while we read may be listed again on a later page.
            items |= {id_of(item): item for item in _entries(page)}
            marker = page.get("next_marker")
            if not marker:
                break
            query["marker"] = str(marker)
        self.index.learn_listing(folder_id, items.values(), mark)
        return list(items.values())

    def _folder_made(self, path: RemotePath) -> str:
        try:
            return self.find_folder(path)
        except NotFound:
            if path.is_root:
                raise
        try:
            return self.in_folder(path.parent, lambda parent_id: self.make_folder(parent_id, path)).id
        except Conflict as error:
            raise NotADirectory(str(error)) from error

    def _forget_folder(self, folder_id: str) -> None:
        """NotFound for the root, which has no folder above it to look in."""
        if folder_id == self.index.root_id:
            raise NotFound("the root folder is not there (any more)")
        self.index.forget(folder_id, is_gap=True)

    def _folder_of(self, item_id: str) -> str:
        item = self.index.get(item_id)
        return self.index.root_id if item is None else item.parent_id


def _entries(page: Json) -> list[Json]:
    entries = page.get("entries")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ServerFault("a page of a listing has no entries")
    return entries
