"""Which folders the service has in a folder whose children are not in memory, by their names.

To go through the rows for each name would take as long as names and rows are many, and there is no index: the
names of the rows are not folded.
"""

from __future__ import annotations

from mountfs.model.path import fold
from mountfs.tree.chunks import CHUNK
from mountfs.tree.node import Node, State
from mountfs.tree.tree import Tree


class FolderNames:
    """Of folders that were asked for since ``clear``, kept up to date. Under the tree's lock."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._known: dict[int, dict[str, int]] = {}
        """Ids by folded name, by the id of the folder they are in. What has left it may be among them."""
        self._read_to: dict[int, int] = {}
        """Up to which id those folders were read that were read in part."""
        tree.watch(self._changed)
        tree.store.walked.on_folder = self._note

    def clear(self) -> None:
        self._known.clear()
        self._read_to.clear()

    def has_all(self, folder: Node) -> bool:
        """Whether ``find`` reads nothing of *folder* but one row."""
        return folder.id in self._known and folder.id not in self._read_to

    def read_part(self, folder: Node) -> None:
        """Reads the next CHUNK of what is in *folder*."""
        names = self._known.setdefault(folder.id, {})
        after_id = self._read_to.get(folder.id, 0)
        found, last_id = self._tree.store.walked.folders_in(folder.id, after_id=after_id, most=CHUNK)
        for node_id, name in found:
            names[fold(name)] = node_id
        if last_id is None:
            self._read_to.pop(folder.id, None)
        else:
            self._read_to[folder.id] = last_id

    def find(self, folder: Node, key: str) -> Node | None:
        """The folder that the service has in *folder* under a folded name."""
        while not self.has_all(folder):
            self.read_part(folder)
        tree = self._tree
        node_id = self._known[folder.id].get(key, 0)
        row = tree.store.node(node_id) if node_id else None
        if row is None or row.base is None or row.base_parent != folder.id or fold(row.base.name) != key:
            return None
        return tree.enter_row(row, tree.store.listing(row.id))

    def _changed(self, node: Node, _before: State, after: State) -> None:
        base, parent = after.base, after.base_parent
        if self._known and node.folder is not None and base is not None and parent is not None:
            self._note(node.id, parent.id, base.name)

    def _note(self, node_id: int, parent_id: int, name: str) -> None:
        names = self._known.get(parent_id)
        if names is not None:
            names[fold(name)] = node_id


def is_in_rows(folder: Node) -> bool:
    """Whether what is in *folder* is known, and not in memory."""
    return folder.part.children is None and bool(folder.part.listing.listed_at)
