"""Listings of one folder, page by page, so that no process has a long one in memory as a whole.

A folder of which nothing is known gets rows as the pages come, and counts as listed with the last one: nobody
is shown a part of it. Of any other the entries are kept until all have come.

A listing is *plain* where each entry came once, and nothing went meanwhile. The few others are asked for anew
as a whole (``list_folder``): the service's own rules say which of two entries is right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from typing import cast

from mountfs.errors import Busy, Conflict, MountfsError
from mountfs.model.entry import Listed, Odd
from mountfs.model.pageguard import LeadsNowhere, PageGuard
from mountfs.model.path import RemotePath, fold
from mountfs.ports import Backend, FolderPage
from mountfs.tree.load import Asker, Load
from mountfs.tree.node import Node
from mountfs.tree.patience import Patience
from mountfs.tree.place import remote_path
from mountfs.tree.tree import Tree
from mountfs.tree.treewalk import TreeWalk, is_new

Take = Callable[[Sequence[Listed | None]], bool]
"""Takes the entries of a page; whether the listing is plain so far."""


class PagedListing:
    """One listing of *folder*, which the service has by *item_id*, or at *path* where that is ""."""

    def __init__(
        self,
        tree: Tree,
        backend: Backend,
        folder: Node,
        path: RemotePath,
        item_id: str,
        load: Load,
        patience: Patience,
    ) -> None:
        self._tree = tree
        self._backend = backend
        self._folder = folder
        self._path = path
        self._item_id = item_id
        self._load = load
        self._patience = patience
        self.count = 0
        """How many entries came."""

    def entries(self) -> Sequence[Listed] | None:
        """All that is in the folder; None: that is in rows, and the folder counts as listed. Raises what
        ``list_page`` does; Busy: the folder was renamed meanwhile."""
        try:
            page = self._page(None)
        except Conflict:
            return self._whole()
        if page.cursor is None and all(page.entries):
            self.count = len(page.entries)
            return cast("Sequence[Listed]", page.entries)  # as ``list_folder`` would have them
        kept: list[Listed] = []
        if page.cursor is not None and not self._load.landed and is_new(self._tree, self._folder):
            if self._is_booked(page):
                return None
        elif self._is_plain(page, _keeping(kept)):
            self.count = len(kept)
            return kept
        kept.clear()
        return self._whole()

    def _whole(self) -> Sequence[Listed]:
        whole = self._patience.asked(
            lambda: self._backend.list_folder(self._path, self._item_id),
            self._is_waited_for,
            self._load.pauses,
        )
        self.count = len(whole)
        return whole

    def _page(self, cursor: str | None) -> FolderPage:
        def ask() -> FolderPage:
            is_ahead = self._load.asker is Asker.AHEAD
            return self._backend.list_page(self._path, self._item_id, cursor, is_ahead=is_ahead)

        return self._patience.asked(ask, self._is_waited_for, self._load.pauses)

    def _is_waited_for(self) -> bool:
        """What is known of a folder that was listed before is shown instead. A program that joined a worker's
        load waits by itself: the worker has other work."""
        return self._load.beginner is Asker.PROGRAM and not self._folder.part.listing.listed_at

    def _is_plain(self, page: FolderPage, take: Take) -> bool:
        """Has *page* and all after it taken. The next one is asked for while one is taken."""
        cursor = page.cursor
        if cursor is None:
            return take(page.entries)
        guard = PageGuard("a folder")
        with ThreadPoolExecutor(1, "next-page") as ahead:
            while cursor is not None:
                try:
                    guard.check(cursor, is_new=bool(page.entries))
                except LeadsNowhere:
                    return False
                following: Future[FolderPage] = ahead.submit(self._page, cursor)
                if not take(page.entries):
                    return False
                try:
                    page = following.result()
                except Conflict:
                    return False
                cursor = page.cursor
            return take(page.entries)

    def _is_booked(self, page: FolderPage) -> bool:
        walk = TreeWalk(self._tree, self._folder, self._load.asked_at, is_deep=False)

        def book(entries: Sequence[Listed | None]) -> bool:
            if any(entry is None or isinstance(entry, Odd) for entry in entries):
                return False
            walk.book((f"/{fold(entry.name)}", "", entry) for entry in entries if entry is not None)
            return walk.fills_top and not self._load.landed

        try:
            if self._is_plain(page, book):
                self._finish(walk)
            self.count = walk.entries
            if self._folder.part.listing.listed_at == self._load.asked_at:
                return True
            walk.give_up()
            return False
        except BaseException:
            with suppress(MountfsError):
                walk.give_up()
            raise
        finally:
            walk.end()

    def _finish(self, walk: TreeWalk) -> None:
        """By its path alone, what was listed is that of the folder only if it is still there."""
        with nullcontext() if self._item_id else self._tree.lock:
            if not self._item_id and remote_path(self._folder) != self._path:
                raise Busy(f"{self._path} was renamed while it was listed")
            walk.finish(frozenset())


def _keeping(kept: list[Listed]) -> Take:
    """Adds to *kept*."""
    keys: set[str] = set()
    ids: set[str] = set()

    def keep(entries: Sequence[Listed | None]) -> bool:
        for entry in entries:
            if entry is None:
                return False
            key = fold(entry.name)
            item_id = "" if isinstance(entry, Odd) else entry.id
            if (key and key in keys) or (item_id and item_id in ids):
                return False
            keys.add(key)
            ids.add(item_id)
            kept.append(entry)
        return True

    return keep
