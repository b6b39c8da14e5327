"""Nodes whose attributes the log has (``attributelog``), until their rows say so."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from mountfs.tree.attributelog import AttributeLog
from mountfs.tree.kept import Kept
from mountfs.tree.node import Node, State


def keeping(state: State, kept: Kept) -> State:
    """*state* with other attributes: ``dataclasses.replace`` at a fifth of its cost."""
    return State(
        state.parent,
        state.name,
        state.base_parent,
        state.base,
        state.content,
        state.draft,
        state.mtime_ns,
        state.refusal,
        state.flight,
        kept,
    )


class Noted:
    """Under the tree's lock. The nodes stay in memory meanwhile, for their rows are out of date."""

    def __init__(self, log: AttributeLog) -> None:
        self._log = log
        self._nodes: dict[int, Node] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def note(self, node: Node, kept: Kept) -> bool:
        """Gives *node*, which has a row, other attributes; False: the log does not take them."""
        if not self._log.add(node.id, kept):
            return False
        # Nothing is derived from them: it needs neither a transaction nor a listener.
        node.state = keeping(node.state, kept)
        if node.id not in self._nodes:
            self._nodes[node.id] = node
            node.pins += 1
        return True

    def some(self, most: int) -> list[Node]:
        """At most so many of them, oldest first."""
        return list(islice(self._nodes.values(), most))

    def saved(self, nodes: Sequence[Node]) -> None:
        """Their rows were written."""
        for node in nodes:
            del self._nodes[node.id]
            node.pins -= 1
        if not self._nodes:
            self._log.clear()
