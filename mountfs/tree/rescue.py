"""What a bug left in a folder that has vanished: it can be sent to no place, and nobody can look at it."""

from __future__ import annotations

from dataclasses import replace

from mountfs.tree import tally
from mountfs.tree.copynames import CopyNames
from mountfs.tree.node import Node, State, forgotten, path_of
from mountfs.tree.refusal import Refusal
from mountfs.tree.tree import Tree
from mountfs.tree.unsent import as_unsent

VANISHED = "the folder it was in has vanished"


class Rescue:
    """Shows it as a recovered copy at the top of the account, published by nobody, until somebody renames
    it."""

    def __init__(self, tree: Tree, copies: CopyNames) -> None:
        self._tree = tree
        self._copies = copies

    def __call__(self, node: Node) -> None:
        """Under the lock."""
        tree, state = self._tree, node.state
        with tree.transaction():
            if state.content is None and state.draft is None and not (node.folder and tally.has_any(node)):
                tree.change((node, forgotten(state)))
                return
            name = self._copies.name(tree.root, state.name, "recovered")
            content = state.content
            if content is not None:
                content = replace(as_unsent(tree, content), over=None)
            refusal = None if content is None else Refusal(None, VANISHED, tree.clock.wall_ns())
            after = State(tree.root, name, None, None, content, state.draft, None, refusal, kept=state.kept)
            tree.change((node, after))
            tree.notice(path_of(node), f"{VANISHED}; what there is, is in {name}")
