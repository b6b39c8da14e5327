"""Which nodes wait by themselves after they failed, and for how long."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from mountfs.errors import MountfsError, Transient
from mountfs.model.pacing import ALONE, USUAL, Pace, delay_s
from mountfs.ports import Clock
from mountfs.tree.node import Node, Pending
from mountfs.tree.tree import Tree

SHORT_EACH_S = 1.0
"""Of files that somebody else has no room for one is tried in so long: their bytes travel each time."""


class HeldBack:
    """A node that is held back is in no batch until its time is over, and keeps no other one waiting. Any
    thread; takes the tree's lock."""

    def __init__(self, tree: Tree, clock: Clock) -> None:
        self._tree = tree
        self._clock = clock
        self._short: dict[int, Node] = {}
        """Files that were refused for want of room though the account has some, and were not taken since."""

    def hold_back(self, node: Node, error: MountfsError | None, pace: Pace = USUAL) -> None:
        """Keeps *node* waiting, and no other, after it failed. *error* may say for how long; None: nothing
        does, or that time is over."""
        retry_after_s = error.retry_after_s if isinstance(error, Transient) else None
        with self._tree.lock:
            pending = node.pending
            if pending is not None:
                wait_s = delay_s(pending.attempts + 1, retry_after_s, self._clock.jitter(), pace)
                pending.held_until_s = self._clock.now_s() + wait_s

    def hold_short(self, node: Node, error: MountfsError) -> None:
        """The same for want of somebody else's room: ever longer, and the longer the more files there are."""
        self.hold_back(node, error, ALONE)
        with self._tree.lock:
            for first in [*islice(self._short.values(), 2)]:
                del self._short[first.id]
                if first.pending is not None:  # else it was removed meanwhile
                    self._short[first.id] = first
            self._short[node.id] = node
            pending = node.pending
            if pending is not None:
                least_s = self._clock.now_s() + SHORT_EACH_S * len(self._short)
                pending.held_until_s = max(pending.held_until_s, least_s)

    def note_taken(self, nodes: Iterable[Node]) -> None:
        """The service took *nodes*. Was there no room for one of them before, the others may fit by now."""
        with self._tree.lock:
            if not any(self._short.pop(node.id, None) for node in nodes):
                return
            others, self._short = self._short, {}
            for node in others.values():
                if node.pending is not None:
                    node.pending.held_until_s = Pending.held_until_s
                    self._tree.planner.touch(node)
