"""What a refused removal or rename leaves behind: it is taken back here too. Inside a transaction of the
tree."""

from __future__ import annotations

from dataclasses import replace

from mountfs.model.path import fold
from mountfs.tree.bases import based_above, is_below, is_in
from mountfs.tree.childrows import load_children
from mountfs.tree.copynames import CopyNames
from mountfs.tree.node import FORGOTTEN, Node, State
from mountfs.tree.refusal import Refusal
from mountfs.tree.showing import shadow, show
from mountfs.tree.tree import Tree


def shown_again(tree: Tree, state: State, refusal: Refusal | None) -> State:
    """The state of a node that was to be removed, and is not: it is shown where it was. If a file of ours has
    that name by now, that one is shown until it leaves the name. Where its folder cannot be shown, it is not
    either: a listing shows both once the service has the folder still. What is shown already stays where it
    is: another mount had sent the removal, and something here needs the folder."""
    folder = state.base_parent
    if state.base is None or folder is None:
        return state
    if state.parent is not None:
        return replace(state, refusal=refusal)
    load_children(tree, folder)
    key = fold(state.base.name)
    if tree.child(folder, key) is not None:
        shadow(tree, folder, key)
        return FORGOTTEN
    if not show(tree, folder):
        return FORGOTTEN
    return replace(state.at(folder, state.base.name), refusal=refusal)


def moved_back(tree: Tree, copies: CopyNames, node: Node, state: State) -> State:
    """The state of *node* after its rename was refused: it has its old name again. A folder that has the old
    name by now, and was moved into *node* meanwhile, cannot stay there either."""
    folder = state.base_parent
    assert folder is not None
    holders = [each for each in based_above(folder) if each.state.base_parent is not None]
    for holder in reversed(holders):
        if is_in(holder, node):
            tree.change((holder, _at_base(tree, copies, holder, holder.state)))
    return _at_base(tree, copies, node, state)


def _at_base(tree: Tree, copies: CopyNames, node: Node, state: State) -> State:
    """*state* shown where the service has the node, or as a conflicted copy where another node has that name.
    Where its folder was removed here and cannot be shown again, or is in the node itself still, it is a copy
    in the folder that shows it."""
    folder, base = state.base_parent, state.base
    assert folder is not None
    assert base is not None
    if is_below(folder, node) or not show(tree, folder):
        assert state.parent is not None
        return state.at(state.parent, copies.name(state.parent, state.name, "conflicted"))
    load_children(tree, folder)
    taken = tree.child(folder, fold(base.name))
    if taken is None or taken is node:
        return state.at(folder, base.name)
    return state.at(folder, copies.name(folder, base.name, "conflicted"))
