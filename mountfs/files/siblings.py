"""The next files of a folder, fetched while a program reads small ones of it one after another.

`grep -r`, `cp -r`, `tar c` and a compiler wait a round trip for each file otherwise. Who reads the files of
a folder in the order in which the mount lists them, or in that of their names, is taken to go on: the second
read brings the first few ahead, and each further one twice as many, as long as they are what is read next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from cachetools import LRUCache

from mountfs.model.entry import File
from mountfs.ports import Clock
from mountfs.tree.node import Node

SMALL_BYTES = 1024 * 1024
"""Larger files are read ahead by themselves."""
FIRST_FILES = 4
MOST_FILES = 64
MOST_BYTES = 16 * 1024 * 1024
"""Ahead of what is read. Where the pattern breaks, at most so much was fetched in vain."""
SKIPS = 8
"""A reader may leave out so many: folders, or files of other kinds; and several may read side by side."""
FOLDERS_KEPT = 64
PAUSE_S = 10.0
"""Without anything ahead after a failure: who reads finds out by himself when the service works again."""
MOST_SORTED = 20_000
"""In larger folders only the order of the listing is looked for."""


class Prefetching(Protocol):
    """The part of ``reading.reader.Reader`` that is needed here."""

    def prefetch(self, file: File, failed: Callable[[], None]) -> None:
        """Has the bytes of *file* cached soon, at the side; *failed* is called if that fails."""


@dataclass(slots=True)
class _Order:
    """The files of a folder in one order, as they were when the run began."""

    files: list[Node]
    place_of: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.place_of = {node.id: place for place, node in enumerate(self.files)}

    def is_next(self, before: Node, after: Node) -> bool:
        places = self.place_of.get(before.id), self.place_of.get(after.id)
        return None not in places and 0 < places[1] - places[0] <= SKIPS  # type: ignore[operator]


@dataclass(slots=True)
class _Run:
    """Somebody who reads a folder. *reached*: the place up to which files were asked for ahead."""

    last: Node
    order: _Order | None = None
    window: int = 0
    reached: int = 0


class Siblings:
    """Told of every read of a remote file; any thread."""

    def __init__(self, lock: AbstractContextManager[Any], clock: Clock, reader: Prefetching) -> None:
        """*lock*: the account's."""
        self._account_lock = lock
        self._clock = clock
        self._reader = reader
        self._lock = threading.Lock()
        self._runs: LRUCache[int, _Run] = LRUCache(FOLDERS_KEPT)
        self._window = 0
        """Of the last run that went well: who walks through a tree begins the next folder with it."""
        self._paused_until_s = 0.0

    def reads(self, node: Node, file: File, offset: int) -> None:
        """*file*, of *node*, is about to be read. Never waits, nor fails."""
        folder = node.state.parent
        if offset or folder is None or file.size_bytes > SMALL_BYTES:
            return
        if self._clock.now_s() < self._paused_until_s:
            return
        with self._lock:
            run = self._runs.get(folder.id)
            if run is None:
                run = self._runs[folder.id] = _Run(node)
                if not self._window:
                    return
                run.order = _Order(self._files_of(folder))
                run.window = self._window // 2
            elif run.last is node:
                return
            wanted = self._wanted(run, folder, node)
        for each in wanted:
            self._reader.prefetch(each, self._failed)

    def _wanted(self, run: _Run, folder: Node, node: Node) -> list[File]:
        """What is to be fetched now that *node* is read. Under the lock of this."""
        if run.order is not None and (run.last is node or run.order.is_next(run.last, node)):
            run.window = min(max(FIRST_FILES, 2 * run.window), MOST_FILES)
        elif run.order is not None and run.order.is_next(node, run.last):
            return []  # another reader of the same run, a little behind
        else:
            run.order = self._order_of(folder, run.last, node)
            run.window = FIRST_FILES if run.order is not None else 0
            run.reached = 0
        run.last = node
        self._window = run.window
        if run.order is None:
            return []
        return self._ahead(run, run.order, run.order.place_of[node.id])

    def _ahead(self, run: _Run, order: _Order, place: int) -> list[File]:
        stop = min(place + 1 + run.window, len(order.files))
        start = max(place + 1, run.reached)
        # Half of the window is left before more is asked for, so that requests leave in some number.
        if stop - start < max(1, run.window // 2) and stop < len(order.files):
            return []
        run.reached = max(run.reached, stop)
        found: list[File] = []
        room_bytes = MOST_BYTES
        for each in order.files[start:stop]:
            state = each.state
            base = state.base
            if state.draft is not None or state.content is not None or not isinstance(base, File):
                continue
            if not 0 < base.size_bytes <= min(SMALL_BYTES, room_bytes) or not base.is_downloadable:
                continue
            room_bytes -= base.size_bytes
            found.append(base)
        return found

    def _order_of(self, folder: Node, before: Node, after: Node) -> _Order | None:
        """The order in which *after* follows *before*; None: it does in none."""
        files = self._files_of(folder)
        listed = _Order(files)
        if listed.is_next(before, after):
            return listed
        if len(files) > MOST_SORTED:
            return None
        named = _Order(sorted(files, key=lambda each: each.state.name))
        return named if named.is_next(before, after) else None

    def _files_of(self, folder: Node) -> list[Node]:
        with self._account_lock:
            children = folder.folder.children if folder.folder is not None else None
            nodes = [] if children is None else list(children.values())
        return [each for each in nodes if each.folder is None]

    def _failed(self) -> None:
        self._window = 0
        self._paused_until_s = self._clock.now_s() + PAUSE_S
        with self._lock:
            self._runs.clear()
