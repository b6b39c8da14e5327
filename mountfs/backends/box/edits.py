"""Folders made, items moved and removed, times set: one request each, by id."""

from __future__ import annotations

from dataclasses import replace

from mountfs.backends.box.api import BoxApi, Json, item_in, object_in, quoted
from mountfs.backends.box.entries import (
    FIELDS,
    Revision,
    entry_of,
    file_of,
    folder_of,
    id_of,
    parent_id_of,
    time_stamp,
)
from mountfs.backends.box.errors import (
    MOVED_ALONE,
    NAME_IN_USE,
    code_of,
    conflicting_item,
    from_response,
    is_held_by_link,
)
from mountfs.backends.box.items import Items
from mountfs.backends.box.places import Places, folder_gone
from mountfs.backends.box.smallfiles import unchanged_etag
from mountfs.backends.effects import after_an_effect
from mountfs.errors import Conflict, InvalidArgument, NotADirectory, NotFound, Refused, ServerFault
from mountfs.model.entry import Entry, File, Folder, Place
from mountfs.model.names import MAX_CHARS
from mountfs.model.order import Delete, MakeFolder, Move, SetTime
from mountfs.model.path import fold

MAKE_FOLDER = "POST folders"
DELETE_FILE = "DELETE files/:id"
DELETE_FOLDER = "DELETE folders/:id"
UPDATE_FILE = "PUT files/:id"
UPDATE_FOLDER = "PUT folders/:id"
_TRIES = 2


