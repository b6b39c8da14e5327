"""What was removed comes back from the trash: a folder with what went along with it, and with what was
removed from it one by one just before, as ``rm -r`` does.

The trash shows what was removed by itself, each with the folder that it was in, and when. No call finds
something there by name, so it is looked through from its beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from mountfs.backends import checked
from mountfs.backends.box.api import BoxApi, Json, object_in, quoted
from mountfs.backends.box.entries import FIELDS, entry_of, folder_of, id_of, parent_id_of
from mountfs.backends.box.errors import from_response
from mountfs.backends.box.items import GET_FOLDER, PAGE_ITEMS, Items, entries_of
from mountfs.backends.paging import guarded_pages
from mountfs.backends.removals import last_removal, one_by_one, patiently
from mountfs.errors import AlreadyExists, Conflict, MountfsError, NotFound, Refused, ServerFault, Transient
from mountfs.model.entry import Entry, Folder, Place
from mountfs.model.path import fold
from mountfs.model.undeleted import Removed, Undeleted

TRASH = "GET folders/trash/items"
RESTORE_FILE, RESTORE_FOLDER = "POST files/:id", "POST folders/:id"
MOST_TRASH_PAGES = 200
"""Of 1,000 items: a fifth of what Box allows in a minute."""
FILES_AT_ONCE = 4
"""Folders come back one by one: Box locks all that is in one meanwhile (reference, POST /folders/:id)."""
MOST_LOOKED_UP = 200
"""Folders from which something was removed, and that stand: so many are asked where they are."""


@dataclass(frozen=True, slots=True)
class Trashed:
    """A file or folder that was removed by itself; *folder_id*: of the folder that it was in, which may be in
    the trash, too. *removed_ns*: 0 where the service does not say."""

    id: str
    is_folder: bool
    key: str
    folder_id: str | None
    removed_ns: int

    @property
    def rank(self) -> tuple[int, int, str]:
        """Grows with when it was removed. Times have whole seconds: of two of one second the one with the
        higher id, which was made later, was removed later."""
        return self.removed_ns, len(self.id), self.id


class Undelete:
    """Brings back what is in the trash."""

    def __init__(self, api: BoxApi, items: Items) -> None:
        self._api = api
        self._items = items

    def run(self, folder_id: str, place: Place, *, is_recent: bool) -> Undeleted:
        """What was removed last of all that had the name of *place* in the folder. A folder that stands there
        gets back what was removed last of all that was below it, with *is_recent* only if that was just
        before this call: to look through the trash may take minutes."""
        asked_s = self._api.http.service_time.now_s()
        trash = {each.id: each for each in _trash(self._api)}
        key = place.path.name_key
        named = [each for each in trash.values() if each.folder_id == folder_id and each.key == key]
        last = max(named, key=lambda each: each.rank, default=None)
        entry = None if last is None else self._back(last.id, is_folder=last.is_folder)
        if last is None or entry is None:
            standing = self._standing_folder(folder_id, place)
            before_ns = self._api.http.service_time.at_ns(asked_s) if is_recent else None
            rest = _Below(self._api, trash, standing.id).last_removal(before_ns)
            if not rest:
                raise AlreadyExists("a folder stands there, and nothing that was in it is to come back")
            return Undeleted(standing, is_back=False, rest=rest)
        if not isinstance(entry, Folder):
            return Undeleted(entry)
        del trash[last.id]
        try:
            rest = _Below(self._api, trash, entry.id).last_removal(last.removed_ns)
        except MountfsError as error:  # of those that leave open what became of it, the folder is not told
            raise Transient(
                f"{error}; the folder is back: undelete it once more for what was in it"
            ) from error
        return Undeleted(entry, rest=rest)

    def bring_back(self, removed: Sequence[Removed]) -> list[bool | MountfsError]:
        if any(each.is_folder for each in removed):
            return one_by_one(removed, self._is_back)
        with ThreadPoolExecutor(FILES_AT_ONCE, "undelete") as pool:
            futures = [pool.submit(self._is_back, each) for each in removed]
            return one_by_one(futures, lambda each: each.result())

    def _standing_folder(self, folder_id: str, place: Place) -> Folder:
        standing = self._items.child(folder_id, place.name)
        if standing is None:
            raise NotFound("nothing that had that name in that folder is in the trash")
        if standing.get("type") != "folder":
            raise AlreadyExists("a file stands there")
        return folder_of(standing)

    def _is_back(self, removed: Removed) -> bool:
        return self._back(removed.id, is_folder=removed.is_folder) is not None

    def _back(self, item_id: str, *, is_folder: bool) -> Entry | None:
        """What came back; None: something else has its place, or the trash does not keep it any more."""
        restore = partial(self._restore, item_id, is_folder=is_folder)
        return patiently(self._api.http, restore, partial(self._standing, item_id, is_folder=is_folder))

    def _restore(self, item_id: str, *, is_folder: bool) -> Entry | None:
        kind, route = ("folders", RESTORE_FOLDER) if is_folder else ("files", RESTORE_FILE)
        response = self._api.exchange(
            route, self._api.api_url(f"{kind}/{quoted(item_id)}", fields=FIELDS), arg={}
        )
        if response.status == 201:
            return entry_of(object_in(response, route))
        error = from_response(response, route)
        if isinstance(error, NotFound):
            return self._standing(item_id, is_folder=is_folder)
        if isinstance(error, Conflict):
            return None
        raise error

    def _standing(self, item_id: str, *, is_folder: bool) -> Entry | None:
        item = self._items.get(item_id, is_folder=is_folder)
        return None if item is None else entry_of(item)


class _Below:
    """Tells what of the trash was below a folder, *top_id*, which stands."""

    def __init__(self, api: BoxApi, trash: dict[str, Trashed], top_id: str) -> None:
        self._api = api
        self._trash = trash
        self._is_below = {top_id: True}
        self._top_id = top_id
        self._looked_up = 0

    def last_removal(self, before_ns: int | None) -> list[Removed]:
        """What went with the last removal, folders first, the topmost of all; *before_ns*: when the folder
        itself did. Of several that had one name the last."""
        dated = [(each.removed_ns, each) for each in self._trash.values()]
        named: dict[tuple[str | None, str], Trashed] = {}
        for each in last_removal(dated, before_ns, lambda each: self._was_below(each.folder_id)):
            name = each.folder_id, each.key
            named[name] = max(named.get(name, each), each, key=lambda one: one.rank)
        depths = {each.id: len(self._trashed_above(each.folder_id)) for each in named.values()}
        found = sorted(named.values(), key=lambda each: (not each.is_folder, depths[each.id]))
        return [Removed(each.id, each.is_folder, folder_id=each.folder_id or "") for each in found]

    def _trashed_above(self, folder_id: str | None) -> list[str]:
        """The folders in the trash from *folder_id* upwards."""
        above: dict[str, None] = {}
        while folder_id is not None and folder_id in self._trash and folder_id not in above:
            above[folder_id] = None
            folder_id = self._trash[folder_id].folder_id
        return list(above)

    def _was_below(self, folder_id: str | None) -> bool:
        above: list[str] = []
        while folder_id is not None and folder_id not in self._is_below and folder_id in self._trash:
            if folder_id in above:
                return False
            above.append(folder_id)
            folder_id = self._trash[folder_id].folder_id
        if folder_id is None:
            return False
        if folder_id not in self._is_below:
            self._is_below[folder_id] = self._stands_below(folder_id)
        is_below = self._is_below[folder_id]
        self._is_below.update(dict.fromkeys(above, is_below))
        return is_below

    def _stands_below(self, folder_id: str) -> bool:
        if self._looked_up >= MOST_LOOKED_UP:
            return False
        self._looked_up += 1
        url = self._api.api_url(f"folders/{quoted(folder_id)}", fields="path_collection")
        try:
            above = checked.obj(self._api.object(GET_FOLDER, url).get("path_collection"), "path_collection")
            return any(each.get("id") == self._top_id for each in entries_of(dict(above)))
        except (Refused, ServerFault):
            return False


def _trash(api: BoxApi) -> Iterator[Trashed]:
    """All of it. Refused: that is too much."""
    query: dict[str, str | int] = {
        "fields": "type,id,name,parent,trashed_at",
        "usemarker": "true",
        "limit": PAGE_ITEMS,
    }
    with guarded_pages(api.http, TRASH) as pages:
        for _ in range(MOST_TRASH_PAGES):
            page = api.object(TRASH, api.api_url("folders/trash/items", **query))
            items = entries_of(page)
            yield from (each for each in map(_trashed, items) if each is not None)
            if not page.get("next_marker"):
                return
            query["marker"] = checked.token(page["next_marker"], "next_marker")
            pages.check(str(query["marker"]), is_new=bool(items))
    raise Refused(
        f"the trash has more than {MOST_TRASH_PAGES * PAGE_ITEMS:,} items, too many to look through: "
        "bring it back on the site of the service"
    )


def _trashed(item: Json) -> Trashed | None:
    """None for what makes no sense, and for web links."""
    name, kind = item.get("name"), item.get("type")
    if kind not in ("file", "folder") or not isinstance(name, str):
        return None
    try:
        item_id = id_of(item)
    except ServerFault:
        return None
    try:
        removed_ns = checked.time_ns(item.get("trashed_at"), "trashed_at")
    except ServerFault:
        removed_ns = 0
    return Trashed(item_id, kind == "folder", fold(name), parent_id_of(item), removed_ns)
