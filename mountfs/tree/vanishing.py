"""Folders with something of ours in them that the service does not have any more.

What is ours in such a folder is kept, and all else in it goes. ``lose`` does both in one transaction: a
second under the account's lock where the folder has 30,000 entries.
"""

from __future__ import annotations

from mountfs.tree import tally
from mountfs.tree.childrows import held
from mountfs.tree.chunks import chunks
from mountfs.tree.node import Node
from mountfs.tree.remote import lose, outdate
from mountfs.tree.tree import Tree


def lose_within(tree: Tree, top: Node) -> None:
    """Loses what is in *top*, and below, a part at a time: ``lose`` of *top* itself is to follow, and then
    takes few steps. Without the lock.

    Until then the folders are known to be out of date: if the process dies in between, they are listed again.
    """
    way = [top]
    removed: list[tuple[Node, Node | None]] = []
    """Folders that were removed here, each with the one that it was in."""
    while way:
        folder = way.pop()
        if not _has_ours(folder):
            continue
        with held(tree, [folder]):
            with tree.transaction():
                if not _may_be_lost(folder):
                    continue
                if folder.state.parent is None and folder is not top:
                    removed.append((folder, folder.state.base_parent))
                outdate(tree, folder)
                known = [*(folder.part.children or {}).values(), *(folder.part.gone or {}).values()]
            for part in chunks(known):
                with tree.transaction():
                    for child in part:
                        if child.state.base is None or child.state.base_parent is not folder:
                            continue
                        if child.folder is not None and _has_ours(child):
                            way.append(child)
                        else:
                            lose(tree, child)
    for pairs in chunks(reversed(removed)):  # those that are in others first
        with tree.transaction():
            for each, holder in pairs:
                if each.state.parent is None and each.state.base_parent is holder:
                    lose(tree, each)


def _may_be_lost(folder: Node) -> bool:
    """Whether ``lose`` would lose *folder*, were it asked to: `rm -r d` here and there makes all that is in d
    be removed twice."""
    state = folder.state
    return state.base is not None and state.base_parent is not None and state.flight is None


def _has_ours(folder: Node) -> bool:
    return tally.has_any(folder) or folder.part.gone is not None
