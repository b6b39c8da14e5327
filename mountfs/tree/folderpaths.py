"""Which folders the service's changes mean by the paths that they name.

A path may lead through folders whose children are in rows alone, through a folder that an order on its way
makes, and to where a folder was until a move of ours took effect.
"""

from __future__ import annotations

from collections.abc import Iterable

from mountfs.model.order import OrderKind
from mountfs.model.path import RemotePath, fold
from mountfs.tree.bases import claimant, is_attached
from mountfs.tree.foldernames import FolderNames, is_in_rows
from mountfs.tree.formerplaces import FormerPlaces
from mountfs.tree.node import Node
from mountfs.tree.remote import hear
from mountfs.tree.tree import Tree


class FolderPaths:
    """Folders by the service's paths of them, while the changes of a page are noted. Under the tree's
    lock."""

    def __init__(self, tree: Tree, former_places: FormerPlaces) -> None:
        self._tree = tree
        self._former_places = former_places
        self._in_rows = FolderNames(tree)
        self._found: dict[str, Node | None] = {}
        """Nodes of folders by the keys of their paths, since ``begin_part``."""

    def clear(self) -> None:
        """Forgets the rows that were read: a page begins, or has ended."""
        self._in_rows.clear()

    def begin_part(self) -> None:
        """Some changes of the page are noted next, in one transaction: for so long each path is looked up
        once."""
        self._found.clear()

    def read_names(self, paths: Iterable[RemotePath]) -> None:
        """Reads which folders are in those that *paths* lead through, and that are not in memory, a part at a
        time. Without the lock."""
        for path in paths:
            while True:
                with self._tree.lock:
                    folder = self._unread_on(path)
                    if folder is None:
                        break
                    self._in_rows.read_part(folder)

    def _unread_on(self, path: RemotePath) -> Node | None:
        """A folder on the way to *path* of which ``_child`` would have much to read."""
        at = self._tree.root
        for key in map(fold, path.components):
            claiming = claimant(at, key)
            if claiming is not None and _is_being_made(claiming):
                at = claiming
                continue
            if self._tree.base_child(at, key) is None and is_in_rows(at) and not self._in_rows.has_all(at):
                return at
            below = self._child(at, key)
            if below is None or below.folder is None:
                return None
            at = below
        return None

    def at(self, path: RemotePath) -> Node | None:
        """The node of the folder at *path*, also of one that an order on its way makes; None for one that was
        never listed."""
        if path.key not in self._found:
            self._found[path.key] = self._walk(path)
        return self._found[path.key]

    def _walk(self, path: RemotePath) -> Node | None:
        at = self._tree.root
        for name in path.components:
            key = fold(name)
            claiming = claimant(at, key)
            if claiming is not None and _is_being_made(claiming):
                at = claiming  # what others put into it is noted with it, what we do with our orders
                continue
            if claiming is not None:
                hear(claiming, None)
            below = self._child(at, key)
            if below is None or below.folder is None:
                return None
            at = below
        return at

    def formerly_at(self, path: RemotePath | None) -> list[Node]:
        """Folders that had *path* until a move of ours took effect, which the news do not know of yet.
        Something else may have the path by now: `mv d e; mkdir d`. News that name it may be of either, so
        that no id is taken from them, and both are doubted."""
        if path is None or not self._former_places:
            return []
        at = {self._tree.root.id: (self._tree.root, False)}
        for name in path.components:
            key, below = fold(name), dict[int, tuple[Node, bool]]()
            for folder, has_left in at.values():
                moved = self.moved_from(folder, key)
                for node, is_former in ((self._child(folder, key), has_left), (moved, True)):
                    if node is not None and node.folder is not None:
                        below.setdefault(node.id, (node, is_former))
            at = below
        return [folder for folder, has_left in at.values() if has_left]

    def _child(self, folder: Node, key: str) -> Node | None:
        """What the service has in *folder* under a folded name, as far as is known."""
        child = self._tree.base_child(folder, key)
        return self._in_rows.find(folder, key) if child is None and is_in_rows(folder) else child

    def moved_from(self, folder: Node, key: str) -> Node | None:
        """The folder that was there until a move of ours took effect, which this news does not know of."""
        node_id = self._former_places.node_id(folder, key)
        node = None if node_id is None else self._tree.node(node_id)
        return node if node is not None and is_attached(node) else None


def _is_being_made(node: Node) -> bool:
    """Whether an order on its way makes the folder *node*, and nothing stands in its place yet."""
    flight = node.state.flight
    is_made = flight is not None and flight.kind is OrderKind.MAKE_FOLDER
    return is_made and node.folder is not None and node.state.base is None
