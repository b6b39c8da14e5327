"""Nodes that are to be looked at again at a time of their own."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from itertools import count

from mountfs.tree.node import Node


class Timers:
    """A heap: a timer is never taken back, so that a node may have several. What is looked at too early has
    another timer set then. Under the tree's lock."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Node]] = []
        self._serial = count()

    def set(self, due_s: float, node: Node) -> None:
        """*node* is to be looked at from *due_s* on."""
        heapq.heappush(self._heap, (due_s, next(self._serial), node))

    @property
    def due_s(self) -> float:
        """When the next one expires; ``math.inf``: there is none."""
        return self._heap[0][0] if self._heap else math.inf

    def take_expired(self, now_s: float, most: int) -> Iterator[Node]:
        """Takes nodes that are not clean and whose time has come; *most*: at most so many timers are taken.
        Timers of nodes that are clean by now go early where they are the next ones."""
        for _ in range(most):
            if not self._heap or (self._heap[0][0] > now_s and self._heap[0][2].pending is not None):
                return
            _, _, node = heapq.heappop(self._heap)
            if node.pending is not None:
                yield node
