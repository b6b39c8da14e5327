"""Items read by id: one request for one of them, one a page for those in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from mountfs.backends import checked
from mountfs.backends.box.api import BoxApi, Json, item_in, object_in, quoted
from mountfs.backends.box.entries import FIELDS, listed_of
from mountfs.backends.box.errors import from_response
from mountfs.backends.paging import guarded_pages, pages_ended
from mountfs.backends.wire import Response
from mountfs.errors import Conflict, ServerFault
from mountfs.model.entry import Entry, File, Folder, Listed, Odd
from mountfs.model.path import fold

LIST = "GET folders/:id/items"
GET_FILE = "GET files/:id"
GET_FOLDER = "GET folders/:id"
PAGE_ITEMS = 1000
"""The most a page may be asked for; fewest calls."""
MOST_ITEMS = 10 * PAGE_ITEMS
_LISTINGS = 3
"""How often a listing begins anew when its marker is void in the middle."""

T = TypeVar("T")


class _MarkerVoid(ServerFault):
    """The service does not go on where the page before ended."""


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
        return item_in(response, route, item_id)

    def children(self, folder_id: str) -> list[Listed]:
        """All that stands in a folder, but for web links. NotFound: the folder is gone."""
        return self._whole(folder_id, _listed)

    def page(
        self, folder_id: str, marker: str, most: int | None, *, is_ahead: bool
    ) -> tuple[list[Listed], str]:
        """Of what ``children`` gives, a page; *marker*: "" for the first one. And the marker of the next one;
        "": there is none. NotFound; Conflict: the marker is void."""
        limit = PAGE_ITEMS if most is None else min(most, PAGE_ITEMS)
        try:
            reply = self._page(folder_id, marker, limit)
        except _MarkerVoid as error:
            raise Conflict(str(error)) from error
        with self._api.page_places.taken(len(reply.body), is_ahead=is_ahead):
            page = object_in(reply, LIST)
            entries, following = _listed(iter(entries_of(page))), _following(page)
        if not following:
            pages_ended(self._api.http, LIST)
        return entries, following

    def child(self, folder_id: str, name: str) -> Json | None:
        """What has *name* in a folder, in whatever case. Where the names of several differ in how their
        accents are composed, it is the one whose are as in *name*, or else the one that a listing shows.
        NotFound: the folder is gone."""
        return self._whole(folder_id, lambda items: _named(items, name))

    def _whole(self, folder_id: str, read: Callable[[Iterator[Json]], T]) -> T:
        """What *read* makes of the items in a folder."""
        for _ in range(_LISTINGS):
            try:
                return read(self._items(folder_id))
            except _MarkerVoid:
                continue
        raise ServerFault(f"{LIST}: the listing of a folder is cut off again and again")

    def _items(self, folder_id: str) -> Iterator[Json]:
        marker, known = "", set[str]()
        with guarded_pages(self._api.http, LIST) as pages:
            while True:
                reply = self._page(folder_id, marker, PAGE_ITEMS)
                with self._api.page_places.taken(len(reply.body)):
                    page = object_in(reply, LIST)
                    items = entries_of(page)
                    yield from items
                    marker = _following(page)
                    if not marker:
                        return
                    seen = {_told_apart(item) for item in items}
                    del page, items  # they take several times the bytes of the page, which are counted
                pages.check(marker, is_new=not seen <= known)
                known |= seen

    def _page(self, folder_id: str, marker: str, limit: int) -> Response:
        query: dict[str, str | int] = {"fields": FIELDS, "usemarker": "true", "limit": limit}
        if marker:
            query["marker"] = marker
        response = self._api.exchange(LIST, self._api.api_url(f"folders/{quoted(folder_id)}/items", **query))
        if response.status == 400 and marker:
            raise _MarkerVoid(str(from_response(response, LIST)))
        if response.status != 200:
            raise from_response(response, LIST)
        return response


def _following(page: Json) -> str:
    """The marker of the next page; "": there is none."""
    marker = page.get("next_marker")
    return checked.token(marker, "next_marker") if marker else ""


def _listed(items: Iterator[Json]) -> list[Listed]:
    found: dict[str, Listed | None] = {}
    for item in items:
        # By id: an item that changes between two pages may be on both, and the later page is right.
        listed = listed_of(item)
        found[listed.id if isinstance(listed, File | Folder) else f"odd {len(found)}"] = listed
    return _each_named_once([listed for listed in found.values() if listed is not None])


def _each_named_once(entries: list[Listed]) -> list[Listed]:
    """*entries*, but of those whose names a mount takes for one only the oldest: the others are told of. Box
    may tell names apart that differ in how their accents are composed."""
    first: dict[str, Entry] = {}
    for entry in entries:
        if not isinstance(entry, Odd):
            key = fold(entry.name)
            first[key] = min(first.get(key, entry), entry, key=lambda each: (len(each.id), each.id))
    return [
        entry
        if isinstance(entry, Odd) or first[fold(entry.name)] is entry
        else Odd(entry.name, "something else in the folder has this name, in other letters")
        for entry in entries
    ]


def _named(items: Iterator[Json], name: str) -> Json | None:
    key = fold(name)
    found: list[Json] = []
    for item in items:
        standing = item.get("name")
        if not isinstance(standing, str) or fold(standing) != key:
            continue
        if standing.casefold() == name.casefold():
            return item  # for Box, too, no other one has the name
        found.append(item)
    return min(found, key=_rank, default=None)


def _rank(item: Json) -> tuple[bool, int, str]:
    """The least is the oldest that is no web link."""
    item_id = str(item.get("id"))
    return item.get("type") == "web_link", len(item_id), item_id


def entries_of(page: Json) -> list[Json]:
    """What is no item at all is an empty one. ServerFault: there are none."""
    entries = page.get("entries")
    if not isinstance(entries, list) or len(entries) > MOST_ITEMS:
        raise ServerFault("a page of a listing has no entries, or far too many")
    return [entry if isinstance(entry, dict) else {} for entry in entries]


def _told_apart(item: Json) -> str:
    """What tells one item of a listing from the others, be it odd."""
    return checked.brief(item.get("id") or item.get("name"))
