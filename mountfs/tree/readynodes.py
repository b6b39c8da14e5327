"""Nodes that are ready to be sent, in a queue for each kind of order."""

from __future__ import annotations

import math
from collections import OrderedDict

from mountfs.model.order import OrderKind
from mountfs.tree.node import Node


class ReadyNodes:
    """A node that is not clean is in the queue that its ``pending`` names, and in no other one. Under the
    tree's lock."""

    def __init__(self) -> None:
        self._queues: dict[OrderKind, OrderedDict[int, Node]] = {kind: OrderedDict() for kind in OrderKind}

    def enter(self, node: Node, kind: OrderKind) -> None:
        """*node*, which is in no queue, is ready for an order of *kind*."""
        assert node.pending is not None
        node.pending.queue = kind
        self._queues[kind][node.id] = node

    def leave(self, node: Node) -> None:
        """*node* is ready for nothing."""
        pending = node.pending
        if pending is None:
            for queue in self._queues.values():
                queue.pop(node.id, None)
        elif pending.queue is not None:
            self._queues[pending.queue].pop(node.id, None)
            pending.queue = None

    def first(self, kind: OrderKind) -> Node | None:
        """The node that has been ready for *kind* for the longest time."""
        return next(iter(self._queues[kind].values()), None)

    def count(self, kind: OrderKind) -> int:
        """How many nodes are ready for an order of *kind*."""
        return len(self._queues[kind])

    def oldest_s(self, kind: OrderKind) -> float:
        """Since when the oldest of these nodes is ready; ``math.inf``: there is none."""
        first = self.first(kind)
        return math.inf if first is None or first.pending is None else first.pending.ready_since_s
