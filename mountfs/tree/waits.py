"""Which nodes wait for which others to take effect first."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from itertools import islice

from mountfs.tree.node import Node


class Waits:
    """Guarded by the tree's lock. No call pays for how many wait: a wait that ends is one step, and those who
    waited are taken up later, as many at once as somebody asks for."""

    def __init__(self) -> None:
        self._waiting: dict[int, dict[int, Node]] = {}
        """By the id of what they wait for."""
        self._released: deque[tuple[Node, Iterator[Node]]] = deque()
        """What was waited for, and those whose wait for it is over."""

    def begin(self, node: Node, by: Node) -> None:
        """*node*, which is not clean, waits for *by*."""
        assert node.pending is not None
        node.pending.blocked_on = by
        self._waiting.setdefault(by.id, {})[node.id] = node

    def leave(self, node: Node) -> None:
        """*node*, which is not clean, waits for nothing."""
        assert node.pending is not None
        by, node.pending.blocked_on = node.pending.blocked_on, None
        waiting = None if by is None else self._waiting.get(by.id)
        if by is not None and waiting is not None:
            waiting.pop(node.id, None)
            if not waiting:
                del self._waiting[by.id]

    def on(self, node: Node) -> Collection[Node]:
        """What waits for *node* itself."""
        return self._waiting.get(node.id, {}).values()

    def all_on(self, node: Node) -> list[Node]:
        """What waits for *node*, and for those that do."""
        found: dict[int, Node] = {}
        todo = [node]
        while todo:
            for each in self.on(todo.pop()):
                if each.id not in found:
                    found[each.id] = each
                    todo.append(each)
        return list(found.values())

    # Waits that are over

    def end(self, node: Node) -> bool:
        """Nothing waits for *node* any more; whether anything did."""
        waiting = self._waiting.pop(node.id, None)
        if waiting:
            self._released.append((node, iter(waiting.values())))
        return bool(waiting)

    @property
    def has_ended(self) -> bool:
        """Whether there may be somebody to take up."""
        return bool(self._released)

    def take_up(self, most: int) -> Iterator[Node]:
        """Takes nodes up whose wait is over, at most so many. A node that was looked at meanwhile, and waits
        for something else or for nothing, is not among them."""
        while self._released and most:
            by, nodes = self._released[0]
            waited = list(islice(nodes, most))
            if not waited:
                self._released.popleft()
            most -= len(waited)
            for each in waited:
                if each.pending is not None and each.pending.blocked_on is by:
                    self.leave(each)
                    yield each
