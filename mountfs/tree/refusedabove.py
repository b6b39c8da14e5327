"""What was refused in a new folder that was refused itself."""

from __future__ import annotations

from dataclasses import replace

from mountfs.tree.node import Node, Pending
from mountfs.tree.order import new_folders_above
from mountfs.tree.tree import Tree
from mountfs.tree.word import is_refused


def reconsidered(tree: Tree, node: Node, pending: Pending) -> Node | None:
    """Lets go of the refusal of *node*, which is refused, where that of a new folder above it is over: such a
    folder is tried again under another name, with all that was refused in it. Example: `mkdir d; touch d/x`,
    both refused; after `mv d e` e and e/x are sent. A recovered copy in d is not.

    Returns the new folder above *node* at whose next change this is to be asked again; None: there is none.
    """
    above = new_folders_above(node)
    if not above or node.state.set_aside is not None:
        return None
    refused = next((folder for folder in reversed(above) if is_refused(folder)), None)
    if refused is not None:
        pending.fails_with = refused
    elif pending.fails_with in above and _is_renamed(pending.fails_with):
        pending.fails_with = None
        tree.change((node, replace(node.state, refusal=None)))
        return None
    return refused or above[-1]


def _is_renamed(node: Node) -> bool:
    return node.pending is not None and node.pending.is_renamed
