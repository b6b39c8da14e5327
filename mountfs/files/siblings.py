"""The next files of a folder, fetched while a program reads small ones of it one after another.

`grep -r`, `cp -r`, `tar c` and a compiler wait a round trip for each file otherwise. Who reads the files of
a folder in the order in which the mount lists them, or in that of their names, forward or backward, is taken
to go on: the second read brings the first few ahead, and each further one two more, so that at most twice as
many are fetched in vain as were read. Who has gone from one folder into the next is taken to walk through the
tree: what comes next are the files of its folders, below the highest one in which the walk was seen, and each
read brings twice as many.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol

from cachetools import TTLCache

from mountfs.errors import MountfsError
from mountfs.model.entry import File
from mountfs.model.pacing import is_account_wide
from mountfs.ports import Clock
from mountfs.tree.node import Node, above

SMALL_BYTES = 1024 * 1024
"""Larger files are read ahead by themselves."""
FIRST_FILES = 4
MORE_FILES = 2
MOST_FILES = 64
MOST_BYTES = 16 * 1024 * 1024
"""Ahead of what is read. Where the pattern breaks, at most so much was fetched in vain."""
SKIPS = 8
"""A read may leave out so many files and still follow the one before: `grep -r --include=*.py`, or several
readers side by side."""
FOLDERS_KEPT = 64
"""Folders of which it is known what was read in them last."""
FILES_KEPT = 200_000
"""In the orders of all folders together. In a folder with more files nothing is fetched ahead."""
MOST_SORTED = 20_000
"""In larger folders only the order of the listing is looked for."""
FOLDERS_AHEAD = 16
"""Folders that are looked through for the next files, once those of a folder come to their end."""
KEPT_S = 300.0
"""What is known of a folder is forgotten after so long: files that are let go of from memory would stay there
with their order. Who still reads in it has it looked through once more."""
ORDER_KEPT_S = 10.0
"""An order is made anew after so long, when a read does not fit into it: files may have come."""
PAUSE_S = 10.0
"""Where the service fails, nothing is fetched ahead for so long; programs still make requests by their own
reads."""
MOST_FAILURES = 4
"""So many files may fail within PAUSE_S, each by itself, before it is the service that is taken to fail."""


class Prefetching(Protocol):
    """The part of ``reading.reader.Reader`` that is needed here."""

    def prefetch(self, file: File, failed: Callable[[BaseException], None]) -> None:
        """Has the bytes of *file* cached soon, at the side; *failed* is called with what that fails by."""

    def aside(self, call: Callable[[], None]) -> None:
        """Makes a call soon, at the side."""


class _Order:
    """Files in one order, and the place of each."""

    __slots__ = ("_place_of", "files")

    def __init__(self, files: Sequence[Node]) -> None:
        self.files = files
        self._place_of = {node.id: place for place, node in enumerate(files)}

    def place(self, node: Node) -> int:
        """The place of *node*; -1: it is not among them."""
        return self._place_of.get(node.id, -1)

    def is_next(self, before: Node, after: Node) -> bool:
        place = self.place(before)
        return place >= 0 and 0 < self.place(after) - place <= SKIPS


class _Way(Enum):
    """In which order the files of a folder follow each other."""

    LISTED = auto()
    """As the mount lists them."""
    NAMED = auto()
    BACKWARD = auto()
    """By their names, from the last one on."""


class _Orders:
    """The files, or the folders, of one folder as they were at *made_s*, in each order."""

    __slots__ = ("_sorted", "listed", "made_s")

    def __init__(self, files: Sequence[Node], made_s: float) -> None:
        self.made_s = made_s
        self.listed = _Order(files)
        self._sorted: dict[_Way, _Order] = {}

    def __len__(self) -> int:
        return len(self.listed.files)

    def of(self, way: _Way) -> _Order | None:
        """None: there are too many to sort them."""
        if way is _Way.LISTED:
            return self.listed
        if way not in self._sorted and len(self) <= MOST_SORTED:
            named = sorted(self.listed.files, key=lambda each: each.state.name)
            self._sorted[way] = _Order(named[::-1] if way is _Way.BACKWARD else named)
        return self._sorted.get(way)

    def leading(self, before: Node, after: Node) -> _Way | None:
        """How *after* follows *before*; None: in no order."""
        if self.listed.is_next(before, after):
            return _Way.LISTED
        named = self.of(_Way.NAMED)
        if named is None:
            return None
        if named.is_next(before, after):
            return _Way.NAMED
        # Only neighbours: in a small folder any two files are within SKIPS of each other.
        return _Way.BACKWARD if 0 <= named.place(after) == named.place(before) - 1 else None


@dataclass(slots=True)
class _Run:
    """What was read last in a folder; None: nothing yet.

    ``order``: in which its files are read; None: they follow each other in neither. ``window``: how many
    files are fetched ahead. ``reached``: the files before this place of the order were asked for.
    ``way``: of the orders the one that a program keeps to which goes on into the next folder.
    ``beyond``: so many files of the next folders were asked for. ``top``: below it lie the folders that a
    walk goes through; None: no walk came through this folder.
    """

    last: Node | None
    order: _Order | None = None
    window: int = 0
    reached: int = 0
    beyond: int = 0
    way: _Way = _Way.LISTED
    top: Node | None = None


class Siblings:
    """Told of every read of a remote file; any thread."""

    def __init__(
        self,
        lock: AbstractContextManager[Any],
        clock: Clock,
        reader: Prefetching,
        load: Callable[[Node], object],
    ) -> None:
        """*lock*: the account's. *load*: has what is in a folder in memory, as for a program that opens it;
        MountfsError."""
        self._load = load
        self._account_lock = lock
        self._clock = clock
        self._reader = reader
        self._lock = threading.Lock()
        self._runs: TTLCache[int, _Run] = TTLCache(FOLDERS_KEPT, KEPT_S, clock.now_s)
        self._orders: TTLCache[tuple[int, bool], _Orders] = TTLCache(
            FILES_KEPT, KEPT_S, clock.now_s, lambda orders: max(1, len(orders))
        )
        """By the folder's id, and by whether they are the orders of the folders in it or of its files. They
        are kept, so that reads here and there in a large folder do not sort it each time."""
        self._latest: _Run | None = None
        """That of the last read. A program that walks through a tree begins the next folder with its
        window."""
        self._paused_until_s = 0.0
        self._failed_s: deque[float] = deque(maxlen=MOST_FAILURES)
        """When files failed by themselves, the latest last."""

    def reads(self, node: Node, file: File, offset: int) -> None:
        """*file*, of *node*, is about to be read from *offset* on. Makes no request, and never fails."""
        folder = node.state.parent
        if offset or folder is None or file.size_bytes > SMALL_BYTES:
            return
        if self._clock.now_s() < self._paused_until_s:
            return
        with self._lock:
            run = self._runs.get(folder.id)
            if run is None:
                run = self._runs[folder.id] = self._begun(folder, node)
            elif run.last is node:
                return
            wanted = self._wanted(run, folder, node) if run.last is not node or run.order is not None else []
            beyond = self._beyond(run)
            self._latest = run
        for each in wanted:
            self._reader.prefetch(each, self._failed)
        if beyond:
            self._reader.aside(lambda: self._go_on(folder, beyond, run))

    def _begun(self, folder: Node, node: Node) -> _Run:
        """*node* is the first that is read in *folder*. Under the lock of this."""
        run = _Run(node)
        before = self._latest
        if before is None:
            return run
        run.top = self._top_of_walk(before, folder)
        run.window = before.window if run.top is not None else before.window // 2
        if run.window or run.top is not None:
            orders = self._orders_of(folder)
            run.way = before.way
            run.order = None if orders is None else orders.of(run.way)
        return run

    def _top_of_walk(self, before: _Run, folder: Node) -> Node | None:
        """The highest folder that a program walks through which goes on from *before* into *folder*; None: it
        may have begun something else. Under the lock of this."""
        last = before.last
        former = None if last is None else last.state.parent
        if last is None or former is None:
            return None
        if folder.state.parent is not former:
            orders = self._orders_of(former, last)
            order = before.order or (orders.listed if orders is not None and len(orders) == 1 else None)
            if order is None or len(order.files) - order.place(last) > SKIPS:
                return None
            beside = None if former.state.parent is not folder.state.parent else former.state.parent
            if beside is not None:
                folders = self._orders_of(beside, former, folder, of_folders=True)
                if folders is None or folders.leading(former, folder) is None:
                    return None
        elif before.order is None:
            return None
        over = set(above(former))
        top = next((each for each in above(folder) if each in over), None)
        return before.top if before.top is not None and before.top in set(above(folder)) else top

    def _beyond(self, run: _Run) -> int:
        """How many files of the next folders are to be fetched ahead; 0: no more than before. Under the lock
        of this."""
        if run.top is None or run.order is None or run.last is None or run.reached < len(run.order.files):
            return 0
        beyond = run.order.place(run.last) + 1 + run.window - len(run.order.files)
        if beyond - run.beyond < max(1, run.window // 4):
            return 0
        run.beyond = beyond
        return beyond

    def _go_on(self, folder: Node, count: int, run: _Run) -> None:
        """Has the first *count* files fetched that come after those of *folder* in the walk of *run*."""
        with suppress(MountfsError):
            for _ in range(FOLDERS_AHEAD):
                following = self._following(folder, run)
                if following is None or count <= 0:
                    return
                self._load(following)
                with self._lock:
                    wanted, seen = self._first(following, count, run)
                for each in wanted:
                    self._reader.prefetch(each, self._failed)
                count -= seen
                folder = following

    def _following(self, folder: Node, run: _Run) -> Node | None:
        """The folder after *folder*: the first one in it, else the next one beside it, or one above it."""
        with self._lock:
            orders = self._orders_of(folder, of_folders=True)
            inside = None if orders is None else orders.of(run.way)
            for each in () if inside is None else inside.files[:FOLDERS_KEPT]:
                known = self._runs.get(each.id)
                if known is None or known.last is None:
                    return each
            for at in above(folder):
                parent = at.state.parent
                if at is run.top or parent is None:
                    return None
                orders = self._orders_of(parent, at, of_folders=True)
                beside = None if orders is None else orders.of(run.way)
                place = -1 if beside is None else beside.place(at)
                if beside is not None and 0 <= place < len(beside.files) - 1:
                    return beside.files[place + 1]
        return None

    def _first(self, folder: Node, count: int, walk: _Run) -> tuple[list[File], int]:
        """What is to be fetched of the first *count* files in *folder*, and how many files it has."""
        orders = self._orders_of(folder)
        order = None if orders is None else orders.of(walk.way)
        if order is None:
            return [], count
        run = self._runs.get(folder.id)
        if run is None:
            run = self._runs[folder.id] = _Run(None, order, walk.window, way=walk.way, top=walk.top)
        elif run.last is not None:
            return [], count
        start, run.reached = run.reached, max(run.reached, min(count, len(order.files)))
        return _small_remote(order.files[start : run.reached]), len(order.files)

    def _wanted(self, run: _Run, folder: Node, node: Node) -> list[File]:
        """What is to be fetched now that *node* is read. Under the lock of this."""
        order = run.order
        if order is not None and run.last is None:
            run.last = node if order.place(node) <= SKIPS else order.files[-1]
        if run.last is None:
            run.last = node
        if order is not None and run.last is not node and order.is_next(node, run.last):
            return []  # another reader of the same run, a little behind
        if order is not None and (run.last is node or order.is_next(run.last, node)):
            further = run.window + MORE_FILES if run.top is None else 2 * run.window
            run.window = min(max(FIRST_FILES, further), MOST_FILES)
        else:
            orders = self._orders_of(folder, run.last, node)
            way = None if orders is None else orders.leading(run.last, node)
            run.order = order = None if orders is None or way is None else orders.of(way)
            run.way = way or run.way
            run.window = FIRST_FILES if order is not None else 0
            run.reached = run.beyond = 0
            run.top = run.top if order is not None else None
        run.last = node
        place = -1 if order is None else order.place(node)
        return [] if order is None or place < 0 else self._ahead(run, order, place)

    def _ahead(self, run: _Run, order: _Order, place: int) -> list[File]:
        stop = min(place + 1 + run.window, len(order.files))
        start = max(place + 1, run.reached)
        # Half of the window is left before more is asked for, so that requests leave in some number.
        if stop - start < max(1, run.window // 2) and stop < len(order.files):
            return []
        run.reached = max(run.reached, stop)
        return _small_remote(order.files[start:stop])

    def _orders_of(self, folder: Node, *read: Node, of_folders: bool = False) -> _Orders | None:
        """The orders of *folder*, made anew if one of *read* is not in them and they are old. None: it has
        too many files, or was not listed."""
        now_s = self._clock.now_s()
        known = self._orders.get((folder.id, of_folders))
        if known is not None:
            is_old = now_s - known.made_s >= ORDER_KEPT_S
            if not is_old or all(known.listed.place(each) >= 0 for each in read):
                return known
        found = self._in(folder, folders=of_folders)
        if found is None:
            return None
        made = self._orders[folder.id, of_folders] = _Orders(found, now_s)
        return made

    def _in(self, folder: Node, *, folders: bool) -> list[Node] | None:
        with self._account_lock:
            children = folder.folder.children if folder.folder is not None else None
            if children is None or len(children) > FILES_KEPT:
                return None
            nodes = list(children.values())
        return [each for each in nodes if each.is_folder is folders]

    def _failed(self, error: BaseException) -> None:
        """One file was not fetched: a pause, where the next ones would not be either."""
        now_s = self._clock.now_s()
        with self._lock:
            if not (isinstance(error, MountfsError) and is_account_wide(error)):
                self._failed_s.append(now_s)
                if len(self._failed_s) < MOST_FAILURES or now_s - self._failed_s[0] >= PAUSE_S:
                    return
            self._failed_s.clear()
            self._latest = None
            self._paused_until_s = now_s + PAUSE_S
            self._runs.clear()


def _small_remote(files: Sequence[Node]) -> list[File]:
    """The small files among *files* whose bytes only the service has, at most MOST_BYTES together."""
    found: list[File] = []
    room_bytes = MOST_BYTES
    for each in files:
        state = each.state
        base = state.base
        if state.draft is not None or state.content is not None or not isinstance(base, File):
            continue
        if not 0 < base.size_bytes <= min(SMALL_BYTES, room_bytes) or not base.is_downloadable:
            continue
        room_bytes -= base.size_bytes
        found.append(base)
    return found
