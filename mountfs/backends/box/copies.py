"""Files that the service makes of a version of another file: one request each, without bytes."""

from __future__ import annotations

from mountfs.backends.box.api import BoxApi, object_in, quoted
from mountfs.backends.box.entries import FIELDS, Revision
from mountfs.backends.box.errors import from_response
from mountfs.backends.box.newfiles import NewFiles
from mountfs.backends.box.places import Places
from mountfs.backends.box.smallfiles import written
from mountfs.errors import NotFound
from mountfs.model.entry import File
from mountfs.model.order import Copy

COPY_FILE = "POST files/:id/copy"


class Copies:
    """Raises what keeps an order from being carried out."""

    def __init__(self, api: BoxApi, places: Places) -> None:
        self._api = api
        self._places = places
        self._new_files = NewFiles(api)

    def make(self, order: Copy) -> File:
        """Of exactly the version that the order names. NotFound: the version is gone, or its file, or the
        folder that the copy is to stand in. Conflict: something stands there."""
        place, version = order.place, Revision.parse(order.revision)
        if version is None:
            raise NotFound(f"revision {order.revision} is not known")
        folder_id = self._places.folder_of(place)
        response = self._api.exchange(
            COPY_FILE,
            self._api.api_url(f"files/{quoted(order.item_id)}/copy", fields=FIELDS),
            arg={"parent": {"id": folder_id}, "name": place.name, "version": version.version_id},
        )
        if response.status not in (200, 201):
            raise from_response(response, str(place))
        file = written(object_in(response, COPY_FILE), self._places, place, None)
        return self._new_files.tagged(file, place)
