"""Refused removals and renames have no effect here either: where they leave a node.

Everything here belongs into a transaction of the tree.
"""

from __future__ import annotations

from dataclasses import replace

from mountfs.model.path import fold
from mountfs.tree.copies import Copies
from mountfs.tree.node import FORGOTTEN, Node, Refusal, State
from mountfs.tree.remote import is_in, load_children, shadow
from mountfs.tree.tree import Tree


def shown_again(tree: Tree, state: State, refusal: Refusal | None) -> State:
    """What was to be removed is where it was, unless something of ours has the name by now: that shows, until
    it leaves the name."""
    folder = state.base_parent
    if state.base is None or folder is None:
        return state
    load_children(tree, folder)
    key = fold(state.base.name)
    if tree.child(folder, key) is not None:
        shadow(tree, folder, key)
        return FORGOTTEN
    return replace(state.at(folder, state.base.name), refusal=refusal)


def moved_back(tree: Tree, copies: Copies, node: Node, state: State) -> State:
    """A rename that did not happen is undone here. Folders that hold the old name, and were moved into *node*
    meanwhile, cannot go there either."""
    folder = state.base_parent
    assert folder is not None
    holders: list[Node] = []
    at: Node | None = folder
    while at is not None and at.state.base_parent is not None:
        holders.append(at)
        at = at.state.base_parent
    for holder in reversed(holders):
        if is_in(holder, node):
            tree.change((holder, _at_base(tree, copies, holder, holder.state)))
    return _at_base(tree, copies, node, state)


def _at_base(tree: Tree, copies: Copies, node: Node, state: State) -> State:
    """Shown where the service has it, or beside, where its name was given to something else."""
    folder, base = state.base_parent, state.base
    assert folder is not None
    assert base is not None
    load_children(tree, folder)
    taken = tree.child(folder, fold(base.name))
    if taken is None or taken is node:
        return state.at(folder, base.name)
    return state.at(folder, copies.name(folder, base.name, "conflicted"))
