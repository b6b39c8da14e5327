"""The remote tree as last known: whole listings, kept while they can be trusted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from cachetools import LRUCache

from mountfs.model.entry import Entry, File, Folder, Gone
from mountfs.model.path import RemotePath
from mountfs.ports import Clock

RETRY_S = 1.0
"""How long a doubted listing serves after it could not be listed anew, while changes are being reported."""
ENTRIES_KEPT = 2_000_000
"""About 1 GB at worst; a folder larger than this could not be listed at all."""

UNPLACED_KEPT = 10_000
"""Far more than are reported between a call that makes a folder and its reply."""


@dataclass(slots=True)
class Listing:
    """All children of one folder by folded name; None: there was no such folder.

    A doubted one is known to be out of date: it serves only while it cannot be listed anew.
    """

    children: dict[str, Entry] | None
    checked_s: float
    begun_turn: int = 0
    ended_turn: int = 0
    """When the service was asked and had answered, in beginnings and ends of loads: clocks are too coarse."""
    is_doubted: bool = False
    listed_s: float = -math.inf
    """When a doubted one was listed: it answers what was asked before, once."""

    def __len__(self) -> int:
        return 1 + len(self.children or ())


@dataclass(slots=True)
class Load:
    """A listing that was asked for, and what we committed since."""

    begun_turn: int
    meanwhile: list[Entry | Gone] = field(default_factory=list)


class _Listings(LRUCache[str, Listing]):
    """Listings by the folder's key; and how many there are at or below each key."""

    def __init__(self) -> None:
        super().__init__(ENTRIES_KEPT, getsizeof=len)
        self.counts: Counter[str] = Counter()

    def __setitem__(self, key: str, listing: Listing) -> None:
        self.pop(key, None)  # else what makes room for a larger one might be itself
        super().__setitem__(key, listing)
        self.counts.update(_with_those_above(key))

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        for at in _with_those_above(key):
            self.counts[at] -= 1
            if not self.counts[at]:
                del self.counts[at]


class NotLoaded(Exception):
    """The answer needs the listing of *folder*, which is not known (well enough).

    *must_be_new*: no older one may stand in for it while the far side is away.
    """

    def __init__(self, folder: RemotePath, *, must_be_new: bool = False) -> None:
        super().__init__(str(folder))
        self.folder = folder
        self.must_be_new = must_be_new


