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
    while way:
        folder = way.pop()
        if not _has_ours(folder):
            continue
        with held(tree, [folder]):
            with tree.transaction():
                if not _is_kept(folder):
                    continue
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


def _is_kept(folder: Node) -> bool:
    """Whether *folder* is shown, and would be lost if ``lose`` was asked to."""
    state = folder.state
    has_base = state.base is not None and state.base_parent is not None
    return has_base and state.parent is not None and state.flight is None


def _has_ours(folder: Node) -> bool:
    return tally.has_any(folder) or folder.part.gone is not None
