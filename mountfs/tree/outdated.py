"""Listings that are out of date: by another one, or because something is not where they have it."""

from __future__ import annotations

from mountfs.model.entry import Entry
from mountfs.tree.node import Node
from mountfs.tree.tree import Tree


def outdate(tree: Tree, folder: Node) -> None:
    """The listing of *folder* is out of date: it serves only where it cannot be listed anew."""
    folder.part.listing.doubted_at = tree.store.next_id()
    tree.store.save_listing(folder.id, folder.part.listing)


def is_outdated(tree: Tree, folder: Node, entry: Entry, asked_at: int) -> bool:
    """Whether a listing of *folder*, asked for at *asked_at*, tells where *entry* was before somebody moved
    it: the folder that it is in was asked for later, and had it. Which of both the service told later, nobody
    knows; *folder* is to be listed once more."""
    node = tree.by_remote_id(entry.id)
    place = None if node is None else node.state.base_parent
    return place is not None and place is not folder and place.part.listing.listed_at > asked_at


def doubt_former(tree: Tree, folder: Node | None) -> None:
    """Something turns out to have left *folder*. If that was told by a listing whose reply took long, it may
    be there all the same, and what is listed anew finds it again."""
    if folder is None or folder.folder is None:
        return
    listing = folder.part.listing
    if 0 < listing.listed_at >= listing.doubted_at:
        outdate(tree, folder)


def doubt_circle(tree: Tree, folder: Node) -> None:
    """The service seems to have *folder* inside itself. Either somebody moved it out first (`mv a/b b; mv a
    b/a`, and b is listed before a), or the service is wrong. Both folders are listed again; until then
    nothing is put into *folder* that would close the circle."""
    for each in (folder, folder.state.base_parent):
        if each is not None:
            outdate(tree, each)
