"""Names for second versions of files, in folders of the tree."""

from __future__ import annotations

from mountfs.model.path import fold
from mountfs.tree.bases import claimant
from mountfs.tree.beside import name_beside
from mountfs.tree.childrows import load_children
from mountfs.tree.node import Node
from mountfs.tree.tree import Tree


class CopyNames:
    """Finds free names beside others. Under the lock."""

    def __init__(self, tree: Tree, host: str, most_chars: int) -> None:
        """*host*: stands in the names. *most_chars*: how long a name may be at the service."""
        self._tree = tree
        self._host = host
        self._most_chars = most_chars

    def name(self, folder: Node, name: str, what: str) -> str:
        """``name (WHAT copy HOST DATE).ext``, which nothing in *folder* has or is about to have, here or at
        the service as far as that is known."""
        load_children(self._tree, folder)

        def is_taken(copy: str) -> bool:
            key, tree = fold(copy), self._tree
            there = tree.child(folder, key) or claimant(folder, key) or tree.base_child(folder, key)
            return there is not None

        wall_ns = self._tree.clock.wall_ns()
        return name_beside(name, what, self._host, wall_ns, self._most_chars, is_taken)
