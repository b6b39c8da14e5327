"""Which id stands at which path: Box knows ids only."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from mountfs.backends.box.entries import id_of, parent_id_of, sequence_of
from mountfs.model.path import RemotePath, fold

ITEMS_KEPT = 1_000_000
"""Some 300 MB at worst. More than that, and where files stand is listed again when it is asked for."""
RECENT_KEPT = 10_000
"""Items whose last news are remembered in their order."""
LEFT_KEPT = 50_000
"""Places that wait to be told as left; with more than that everything is to be listed anew."""
_DEEPEST = 1000
"""A chain of parents that is longer is a circle, left by news that overtook each other."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Item:
    """One file or folder; *sequence* counts its changes, None: not known."""

    id: str
    is_folder: bool
    parent_id: str
    name: str
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The item at a path, or with *is_above* the file that stands where a folder above it should."""

    id: str
    is_folder: bool
    is_above: bool = False


@dataclass(frozen=True, slots=True)
class Unlisted:
    """The path goes on below *folder*, where nothing is known (any more)."""

    folder: str


@dataclass(frozen=True, slots=True)
class Left:
    """A place where something was known to stand that stands there no more; *serial* counts them."""

    serial: int
    path: RemotePath
    item_id: str
    is_folder: bool


class Index:
    """The tree by ids, from listings, replies and events. Any thread.

    Only a cache: what it does not know is listed. News that are older than what is known of an item, by
    its sequence, change nothing. ``has_gap`` tells whether something handed out in a listing was forgotten
    since, so that an event on an unknown item cannot be ignored.

    Whoever teaches it that an item left its place may not be who tells of changes, and the item's event
    then says nothing new: such places are kept (``left``) until they were told.
    """

    def __init__(self, root_id: str) -> None:
        self.root_id = root_id
        self._lock = Lock()
        self._items: dict[str, Item] = {}
        self._children: dict[str, dict[str, str]] = {}
        self._gone: OrderedDict[str, int | None] = OrderedDict()
        self._told: OrderedDict[str, int] = OrderedDict()
        self._left: deque[Left] = deque()
        self._left_serial = 0
        self._has_dropped_left = False
        self._serial = 0
        self._has_gap = False

    def find(self, path: RemotePath) -> Found | Unlisted:
        """What stands at *path*, or where the knowledge ends."""
        with self._lock:
            at_id, is_folder = self.root_id, True
            for name in path.components:
                if not is_folder:
                    return Found(at_id, is_folder=False, is_above=True)
                child = self._children.get(at_id, {}).get(fold(name))
                if child is None:
                    return Unlisted(at_id)
                at_id, is_folder = child, self._items[child].is_folder
            return Found(at_id, is_folder)

    def path_of(self, item_id: str) -> RemotePath | None:
        """Where an item stands, as it is spelled; None when that is not known."""
        with self._lock:
            return self._path_locked(item_id)

    def get(self, item_id: str) -> Item | None:
        with self._lock:
            return self._items.get(item_id)

    def knows_folder(self, folder_id: str) -> bool:
        """Whether anything below it can be given a path."""
        with self._lock:
            return self._path_locked(folder_id) is not None

    def has_gap(self) -> bool:
        with self._lock:
            return self._has_gap

    # Places that were left

    def left(self, serial: int = 0) -> list[Left] | None:
        """Those after *serial*, in order; None: some were dropped, there were too many."""
        with self._lock:
            if self._has_dropped_left:
                return None
            return [left for left in self._left if left.serial > serial]

    def told(self, serial: int) -> None:
        """The places up to *serial* need not be kept."""
        with self._lock:
            while self._left and self._left[0].serial <= serial:
                self._left.popleft()

    # News

    def mark(self) -> int:
        """Taken before a listing is asked for: what is learned from here on is newer than it may be."""
        with self._lock:
            return self._serial

    def learn_listing(self, folder_id: str, items: Iterable[Mapping[str, Any]], mark: int) -> None:
        """*items* are all there is in *folder_id*; what else was known there is not there any more."""
        with self._lock:
            before = list(self._children.setdefault(folder_id, {}).values())
            listed: set[str] = set()
            for item in items:
                listed.add(id_of(item))
                is_taken = self._told.get(id_of(item), 0) <= mark or sequence_of(item) is not None
                if not (is_taken and self._learn_locked(item, folder_id)):
                    self._note_outdated_locked(item, folder_id)
            for item_id in before:
                known = self._items.get(item_id)
                is_there = known is not None and known.parent_id == folder_id
                if is_there and item_id not in listed and self._told.get(item_id, 0) <= mark:
                    self._leave_locked(item_id)
                    self._detach_locked(item_id)
            self._bound_locked()

    def learn(
        self, item: Mapping[str, Any], parent_id: str | None = None, *, source: RemotePath | None = None
    ) -> bool:
        """*item* stands in the folder it names, or in *parent_id*; False: something newer is known.

        With *source* we moved it from there, which nobody needs to be told.
        """
        with self._lock:
            if not self._learn_locked(item, parent_id or parent_id_of(item), source):
                return False
            self._serial += 1
            _remember(self._told, id_of(item), self._serial)
            return True

    def forget(
        self,
        item_id: str,
        sequence: int | None = None,
        *,
        is_gap: bool = False,
        source: RemotePath | None = None,
    ) -> bool:
        """Nothing has this id any more; False: something newer than *sequence* is known of it.

        With *source* we removed it there, which nobody needs to be told.
        """
        with self._lock:
            known = self._items.get(item_id)
            if known is not None and _is_older(sequence, known.sequence):
                return False
            self._leave_locked(item_id, source)
            self._detach_locked(item_id)
            last = sequence if known is None or sequence is not None else known.sequence
            _remember(self._gone, item_id, last)
            self._has_gap = self._has_gap or is_gap
            return True

    def lose_sight(self, item_id: str, sequence: int | None = None) -> None:
        """It went where nobody has looked, unless something newer than *sequence* is known of it."""
        with self._lock:
            known = self._items.get(item_id)
            if known is not None and not _is_older(sequence, known.sequence):
                self._leave_locked(item_id)
                self._detach_locked(item_id)

    def clear(self) -> None:
        """Everything is listed anew."""
        with self._lock:
            self._items.clear()
            self._children.clear()
            self._gone.clear()
            self._left.clear()
            self._has_gap = self._has_dropped_left = False

    # Inside

    def _learn_locked(
        self, item: Mapping[str, Any], parent_id: str | None, source: RemotePath | None = None
    ) -> bool:
        kind, name = item.get("type"), item.get("name")
        if kind not in ("file", "folder") or not isinstance(name, str) or parent_id is None:
            return False
        item_id, sequence = id_of(item), sequence_of(item)
        known = self._items.get(item_id)
        if known is not None and _is_older(sequence, known.sequence):
            return False
        if item_id in self._gone:
            gone = self._gone[item_id]
            if sequence is not None and gone is not None and sequence <= gone:
                return False
            del self._gone[item_id]
        if known is not None:
            if not _stands_in(known, parent_id, name):
                self._leave_locked(item_id, source)
            self._unlink_locked(known)
        siblings = self._children.setdefault(parent_id, {})
        other = siblings.get(fold(name))
        if other is not None and other != item_id:
            self._leave_locked(other)
            self._detach_locked(other)
        siblings[fold(name)] = item_id
        self._items[item_id] = Item(item_id, kind == "folder", parent_id, name, sequence)
        return True

    def _unlink_locked(self, item: Item) -> None:
        siblings = self._children.get(item.parent_id)
        if siblings is not None and siblings.get(fold(item.name)) == item.id:
            del siblings[fold(item.name)]

    def _detach_locked(self, item_id: str) -> None:
        """Forgets an item with all below it."""
        waiting = [item_id]
        while waiting:
            at = waiting.pop()
            item = self._items.pop(at, None)
            if item is not None:
                self._unlink_locked(item)
            waiting += self._children.pop(at, {}).values()

    def _leave_locked(self, item_id: str, source: RemotePath | None = None) -> None:
        """Before it leaves its place, which is to be told unless it is *source*."""
        item, path = self._items.get(item_id), self._path_locked(item_id)
        if item is not None and path is not None and (source is None or path.key != source.key):
            self._keep_left_locked(path, item_id, is_folder=item.is_folder)

    def _note_outdated_locked(self, item: Mapping[str, Any], folder_id: str) -> None:
        """A listing shows *item* where it was before something newer was learned of it."""
        kind, name, item_id = item.get("type"), item.get("name"), id_of(item)
        if kind not in ("file", "folder") or not isinstance(name, str):
            return
        known, folder = self._items.get(item_id), self._path_locked(folder_id)
        if folder is not None and (known is None or not _stands_in(known, folder_id, name)):
            self._keep_left_locked(folder.child(name), item_id, is_folder=kind == "folder")

    def _keep_left_locked(self, path: RemotePath, item_id: str, *, is_folder: bool) -> None:
        self._left_serial += 1
        self._left.append(Left(self._left_serial, path, item_id, is_folder))
        if len(self._left) > LEFT_KEPT:
            self._left.clear()
            self._has_dropped_left = True

    def _path_locked(self, item_id: str) -> RemotePath | None:
        names: list[str] = []
        while item_id != self.root_id:
            item = self._items.get(item_id)
            if item is None or len(names) > _DEEPEST:
                return None
            names.append(item.name)
            item_id = item.parent_id
        return RemotePath("".join(f"/{name}" for name in reversed(names)))

    def _bound_locked(self) -> None:
        if len(self._items) <= ITEMS_KEPT:
            return
        for item in [item for item in self._items.values() if not item.is_folder]:
            self._unlink_locked(item)
            del self._items[item.id]
        self._has_gap = True


def _stands_in(item: Item, folder_id: str, name: str) -> bool:
    return item.parent_id == folder_id and fold(item.name) == fold(name)


def _remember(recent: OrderedDict[str, Value], item_id: str, value: Value) -> None:
    recent[item_id] = value
    recent.move_to_end(item_id)
    while len(recent) > RECENT_KEPT:
        recent.popitem(last=False)


def _is_older(news: int | None, known: int | None) -> bool:
    return news is not None and known is not None and news < known