class Snapshot:
    """Listings of remote folders, bounded, guarded by the account's lock.

    A listing is trusted while a follower reports every remote change (which then updates it), else for
    *fresh_s* seconds. Own commits are applied at once; a load that was under way meanwhile gets them too.
    """

    def __init__(self, lock: AbstractContextManager[Any], clock: Clock, fresh_s: float) -> None:
        self._lock = lock
        self.clock = clock
        self._fresh_s = fresh_s
        self._is_followed = False
        self._asked_s = math.inf
        self._listings = _Listings()
        self._loading: dict[str, Load] = {}
        self._turn = 0
        self._void: set[str] = set()
        self._unplaced: LRUCache[str, None] = LRUCache(UNPLACED_KEPT)
        """Folders without a listing in which something was reported lately."""

    # Reading, under the lock

    def asked_at(self, now_s: float) -> None:
        """The question that comes next was asked at *now_s*: what was listed since answers it."""
        self._asked_s = now_s

    def lookup(self, path: RemotePath, moved: RemotePath | None = None) -> Entry | None:
        """What stands at *path*, which is not the root. NotLoaded when its folder must be listed first.

        *moved*: where it stands once a rename that was sent took effect.
        """
        entry = (self.listing(path.parent) or {}).get(path.name_key)
        if entry is None and moved is not None:
            entry = (self.listing(moved.parent) or {}).get(moved.name_key)
            if entry is None:
                self._check_newer(moved.parent, path.parent)
        return entry

    def listing(self, folder: RemotePath, moved: RemotePath | None = None) -> dict[str, Entry] | None:
        """The children of *folder* by folded name; None when there is no such folder. *moved* and NotLoaded
        as ``lookup``."""
        with self._lock:
            known = self._listings.get(folder.key)
            if known is None or not self._is_fresh(known):
                raise NotLoaded(folder)
            children = known.children
            if children is None and moved is not None:
                children = self.listing(moved)
                if children is None:
                    self._check_newer(moved, folder)
            return children

    # Loading: begin, list without the lock, store

    def begin(self, folder: RemotePath) -> None:
        """A load of *folder* starts: what is applied from here on is remembered for its result."""
        with self._lock:
            self._turn += 1
            self._loading[folder.key] = Load(self._turn)
            self._void.discard(folder.key)

    def store(self, folder: RemotePath, entries: Iterable[Entry] | None) -> None:
        """The load of *folder* ended with *entries*; None: there is no such folder.

        If somebody else's change was reported meanwhile it may be older than that: it answers those who
        asked for it (in a folder that never rests there would be no other end), and is doubted at once.
        """
        with self._lock:
            self._turn += 1
            load = self._loading.pop(folder.key, None) or Load(self._turn)
            children = None if entries is None else {entry.path.name_key: entry for entry in entries}
            listing = Listing(children, self.clock.now_s(), load.begun_turn, self._turn)
            if folder.key in self._void:
                self._void.discard(folder.key)
                listing.listed_s = listing.checked_s
                _doubt(listing)
            self._listings[folder.key] = listing
            for entry in load.meanwhile:
                self._apply_to_listing(entry)

    def give_up(self, folder: RemotePath) -> bool:
        """The load of *folder* failed for now; whether an old listing is served on for a while."""
        with self._lock:
            self._loading.pop(folder.key, None)
            known = self._listings.get(folder.key)
            if known is None:
                return False
            known.checked_s = self.clock.now_s()
            return True

    # Own commits

    def put(self, entry: Entry) -> None:
        """*entry* stands at its path."""
        with self._lock:
            if isinstance(entry, File) and not isinstance(self._known(entry.path), File):
                self._drop_tree(entry.path)
            self._apply(entry)

    def made(self, folder: Folder) -> None:
        """We made *folder*: as far as we know, what we put into it is all it has.

        Unless the service says that it is new, and nobody reported changes in it before we heard so, another
        client may have been quicker: it is listed when somebody looks, and while that is not possible what we
        know is shown.
        """
        with self._lock:
            self.put(folder)
            if folder.path.key not in self._listings:
                self._listings[folder.path.key] = listing = Listing({}, self.clock.now_s())
                if not folder.is_new or folder.path.key in self._unplaced:
                    _doubt(listing)

    def remove(self, path: RemotePath) -> None:
        """Nothing stands at *path* or below."""
        with self._lock:
            if not isinstance(self._known(path), File):
                self._drop_tree(path)
            self._apply(Gone(path))

    def move(self, source: RemotePath, entry: Entry) -> None:
        """What stood at *source* is *entry*, at its path, with all below."""
        with self._lock:
            self.remove(source)
            self._drop_tree(entry.path)
            self._apply(entry)

    def invalidate(self, path: RemotePath) -> None:
        """Forgets what is known of *path*, its folder and all below."""
        with self._lock:
            self._drop_tree(path)
            self._listings.pop(path.parent.key, None)

    # What others did

    def apply_remote(self, entries: Sequence[Entry | Gone]) -> None:
        """Takes note of remote changes. One that says what is known changes nothing (our own echo);
        any other makes its folder be listed again: it may be older than what we know."""
        with self._lock:
            for entry in entries:
                if entry.path.parent.key in self._loading:
                    self._void.add(entry.path.parent.key)
                known = self._listings.get(entry.path.parent.key)
                if known is None or known.children is None:
                    self._unplaced[entry.path.parent.key] = None
                    if known is not None:
                        del self._listings[entry.path.parent.key]
                    continue
                if not _says_the_same(known.children.get(entry.path.name_key), entry):
                    # Kept for the case that the far side goes away before it can be listed again.
                    _doubt(known)
            # Also where a listing shows that already: what was known below may be from before.
            self._drop_trees({entry.path.key for entry in entries if not isinstance(entry, Folder)})

    def note_follower(self, healthy: bool) -> None:
        """Whether every remote change is being reported from here on."""
        with self._lock:
            self._is_followed = healthy
            for known in [listing for listing in self._listings.values() if listing.is_doubted]:
                _doubt(known)

    def forget_all(self) -> None:
        with self._lock:
            self._listings.clear()
            self._void.update(self._loading)

    # Inside

    def _known(self, path: RemotePath) -> Entry | None:
        listing = self._listings.get(path.parent.key)
        return None if listing is None or listing.children is None else listing.children.get(path.name_key)

    def _check_newer(self, folder: RemotePath, other: RemotePath) -> None:
        """NotLoaded unless *folder* was listed after *other*: what went from there to here is in neither, if
        it went between a look here and one there."""
        here, there = self._listings[folder.key], self._listings[other.key]
        if here is not there and here.begun_turn <= there.ended_turn:
            raise NotLoaded(folder, must_be_new=True)

    def _is_fresh(self, listing: Listing) -> bool:
        # Only a listing that failed gives a doubted one a time at all: a long one while nobody can tell,
        # so that not every look waits for a far side that is away.
        good_s = RETRY_S if listing.is_doubted and self._is_followed else self._fresh_s
        is_young = self.clock.now_s() - listing.checked_s < good_s
        is_followed = self._is_followed and not listing.is_doubted
        return is_followed or is_young or max(listing.checked_s, listing.listed_s) >= self._asked_s

    def _apply(self, entry: Entry | Gone) -> None:
        if entry.path.parent.key in self._loading:
            self._loading[entry.path.parent.key].meanwhile.append(entry)
        self._apply_to_listing(entry)

    def _apply_to_listing(self, entry: Entry | Gone) -> None:
        known = self._listings.get(entry.path.parent.key)
        if known is None:
            return
        if known.children is None:
            del self._listings[entry.path.parent.key]
            return
        children = known.children
        if isinstance(entry, Gone):
            children.pop(entry.path.name_key, None)
        else:
            old = children.get(entry.path.name_key)
            if isinstance(entry, Folder) and isinstance(old, Folder) and not entry.id:
                entry = replace(entry, id=old.id)
            children[entry.path.name_key] = entry
        # Stored again, so that the cache weighs it anew.
        self._listings[entry.path.parent.key] = known

    def _drop_tree(self, path: RemotePath) -> None:
        self._drop_trees({path.key})

    def _drop_trees(self, tops: Set[str]) -> None:
        """As ``_drop_tree`` for many: each listing is looked at once, and only where there are any."""
        tops = {top for top in tops if top in self._listings.counts}
        if not tops:
            return
        for key in [key for key in self._listings if not tops.isdisjoint(_with_those_above(key))]:
            del self._listings[key]


def _with_those_above(key: str) -> list[str]:
    keys = [key]
    while key:
        key = key.rpartition("/")[0]
        keys.append(key)
    return keys


def _doubt(listing: Listing) -> None:
    listing.is_doubted = True
    listing.checked_s = -math.inf


def _says_the_same(known: Entry | None, entry: Entry | Gone) -> bool:
    if isinstance(entry, Gone):
        return known is None
    if isinstance(entry, Folder):
        return isinstance(known, Folder)
    return isinstance(known, File) and known.revision == entry.revision
