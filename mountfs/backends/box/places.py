"""Where a place is by id, for orders and questions that name it by path alone."""

from __future__ import annotations

from mountfs.backends.box.api import Json
from mountfs.backends.box.entries import id_of, parent_id_of
from mountfs.backends.box.items import Items
from mountfs.backends.checked import brief
from mountfs.errors import NotADirectory, NotFound, ServerFault
from mountfs.model.entry import Place
from mountfs.model.path import RemotePath, fold


class Places:
    """Takes the ids that the caller knows, and walks the listings from the root for those it does not.

    Nothing is remembered: a walk costs a listing for each component of the path, and is always true.
    """

    def __init__(self, items: Items, root_id: str) -> None:
        self._items = items
        self.root_id = root_id

    def folder(self, path: RemotePath) -> str:
        """The id of the folder *path*. NotFound, NotADirectory."""
        folder_id = self.root_id
        for name in path.components:
            item = self._items.child(folder_id, name)
            if item is None:
                raise NotFound(f"no such folder: {path}")
            if item.get("type") != "folder":
                raise NotADirectory(f"not a folder: {path}")
            folder_id = id_of(item)
        return folder_id

    def folder_of(self, place: Place) -> str:
        """The id of the folder that *place* is in, which may be gone by now. NotFound, NotADirectory."""
        return place.folder_id or self.folder(place.path.parent)

    def item(self, place: Place) -> Json:
        """The file or folder that stands at *place*. NotFound, NotADirectory."""
        item = self._items.child(self.folder_of(place), place.name)
        if item is None or item.get("type") == "web_link":
            raise NotFound(f"no such file or folder: {place}")
        if item.get("type") not in ("file", "folder"):
            raise ServerFault(f"{place}: an item of an unknown kind: {brief(item.get('type'))}")
        return item

    def holds(self, place: Place, item: Json) -> bool:
        """Whether *item*, just read, stands at *place*: others may have moved it."""
        name = item.get("name")
        if not isinstance(name, str) or fold(name) != place.path.name_key:
            return False
        try:
            return self.folder_of(place) == parent_id_of(item)
        except (NotFound, NotADirectory):
            return False

    def is_elsewhere(self, item: Json, place: Place) -> bool:
        """Whether *item* tells that it is in another folder than *place*, whose folder may not be known."""
        told = parent_id_of(item)
        folder_id = place.folder_id or (self.root_id if place.path.parent.is_root else "")
        return told is not None and folder_id not in ("", told)


def folder_gone(place: Place) -> NotFound:
    """Why nothing can be made at *place*: the service knows no folder with the id that was named as its."""
    return NotFound(f"{place}: the folder that it is to stand in is gone")
