"""Ways to folders that the service's changes name: what came into one of them may be ours, and is not left to
whoever looks there first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from cachetools import LRUCache

from mountfs.errors import MountfsError, Transient
from mountfs.model.entry import Doubted, Folder, News, Seen
from mountfs.model.path import RemotePath, fold
from mountfs.tree.chunks import chunks
from mountfs.tree.folderpaths import FolderPaths
from mountfs.tree.listings import Listings
from mountfs.tree.node import Node
from mountfs.tree.remote import is_untouched
from mountfs.tree.tree import Tree

AT_ONCE = 100
"""Changes looked at in one hold of the lock: nobody waits for it longer than that takes (5 ms)."""
FOLDERS_KEPT = 1_000
"""Folders that were told of by their ids, and in which something may be told of later."""

Way = tuple[Node, tuple[str, ...]]
"""The nearest folder that is known, of those above something, and the names from there on."""


class Ways:
    """Used by the thread that notes the changes."""

    def __init__(self, tree: Tree, listings: Listings, paths: FolderPaths) -> None:
        self._tree = tree
        self._listings = listings
        self._paths = paths
        self._folders: LRUCache[str, Seen] = LRUCache(FOLDERS_KEPT)
        """The last changes of folders that were told of by their ids: no path tells the way to what is in one
        of them."""

    def to(self, path: RemotePath) -> Way:
        """The way to the folder at *path*. Under the lock."""
        above = next(each for each in (path, *path.ancestors()) if each.is_root or self._paths.at(each))
        known = self._paths.at(above) or self._tree.root
        return known, path.components[len(above.components) :]

    def look_along(self, way: Way, listed: set[int]) -> bool:
        """Lists the folders on *way* but for those in *listed*, by their nodes, and notes them there. False:
        one of them cannot be listed just now."""
        at: Node | None = way[0]
        for name in (*way[1], ""):
            if at is None or at.folder is None:
                break
            try:
                if at.id not in listed:
                    at = self._listings.relist(at)
                    listed.add(at.id)
            except Transient:
                return False
            with self._tree.lock:
                if at.part.listing.was_tried:
                    return False
                at = self._tree.base_child(at, fold(name))
        return True

    def look_first(self, news: Sequence[News]) -> None:
        """Looks into the folders into which others moved something of ours, before *news* are noted. Were the
        folder that it has left listed before, it would be lost with what was done here; while that one is not
        doubted, no program has it listed. Should the process die meanwhile, the same changes are read again.
        """
        seen = [one for one in news if isinstance(one, Seen)]
        for one in seen:
            if one.path is None and isinstance(one.entry, Folder):
                self._folders[one.entry.id] = one
        moved: list[Seen] = []
        for part in chunks({one.entry.id: one for one in seen}.values(), AT_ONCE):
            with self._tree.lock:
                moved += [one for one in part if self._is_ours(one)]
        self._paths.read_names(folders_of(moved))
        ways: dict[tuple[int | str, ...], Way] = {}
        for part in chunks(moved, AT_ONCE):
            with self._tree.lock:
                self._paths.begin_part()
                for way in filter(None, map(self._new_way, part)):
                    ways[way[0].id, *way[1]] = way
        listed: set[int] = set()
        for way in ways.values():
            with suppress(MountfsError):
                self.look_along(way, listed)

    def _is_ours(self, news: Seen) -> bool:
        """Whether something was done here with what *news* tell of. What is on its way, its order finds."""
        node = self._tree.by_remote_id(news.entry.id)
        return node is not None and node.state.flight is None and not is_untouched(self._tree, node)

    def _new_way(self, news: Seen) -> Way | None:
        """The way to the folder that has what *news* tell of; None where that is where it was, or where
        nothing above it is known."""
        node = self._tree.by_remote_id(news.entry.id)
        before = None if node is None else node.state.base_parent
        if before is None:
            return None
        if news.path is not None:
            folder = news.path.parent
            is_there = self._paths.at(folder) is before or before in self._paths.formerly_at(folder)
            return None if is_there else self.to(folder)
        names: list[str] = []
        folder_id, passed = news.folder_id, set[str]()
        while (at := self._tree.by_remote_id(folder_id)) is None:
            told = self._folders.get(folder_id)
            if told is None or folder_id in passed:
                return None
            passed.add(folder_id)
            names.insert(0, told.entry.name)
            folder_id = told.folder_id
        return None if at is before and not names else (at, tuple(names))


def folders_of(news: Iterable[News]) -> Iterable[RemotePath]:
    """The folders that *news* are about, each once, of those that name its path."""
    paths = (one.path if isinstance(one, Doubted) or one.path is None else one.path.parent for one in news)
    return {path.key: path for path in paths if path is not None}.values()
