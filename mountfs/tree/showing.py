"""Where the mount shows again what was removed here, or cannot show what the service has."""

from __future__ import annotations

from mountfs.model.entry import File
from mountfs.model.path import fold
from mountfs.tree.childrows import load_children
from mountfs.tree.node import ROOT_ID, Node, State, above, forgotten, path_of
from mountfs.tree.tree import Tree


def show(tree: Tree, folder: Node, *, is_told: bool = True) -> bool:
    """Has *folder* shown, since something in it is to be: it is shown again, with those above it, if it was
    removed here and the service still has it. Inside a transaction.

    False where that cannot be: its removal is on its way, something else has its name by now, or it has
    vanished. What would be put into it all the same would vanish with it, and bytes of ours too. Example: `mv
    d/f g; rmdir d`, the service refuses the rename, and f is in d still. *is_told*: whether a notice tells.
    """
    removed: list[Node] = []
    for at in above(folder):
        state = at.state
        if state.parent is not None or at.id == ROOT_ID:
            continue
        if state.base is None or state.base_parent is None or state.flight is not None:
            return False
        load_children(tree, state.base_parent)
        if tree.child(state.base_parent, fold(state.base.name)) is not None:
            return False
        removed.append(at)
    for at in reversed(removed):
        base, parent = at.state.base, at.state.base_parent
        assert base is not None
        if is_told:
            tree.notice(path_of(at), "not removed: it is not empty any more")
        tree.change((at, at.state.at(parent, base.name)))
    return True


def spare(tree: Tree, node: Node, folder: Node, entry: File) -> None:
    """Somebody changed *node*, a file that was removed here, to *entry*. Nobody here saw that version, so the
    file is not removed, and is shown again. Inside a transaction."""
    tree.notice(path_of(node), "not removed: somebody else changed it meanwhile")
    key = fold(entry.name)
    load_children(tree, folder)
    if tree.child(folder, key) is not None:
        shadow(tree, folder, key)
        tree.change((node, forgotten(node.state)))
    elif not show(tree, folder):
        tree.change((node, forgotten(node.state)))
    else:
        tree.change((node, State(folder, entry.name, folder, entry, kept=node.state.kept)))


def shadow(tree: Tree, folder: Node, key: str) -> None:
    """The service has something under a name that a node of ours has. Inside a transaction."""
    listing = folder.part.listing
    if listing.shadows is None:
        listing.shadows = set()
    listing.shadows.add(key)
    tree.store.save_listing(folder.id, listing)
