"""Folders listed ahead of a program that walks through a tree.

`find`, `du`, `ls -R`, `grep -r` and `git status` open the folders of one folder one after another, in the
order in which the mount lists them or in that of their names. The third of them begins one of two things:

* where the service lists trees, a recursive listing of the folder that they are in (``treewalk``): 2,000
  entries a call in place of a folder a call. Whoever wants one of its folders waits for its end, since no
  folder is known to be whole before;
* elsewhere the next folders are listed side by side, each time twice as many.

Both end where the program does not go on. The cost of a mistake is bounded: so many pages, or folders.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from cachetools import TTLCache

from mountfs.errors import MountfsError
from mountfs.model.path import RemotePath
from mountfs.ports import Backend, TreePage
from mountfs.tree.bases import based_above
from mountfs.tree.listings import Listings
from mountfs.tree.load import Asker
from mountfs.tree.node import Node, remote_id
from mountfs.tree.place import remote_path
from mountfs.tree.tree import Tree
from mountfs.tree.treewalk import TreeWalk, Unfollowable
from mountfs.tree.walkport import Walks as NoWalks

LOG = logging.getLogger(__name__)

THREADS = 8
"""Folders listed side by side."""
ENOUGH = 3
"""So many folders of one folder, listed one after another, are a walk."""
SKIPS = 8
"""A walk may leave out so many folders: several threads of one program take turns."""
GAP_S = 10.0
"""A pause of so long ends a walk. `grep -r` reads the files of a folder before it opens the next one."""
FIRST_AHEAD = 4
MOST_AHEAD = 64
"""Folders listed ahead of the one that is looked at."""
MOST_ENTRIES_AHEAD = 64_000
"""Entries that these are expected to have; most of them are in vain where the program does not go on."""
MOST_FOLDERS = 200_000
"""In a folder with more entries nothing is listed ahead: their order would be too large to keep."""
PARENTS_KEPT = 64
KEPT_S = 60.0
"""A walk is forgotten so long after its last folder was opened: what is known of it keeps nodes in memory."""
FREE_PAGES = 4
"""A recursive listing may take so many pages, and one more for each folder that it has met: listed by itself
a folder takes a call, too."""
PAGE_ENTRIES = 2000
"""Folders that have more, with what is below them, are each listed recursively for themselves: to list those
before them again would cost more than it saves."""
SHORTEST_WAIT_S, LONGEST_WAIT_S = 2.0, 60.0
"""How long a program waits for a recursive listing at most: half of what its folders would take one by one,
within these bounds. For one that brings no more than was foreseen it waits up to the longer one: on a busy
machine its pages are late, and who gives up then lists its last folders beside it."""
FORESEEN = 2
"""So many times the entries of the folders that were listed first, for each folder beside them, are foreseen.
With more of them, the folders have others in them, of which the program may want none."""
SILENCE_S = 10.0
"""Who waits for a listing of which no page comes asks by himself: a service that is silent must not keep him
for its own time-out twice."""
LOOK_S = 1.0
MOST_HEARD = 1000
"""Changes during a recursive listing. With more of them it is given up."""


@dataclass(slots=True)
class _Run:
    """What was opened last of the folders in one folder."""

    last: Node
    opened_s: float
    began_s: float
    count: int = 1
    entries: int = 0
    expected: int = 0
    """Entries that the next folder is expected to have; a large one counts for several after it."""
    window: int = 0
    listed: list[Node] = field(default_factory=list)
    """The folders in it in the order that is followed; empty: not known yet."""
    places: dict[int, int] = field(default_factory=dict)
    reached: int = 0
    is_walked: bool = False
    """Whether a recursive listing was made for it: another one would end as that did."""


@dataclass(slots=True)
class _Walk:
    """A recursive listing under way."""

    top: Node
    path: RemotePath
    began_s: float
    deadline_s: float
    asked_s: float
    page_s: float
    """When a page came last."""
    foreseen: float
    """Entries that it was begun for."""
    entries: int = 0
    """Entries on the pages that have come."""
    is_whole: bool = False
    """Whether the last page has come, and is being booked."""
    ended: threading.Event = field(default_factory=threading.Event)
    heard: set[str] = field(default_factory=set)
    waiting: int = 0
    followed: set[int] = field(default_factory=set)
    """Ids of folders that were opened meanwhile by who may be walking: after another one of the same folder,
    or in one of these. `cat top/z/f` beside a `find top` in a/ waits for z alone."""

    def patience_s(self, now_s: float) -> float:
        """How much longer somebody waits for its end if no page comes."""
        is_as_foreseen = self.is_whole or self.entries <= self.foreseen
        deadline_s = self.began_s + LONGEST_WAIT_S if is_as_foreseen else self.deadline_s
        return min(deadline_s, self.page_s + SILENCE_S) - now_s


class Walks(NoWalks):
    """Told of folders that programs open; any thread. One recursive listing runs at a time."""

    def __init__(self, tree: Tree, listings: Listings, backend: Backend, threads: int = THREADS) -> None:
        self._tree = tree
        self._listings = listings
        self._backend = backend
        self._lists_trees = backend.limits.lists_trees
        self._lock = threading.Lock()
        self._runs: TTLCache[int, _Run] = TTLCache(PARENTS_KEPT, KEPT_S, tree.clock.now_s)
        """By the id of the folder that they are in."""
        self._places: TTLCache[int, list[dict[int, int]]] = TTLCache(
            2 * MOST_FOLDERS, GAP_S, tree.clock.now_s, lambda orders: max(1, sum(map(len, orders)))
        )
        """By the same: the places of these folders by their ids, in both orders. Folders that are opened here
        and there in a large one do not have it sorted each time."""
        self._walk: _Walk | None = None
        self._ours: set[int] = set()
        """Folders that are being listed ahead."""
        self._pool = ThreadPoolExecutor(threads, "list-ahead")
        self._is_closed = False

    def close(self) -> None:
        """Ends the threads."""
        self._is_closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    def opened(self, folder: Node) -> None:
        """A program is about to list *folder*."""
        parent = folder.state.base_parent
        if parent is None or not self._listings.is_followed or self._listings.is_away:
            return
        now_s = self._tree.clock.now_s()
        with self._lock:
            run, walk = self._runs.get(parent.id), self._walk
            if walk is not None and parent.id in walk.followed:
                walk.followed.add(folder.id)
            if run is None and folder.part.listing.listed_at:
                return
            if run is None or now_s - run.opened_s > GAP_S or not self._follows(run, parent, folder):
                self._runs[parent.id] = _Run(folder, now_s, now_s)
                return
            if run.last is folder:
                return
            run.last, run.opened_s = folder, now_s
            self._runs[parent.id] = run  # its time begins anew
            run.count += 1
            if walk is not None:
                walk.asked_s = now_s
                walk.followed.add(folder.id)
            if run.count < ENOUGH:
                return
            if not (folder.part.listing.listed_at or run.is_walked) and self._lists_trees:
                if walk is None:
                    self._begin_locked(run, parent, folder)
                return
            if walk is not None and self._is_waited_for(walk, folder, now_s):
                return  # its pages bring the next ones
            ahead = self._ahead_locked(run, folder)
        for each in ahead:
            with suppress(RuntimeError):  # closed
                self._pool.submit(self._list_ahead, each)

    def await_walk(self, folder: Node) -> None:
        """Waits while a recursive listing is under way that *folder* is below, if a program that walks has
        opened it: whoever else wants it waits for one call, and not for all pages of a tree."""
        walk = self._walk
        if walk is None or folder.id not in walk.followed or folder.id in self._ours:
            return
        if not self._is_waited_for(walk, folder, self._tree.clock.now_s()):
            return
        with self._tree.lock:
            walk.waiting += 1
        try:
            while (left_s := walk.patience_s(self._tree.clock.now_s())) > 0:
                if walk.ended.wait(min(left_s, LOOK_S)):
                    return
        finally:
            with self._tree.lock:
                walk.waiting -= 1

    def _is_waited_for(self, walk: _Walk, folder: Node, now_s: float) -> bool:
        """Whether *walk* is to bring *folder*, soon enough."""
        with self._tree.lock:
            return walk.patience_s(now_s) > 0 and walk.top in based_above(folder)

    def listed(self, folder: Node, entries: int) -> None:
        parent = folder.state.base_parent
        with self._lock:
            run = None if parent is None else self._runs.get(parent.id)
            if run is not None:
                run.entries += entries
                run.expected = max(entries, run.expected // 2)

    def heard(self, path: RemotePath) -> None:
        walk = self._walk
        if walk is None:
            return
        for top in (walk.path, remote_path(walk.top)):  # it may be renamed here meanwhile
            if path.key == top.key or path.is_below(top):
                walk.heard.add(path.key)

    # Which folders follow each other

    def _follows(self, run: _Run, parent: Node, folder: Node) -> bool:
        """Whether *folder* comes soon after the last one, in one of both orders."""
        if run.last is folder:
            return True
        if run.places and _is_next(run.places, run.last, folder):
            return True
        known = self._places.get(parent.id)
        if known is not None and not any(_is_next(places, run.last, folder) for places in known):
            return False
        orders = list(self._orders(parent))
        known = [{node.id: place for place, node in enumerate(listed)} for listed in orders]
        self._places[parent.id] = known
        for listed, places in zip(orders, known, strict=True):
            if _is_next(places, run.last, folder):
                run.listed, run.places, run.reached = listed, places, 0
                return True
        return False

    def _orders(self, parent: Node) -> Iterator[list[Node]]:
        with self._tree.lock:
            children = parent.part.children
            nodes = [] if children is None or len(children) > MOST_FOLDERS else list(children.values())
        folders = [node for node in nodes if node.folder is not None]
        yield folders
        yield sorted(folders, key=lambda node: node.state.name)

    # One folder after the other

    def _ahead_locked(self, run: _Run, folder: Node) -> list[Node]:
        """The next folders that are to be listed."""
        place = run.places.get(folder.id, len(run.listed))
        run.window = min(max(FIRST_AHEAD, 2 * run.window), MOST_AHEAD)
        window = min(run.window, max(1, MOST_ENTRIES_AHEAD // max(1, run.expected)))
        stop = min(place + 1 + window, len(run.listed))
        start = max(place + 1, run.reached)
        if stop - start < window // 2 and stop < len(run.listed):
            return []
        run.reached = max(run.reached, stop)
        may_be_new = run.is_walked or not self._lists_trees
        with self._tree.lock:
            ahead = [
                node
                for node in run.listed[start:stop]
                if (may_be_new or node.part.listing.listed_at) and self._listings.is_stale(node)
            ]
        self._ours.update(node.id for node in ahead)
        return ahead

    def _list_ahead(self, folder: Node) -> None:
        try:
            if not self._is_closed:
                self._listings.load(folder, asker=Asker.AHEAD)
        except MountfsError:
            with self._lock:
                self._runs.clear()
        finally:
            with self._lock:
                self._ours.discard(folder.id)

    # All at once

    def _begin_locked(self, run: _Run, parent: Node, folder: Node) -> None:
        is_each_large = run.entries >= PAGE_ENTRIES * (run.count - 1)
        top = folder if is_each_large else parent
        run.is_walked = not is_each_large
        if not remote_id(top) and top is not self._tree.root:
            return
        now_s = self._tree.clock.now_s()
        left = len(run.listed) - run.count
        wait_s = (now_s - run.began_s) / max(1, run.count - 1) * left / 2
        with self._tree.lock:
            path = remote_path(top)
        deadline_s = now_s + min(max(SHORTEST_WAIT_S, wait_s), LONGEST_WAIT_S)
        foreseen = FORESEEN * run.entries / max(1, run.count - 1) * (1 if is_each_large else len(run.listed))
        self._walk = walk = _Walk(top, path, now_s, deadline_s, now_s, now_s, foreseen)
        walk.followed.add(folder.id)
        try:
            self._pool.submit(self._run, walk, run)
        except RuntimeError:  # closed
            self._walk = None

    def _run(self, walk: _Walk, run: _Run) -> None:
        tree = self._tree
        with tree.lock:
            booked = TreeWalk(tree, walk.top, tree.store.next_id())
        try:
            if self._book_pages(walk, booked):
                booked.finish(walk.heard)
            else:
                booked.give_up()
        except (MountfsError, Unfollowable) as error:
            LOG.debug("the recursive listing of %s is given up: %s", walk.path, error)
            with suppress(MountfsError):
                booked.give_up()
        finally:
            run.entries += booked.entries
            self._walk = None
            walk.ended.set()

    def _book_pages(self, walk: _Walk, booked: TreeWalk) -> bool:
        """Whether all were booked. The next page is asked for while one is booked."""
        page = self._backend.list_tree(remote_id(walk.top), None)
        pages = 1
        while True:
            walk.page_s = self._tree.clock.now_s()
            walk.entries += len(page.entries)
            walk.is_whole = not page.has_more
            following: Future[TreePage] | None = None
            if page.has_more:
                if not self._goes_on(walk, pages, booked.folders):
                    return False
                following = self._pool.submit(self._backend.list_tree, remote_id(walk.top), page.cursor)
                pages += 1
            booked.book(page.entries)
            if following is None:
                return len(walk.heard) <= MOST_HEARD
            page = following.result()

    def _goes_on(self, walk: _Walk, pages: int, folders: int) -> bool:
        now_s = self._tree.clock.now_s()
        is_wanted = walk.waiting > 0 or now_s - walk.asked_s <= GAP_S
        return (
            not self._is_closed
            and is_wanted
            and pages <= FREE_PAGES + folders
            and len(walk.heard) <= MOST_HEARD
        )


def listings_ahead(tree: Tree, backend: Backend, fresh_s: float, threads: int) -> Listings:
    """Listings whose folders are listed ahead on so many *threads*; 0: none is."""
    listings = Listings(tree, backend, fresh_s)
    if threads:
        listings.walks = Walks(tree, listings, backend, threads)
    return listings


def _is_next(places: dict[int, int], before: Node, after: Node) -> bool:
    distance = places.get(after.id, math.inf) - places.get(before.id, -math.inf)
    return 0 < abs(distance) <= SKIPS
