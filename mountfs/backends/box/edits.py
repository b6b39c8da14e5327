"""Folders made, items moved and removed, times set: one request each, by id."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from mountfs.backends.box.api import BoxApi, Json, object_in, quoted
from mountfs.backends.box.entries import (
    FIELDS,
    Revision,
    entry_at,
    file_at,
    named_in,
    parent_id_of,
    time_stamp,
)
from mountfs.backends.box.errors import from_response
from mountfs.backends.box.index import Found
from mountfs.backends.box.smallfiles import unchanged_etag
from mountfs.backends.box.tree import Tree
from mountfs.errors import Conflict, InvalidArgument, NotADirectory, NotFound, ServerFault
from mountfs.model.entry import Entry, File, Folder
from mountfs.model.path import RemotePath
from mountfs.ports import Order

DELETE_FILE = "DELETE files/:id"
DELETE_FOLDER = "DELETE folders/:id"
UPDATE_FILE = "PUT files/:id"
UPDATE_FOLDER = "PUT folders/:id"
_TRIES = 2


class Edits:
    """The orders that carry no bytes; each method raises what keeps it from being done."""

    def __init__(self, api: BoxApi, tree: Tree) -> None:
        self._api = api
        self._tree = tree

    def make_folder(self, order: Order) -> Folder:
        """One that stands there already is as good. Conflict: a file stands there."""
        if order.path.is_root:
            return Folder(order.path, self._tree.index.root_id)
        return self._tree.in_folder(
            order.path.parent, lambda parent_id: self._tree.make_folder(parent_id, order.path)
        )

    def delete(self, order: Order) -> None:
        """What is gone already is a success. DirectoryNotEmpty: folders go only when they are empty."""
        if order.path.is_root:
            raise InvalidArgument("the root cannot be removed")
        base = Revision.parse(order.base_revision)
        if base is not None and not order.is_folder:
            self._delete_revision(base, order.path)
            return
        try:
            found = self._tree.find(order.path)
        except (NotFound, NotADirectory):
            return
        if order.base_revision is not None and not order.is_folder:
            raise Conflict(f"revision {order.base_revision} of {order.path} is not known")
        if found.is_folder:
            self._delete(found.id, order.path, is_folder=True)
        elif order.is_folder:
            raise Conflict(f"a file stands at {order.path}")
        else:
            self._delete(found.id, order.path, is_folder=False)

    def _delete_revision(self, base: Revision, path: RemotePath) -> None:
        """Conflict when the file has another content; its name and times alone do not matter."""
        etag = base.etag
        for _ in range(_TRIES):
            if self._delete(base.file_id, path, is_folder=False, etag=etag):
                return
            item = self._tree.item(base.file_id, is_folder=False)
            if item is None or not self._tree.is_at(item, path):
                return
            etag = unchanged_etag(item, base, path)
        raise Conflict(f"somebody else keeps changing {path}")

    def _delete(self, item_id: str, path: RemotePath, *, is_folder: bool, etag: str | None = None) -> bool:
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
        if response.status not in (200, 204, 404, 410):
            raise from_response(response, str(path))
        self._tree.index.forget(item_id, source=path)
        return True

    def move(self, order: Order) -> Entry:
        """Name and folder in one request. NotFound: the source is gone. Conflict: the target is taken."""
        source = order.source
        if source is None:
            raise InvalidArgument(f"move to {order.path} from nowhere")
        if order.path.is_below(source):
            raise InvalidArgument(f"{source} cannot be moved into itself")
        for _ in range(_TRIES):
            found = Found(order.item_id, order.is_folder) if order.item_id else self._tree.find(source)
            entry = self._tree.in_folder(order.path.parent, partial(self._move, found, source, order.path))
            if entry is not None:
                return entry
            if order.item_id:
                break
        raise NotFound(f"nothing is at {source} (any more)")

    def _move(self, found: Found, source: RemotePath, path: RemotePath, parent_id: str) -> Entry | None:
        """None when nothing has the id any more; NotFound: the folder is gone."""
        known = self._tree.index.get(found.id)
        # A name alone, or a folder alone: the less is asked for, the less of a big tree is locked.
        arg: Json = {}
        if known is None or known.name != path.name:
            arg["name"] = path.name
        if known is None or known.parent_id != parent_id or not arg:
            arg["parent"] = {"id": parent_id}
        item = self._update(found, arg, source, path)
        if item is not None and (item.get("name"), parent_id_of(item)) != (path.name, parent_id):
            # Somebody else had moved it meanwhile.
            arg = {"name": path.name, "parent": {"id": parent_id}}
            item = self._update(found, arg, source, path)
        if item is None:
            return None
        entry = entry_at(named_in(path.parent, item), item)
        if entry is None:
            raise ServerFault(f"{path}: moved, but what is not told")
        return entry

    def _update(self, found: Found, arg: Json, source: RemotePath, path: RemotePath) -> Json | None:
        route, place = (UPDATE_FOLDER, "folders") if found.is_folder else (UPDATE_FILE, "files")
        url = self._api.api_url(f"{place}/{quoted(found.id)}", fields=FIELDS)
        response = self._api.exchange(route, url, arg=arg)
        if response.status == 404 and self._tree.item(found.id, is_folder=found.is_folder) is None:
            return None
        if response.status != 200:
            raise from_response(response, str(path))
        item = object_in(response, route)
        self._tree.index.learn(item, source=source)
        return item

    def set_time(self, order: Order) -> File:
        """The file of *order* with another time. NotFound: it is gone. Conflict: it has other bytes."""
        base = Revision.parse(order.base_revision)
        if base is None:
            raise Conflict(f"revision {order.base_revision} of {order.path} is not known")
        for _ in range(_TRIES):
            item = self._dated(base, order.mtime_ns, order.path)
            if item is not None:
                return file_at(named_in(order.path.parent, item), item)
            item = self._tree.item(base.file_id, is_folder=False)
            if item is None or not self._tree.is_at(item, order.path):
                raise NotFound(f"nothing is at {order.path} (any more)")
            base = replace(base, etag=unchanged_etag(item, base, order.path))
        raise Conflict(f"somebody else keeps changing {order.path}")

    def set_mtime(self, file: File, mtime_ns: int) -> File:
        """*file* with another time, in whole seconds, and the same bytes. NotFound, Conflict."""
        base = Revision.parse(file.revision)
        if base is None:
            raise NotFound(f"revision {file.revision} of {file.path} is gone")
        item = self._dated(base, mtime_ns, file.path)
        if item is None:
            raise Conflict(f"somebody else changed {file.path}")
        return file_at(file.path, item)

    def _dated(self, base: Revision, mtime_ns: int, path: RemotePath) -> Json | None:
        """None: the etag is not that one."""
        response = self._api.exchange(
            UPDATE_FILE,
            self._api.api_url(f"files/{quoted(base.file_id)}", fields=FIELDS),
            arg={"content_modified_at": time_stamp(mtime_ns)},
            headers={"If-Match": base.etag},
        )
        if response.status == 412:
            return None
        if response.status != 200:
            raise from_response(response, str(path))
        item = object_in(response, UPDATE_FILE)
        self._tree.index.learn(item)
        return item
