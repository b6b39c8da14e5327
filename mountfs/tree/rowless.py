"""Edits of nodes of which the store may know nothing yet: new files that are open, or were just closed."""

from __future__ import annotations

from mountfs.tree.node import Node
from mountfs.tree.tree import Edit, Tree


def is_found(node: Node) -> bool:
    """Whether the next start finds *node*: by its row, or by a label that is about to become wrong."""
    state = node.state
    closed = (content for content in (state.content, state.draft) if content is not None)
    return node.is_saved or any(content.is_flushed for content in closed)


def apply(tree: Tree, *edits: Edit) -> None:
    """Makes *edits*; of files without a row nothing is written, and nothing is left when they are removed."""
    if any(is_found(node) for node, _ in edits):
        tree.change(*edits)
    else:
        for node, after in edits:
            tree.change_unsaved(node, after)