class Edits:
    """The orders that carry no bytes; each method raises what keeps its order from being carried out."""

    def __init__(self, api: BoxApi, items: Items, places: Places) -> None:
        self._api = api
        self._items = items
        self._places = places

    def make_folder(self, order: MakeFolder) -> Folder:
        """A folder that stands there already is as good. Conflict: a file stands there. NotFound: the folder
        above is gone."""
        place = order.place
        if place.path.is_root:
            return Folder(self._places.root_id, "")
        arg = {"name": place.name, "parent": {"id": self._places.folder_of(place)}}
        response = self._api.exchange(MAKE_FOLDER, self._api.api_url("folders", fields=FIELDS), arg=arg)
        if response.status == 409 and code_of(response) == NAME_IN_USE:
            if is_held_by_link(response):
                raise from_response(response, str(place))
            standing = conflicting_item(response) or {}
            if standing.get("type") != "folder":
                raise Conflict(f"a file stands at {place}")
            return folder_of({"name": place.name, **standing})
        if response.status == 404:
            raise folder_gone(place)
        if response.status != 201:
            raise from_response(response, str(place))
        item = object_in(response, MAKE_FOLDER)
        folder = folder_of(item)
        if fold(folder.name) != place.path.name_key or self._places.is_elsewhere(item, place):
            raise ServerFault(f"{place}: the reply is of another folder, {folder.name}")
        return replace(folder, is_new=True)

    def delete(self, order: Delete) -> None:
        """What is gone already is a success. DirectoryNotEmpty: folders go only when they are empty."""
        place = order.place
        if place.path.is_root:
            raise InvalidArgument("the root cannot be removed")
        guard = None if order.is_folder else order.base_revision
        base = Revision.parse(guard)
        if base is not None:
            self._delete_revision(base, place)
            return
        item_id = order.item_id
        if not item_id or guard is not None:
            try:
                item = self._places.item(place)
            except (NotFound, NotADirectory):
                return
            if (item.get("type") == "folder") is not order.is_folder:
                raise Conflict(f"a {item.get('type')} stands at {place}")
            item_id = id_of(item)
        if guard is not None:
            raise Conflict(f"revision {guard} of {place} is not known")
        self._delete(item_id, place, is_folder=order.is_folder)

    def _delete_revision(self, base: Revision, place: Place) -> None:
        """Conflict when the file has another content; its name and times alone do not matter."""
        etag = base.etag
        for _ in range(_TRIES):
            if self._delete(base.file_id, place, is_folder=False, etag=etag):
                return
            item = self._items.get(base.file_id, is_folder=False)
            if item is None or not self._places.holds(place, item):
                return
            etag = unchanged_etag(item, base, place, etag)
        raise Conflict(f"somebody else keeps changing {place}")

    def _delete(self, item_id: str, place: Place, *, is_folder: bool, etag: str | None = None) -> bool:
        """False: the etag is not that one."""
        if is_folder:
            url = self._api.api_url(f"folders/{quoted(item_id)}", recursive="false")
            response = self._api.exchange(DELETE_FOLDER, url)
        else:
            headers = {} if etag is None else {"If-Match": etag}
            response = self._api.exchange(
                DELETE_FILE, self._api.api_url(f"files/{quoted(item_id)}"), headers=headers
            )
        if response.status == 412:
            return False
        if response.status not in (204, 404, 410):
            raise from_response(response, str(place))
        return True

    def move(self, order: Move) -> Entry:
        """Name and folder in one request. NotFound: the source is gone, or the folder it is to go to.
        Conflict: the target is taken."""
        source, place = order.source, order.place
        if place.path.is_below(source.path):
            raise InvalidArgument(f"{source} cannot be moved into itself")
        item_id, is_folder = order.item_id, order.is_folder
        if not item_id:
            found = self._places.item(source)
            item_id, is_folder = id_of(found), found.get("type") == "folder"
        folder_id = self._places.folder_of(place)
        name, parent = {"name": place.name}, {"parent": {"id": folder_id}}
        # A name alone, or a folder alone: the less is asked for, the less of a big tree is locked.
        if _is_same_folder(source, place):
            arg: Json = {**name}
        else:
            arg = {**parent} if source.name == place.name else {**name, **parent}
        item = self._update(item_id, arg, place, is_folder=is_folder)
        if item is not None and (item.get("name"), parent_id_of(item)) != (place.name, folder_id):
            # It stood elsewhere than at the source: somebody else had moved or renamed it.
            with after_an_effect():
                item = self._update(item_id, {**name, **parent}, place, is_folder=is_folder)
        if item is None:
            raise NotFound(f"nothing is at {source} (any more)")
        entry = entry_of(item)
        if entry is None:
            raise ServerFault(f"{place}: moved, but what is not told")
        return entry

    def _update(self, item_id: str, arg: Json, place: Place, *, is_folder: bool) -> Json | None:
        """The item as it is after it. None: nothing has the id any more. NotFound: the folder is gone."""
        route, kind = (UPDATE_FOLDER, "folders") if is_folder else (UPDATE_FILE, "files")
        url = self._api.api_url(f"{kind}/{quoted(item_id)}", fields=FIELDS)
        response = self._api.exchange(route, url, arg=arg)
        if response.status == 404:
            if self._items.get(item_id, is_folder=is_folder) is None:
                return None
            raise folder_gone(place)
        if response.status == 403 and len(arg) > 1 and code_of(response) == MOVED_ALONE:
            return self._update_singly(item_id, arg, place, is_folder=is_folder)
        if response.status != 200:
            raise from_response(response, str(place))
        return object_in(response, route)

    def _update_singly(self, item_id: str, arg: Json, place: Place, *, is_folder: bool) -> Json | None:
        """The same by a request for each change: Box asks for that of some folders.

        The name first: until it is where it is to go, the item is in the folder where it is known to be, and
        who lists that misses nothing. What breaks off there is finished by the same order again.
        """
        standing = self._items.child(arg["parent"]["id"], arg["name"])
        if standing is not None and standing.get("id") != item_id:
            raise Conflict(f"something stands at {place}")
        before = self._items.get(item_id, is_folder=is_folder)
        if before is None:
            return None
        try:
            item = self._update(item_id, {"name": arg["name"]}, place, is_folder=is_folder)
        except Conflict:
            return self._moved_before_named(item_id, arg, place, is_folder=is_folder)
        if item is None:
            return None
        return self._moved(item_id, arg, before, place, is_folder=is_folder)

    def _moved(self, item_id: str, arg: Json, before: Json, place: Place, *, is_folder: bool) -> Json | None:
        """In its new folder, under a name that it was given before. Where that is refused, it has its old one
        again."""
        with after_an_effect():
            try:
                return self._update(item_id, {"parent": arg["parent"]}, place, is_folder=is_folder)
            except (Conflict, Refused):
                self._update(item_id, {"name": before.get("name")}, place, is_folder=is_folder)
                raise

    def _moved_before_named(self, item_id: str, arg: Json, place: Place, *, is_folder: bool) -> Json | None:
        """Where the folder that it leaves has something of its new name. In between it stands in its new one
        under its old name, or, where something has that there, under one that is made of its id."""
        try:
            item = self._update(item_id, {"parent": arg["parent"]}, place, is_folder=is_folder)
        except Conflict:
            item = self._moved_by_spare_name(item_id, arg, place, is_folder=is_folder)
        if item is None:
            return None
        with after_an_effect():
            return self._update(item_id, {"name": arg["name"]}, place, is_folder=is_folder)

    def _moved_by_spare_name(self, item_id: str, arg: Json, place: Place, *, is_folder: bool) -> Json | None:
        """The item in its new folder, under a name that nothing else has."""
        before = self._items.get(item_id, is_folder=is_folder)
        spare = {"name": f"{item_id} {arg['name']}"[:MAX_CHARS].rstrip()}
        if before is None or self._update(item_id, spare, place, is_folder=is_folder) is None:
            return None
        return self._moved(item_id, arg, before, place, is_folder=is_folder)

    def set_time(self, order: SetTime) -> File:
        """The file of *order* with another time. NotFound: it is gone. Conflict: it has other bytes."""
        place = order.place
        base = Revision.parse(order.base_revision)
        if base is None:
            raise Conflict(f"revision {order.base_revision} of {place} is not known")
        etag = base.etag
        for _ in range(_TRIES):
            item = self._dated(base.file_id, etag, order)
            if item is not None:
                return file_of(item)
            item = self._items.get(base.file_id, is_folder=False)
            if item is None or not self._places.holds(place, item):
                raise NotFound(f"nothing is at {place} (any more)")
            etag = unchanged_etag(item, base, place, etag)
        raise Conflict(f"somebody else keeps changing {place}")

    def _dated(self, file_id: str, etag: str, order: SetTime) -> Json | None:
        """None: the etag is not that one."""
        response = self._api.exchange(
            UPDATE_FILE,
            self._api.api_url(f"files/{quoted(file_id)}", fields=FIELDS),
            arg={"content_modified_at": time_stamp(order.mtime_ns)},
            headers={"If-Match": etag},
        )
        if response.status == 412:
            return None
        if response.status != 200:
            raise from_response(response, str(order.place))
        return item_in(response, UPDATE_FILE, file_id)


def _is_same_folder(source: Place, place: Place) -> bool:
    """By id where both are known, else by path."""
    if source.folder_id and place.folder_id:
        return source.folder_id == place.folder_id
    return source.path.parent.key == place.path.parent.key
