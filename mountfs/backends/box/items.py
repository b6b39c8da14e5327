"""Items read by id: one request for one of them, one a page for those in a folder."""

from __future__ import annotations

from collections.abc import Iterator

from mountfs.backends.box.api import BoxApi, Json, object_in, quoted
from mountfs.backends.box.entries import FIELDS, id_of
from mountfs.backends.box.errors import from_response
from mountfs.backends.paging import course
from mountfs.errors import ServerFault
from mountfs.model.path import fold

LIST = "GET folders/:id/items"
GET_FILE = "GET files/:id"
GET_FOLDER = "GET folders/:id"
PAGE_ITEMS = 1000
"""The most a page may be asked for; fewest calls."""


class Items:
    """What stands behind an id now; nothing is remembered."""

    def __init__(self, api: BoxApi) -> None:
        self._api = api

    def get(self, item_id: str, *, is_folder: bool) -> Json | None:
        """The file or folder with this id; None when nothing has it any more."""
        route, kind = (GET_FOLDER, "folders") if is_folder else (GET_FILE, "files")
        response = self._api.exchange(route, self._api.api_url(f"{kind}/{quoted(item_id)}", fields=FIELDS))
        if response.status in (404, 410):
            return None
        if response.status != 200:
            raise from_response(response, route)
        return object_in(response, route)

    def children(self, folder_id: str) -> list[Json]:
        """All that stands in a folder. NotFound: the folder is gone."""
        found: dict[str, Json] = {}
        for page in self._pages(folder_id):
            # By id: an item that changes between two pages may be on both, and the later page is right.
            found |= {id_of(item): item for item in page}
        return list(found.values())

    def child(self, folder_id: str, name: str) -> Json | None:
        """What has *name* in a folder, in whatever case. NotFound: the folder is gone."""
        key = fold(name)
        for page in self._pages(folder_id):
            for item in page:
                if fold(str(item.get("name"))) == key:
                    return item
        return None

    def _pages(self, folder_id: str) -> Iterator[list[Json]]:
        query: dict[str, str | int] = {"fields": FIELDS, "usemarker": "true", "limit": PAGE_ITEMS}
        known: set[str] = set()
        with course(self._api.http, LIST) as pages:
            while True:
                page = self._api.object(
                    LIST, self._api.api_url(f"folders/{quoted(folder_id)}/items", **query)
                )
                items = _entries(page)
                yield items
                marker = page.get("next_marker")
                if not marker:
                    return
                ids = {str(item.get("id")) for item in items}
                pages.turn(str(marker), is_new=not ids <= known)
                known |= ids
                query["marker"] = str(marker)


def _entries(page: Json) -> list[Json]:
    entries = page.get("entries")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ServerFault("a page of a listing has no entries")
    return entries
