"""Those that are told what a transaction changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from mountfs.tree.node import Node, State, path_of

LOG = logging.getLogger(__name__)

Listener = Callable[[Node, State, State], None]
"""Called with (node, before, after) for each node that a transaction changed, under the lock, after it is in
the database."""

Undo = tuple[Node, State, bool]
"""A node, its state before a change, and whether the store had a row of it."""


class Listeners:
    """Those that watch a tree, in the order in which they began."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._of_outcomes: list[Listener] = []

    def add(self, listener: Listener, *, of_outcomes: bool = False) -> None:
        """*of_outcomes*: only where a flight has ended is it told. A file that is copied in changes six
        times, and one of those is an outcome."""
        (self._of_outcomes if of_outcomes else self._listeners).append(listener)

    def tell(self, changes: Sequence[Undo]) -> None:
        """Once of each node, whatever happened to it in between."""
        if len(changes) == 1:
            [(node, before, _)] = changes
            if node.state is not before:
                self._tell_of(node, before)
            return
        first: dict[int, tuple[Node, State]] = {}
        for node, before, _ in changes:
            first.setdefault(node.id, (node, before))
        for node, before in first.values():
            if node.state is not before:
                self._tell_of(node, before)

    def _tell_of(self, node: Node, before: State) -> None:
        self._tell_all(self._listeners, node, before)
        if before.flight is not None and node.state.flight is None:
            self._tell_all(self._of_outcomes, node, before)

    def _tell_all(self, listeners: Sequence[Listener], node: Node, before: State) -> None:
        for listener in listeners:
            try:
                listener(node, before, node.state)
            except Exception:
                # Node and row agree. The listener missed a change: a bug, which must not undo what was done.
                LOG.exception("a listener failed at %s", path_of(node))
