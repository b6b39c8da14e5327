"""What the service brought back is shown at once, without listing its folder: that may have a hundred
thousand other files."""

from __future__ import annotations

from mountfs.model.entry import Entry, File, Folder
from mountfs.model.path import fold
from mountfs.tree.bases import is_attached
from mountfs.tree.childrows import held
from mountfs.tree.feed import CURSOR
from mountfs.tree.listings import Listings
from mountfs.tree.node import Node
from mountfs.tree.remote import stands
from mountfs.tree.tree import Tree


class BroughtBack:
    """Made before the service is asked to bring something back into *folder*."""

    def __init__(self, tree: Tree, listings: Listings, folder: Node) -> None:
        self._tree = tree
        self._listings = listings
        self._folder = folder
        with tree.lock:
            self._position = tree.store.fact(CURSOR)

    def show(self, entry: Entry) -> bool:
        """Shows that *entry* stands in the folder; a file also where another version of it was known. False:
        the folder has to be listed. News arrived meanwhile, and *entry* may be older than those; or others
        had removed another folder of that name."""
        tree, folder = self._tree, self._folder
        with held(tree, [folder]), tree.transaction():
            if tree.store.fact(CURSOR) != self._position or not is_attached(folder):
                return False
            known = tree.base_child(folder, fold(entry.name))
            if known is not None and isinstance(entry, Folder) and _id_of(known) != entry.id:
                return False
            if isinstance(entry, File) or known is None:
                # Who lists the folder just now may have been told of it as gone.
                self._listings.landed(folder, entry.name)
                if self._listings.is_stale(folder):
                    return True  # it is listed at the next look
                stands(tree, folder, entry)
        return True

    def doubt_below(self, name: str) -> None:
        """Something came back below what is called *name* in the folder: nobody knows what."""
        with self._tree.transaction():
            node = self._tree.base_child(self._folder, fold(name))
            if node is not None and node.folder is not None:
                self._listings.doubt_below(node)


def _id_of(node: Node) -> str:
    return node.state.base.id if isinstance(node.state.base, Folder) else ""
