"""Files that somebody has locked at the service: when those that were refused for it are tried again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mountfs.errors import Locked
from mountfs.model.entry import Gone, News, Seen
from mountfs.model.order import MAKES_A_FILE
from mountfs.model.pacing import Pace, grown_s
from mountfs.tree.node import Node
from mountfs.tree.tree import Tree
from mountfs.tree.word import is_refused

TRIES = Pace(first_s=15.0, longest_s=3600.0)
"""A person holds a lock for minutes or days, and each try may send the bytes: 30 tries on the first day."""
TOLD = Pace(first_s=15.0, longest_s=600.0)
"""While the service tells of changes: who holds the lock may save once a minute for a day, and
only the last event is that of the unlocking."""
TOLD_KEPT_S = 3600.0
"""After so long without an event the next one has the file tried at once again."""


@dataclass(slots=True)
class _Wait:
    node: Node
    refused_ns: int
    """When the refusal that it waits after was noted; tells it from the next one."""
    tries: int
    due_s: float
    told: int = 0
    """So many tries since the service began to tell of changes."""
    told_s: float = -math.inf
    """When it did last."""


class LockedFiles:
    """A restart begins to count anew."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._waits: dict[int, _Wait] = {}

    def try_again(self, node: Node, now_s: float) -> float:
        """Has the refused *node* sent again if that is due. When to ask again; ``math.inf``: that was told
        before, or it is sent now, or was refused for another reason. Under the tree's lock."""
        refusal = node.state.refusal
        if refusal is None or refusal.cause is not Locked or refusal.kind not in MAKES_A_FILE:
            return math.inf
        wait = self._waits.get(node.id)
        if wait is None or wait.refused_ns != refusal.wall_ns:
            wait = self._waits[node.id] = _next(node, refusal.wall_ns, now_s, wait)
            return wait.due_s
        if wait.due_s > now_s:
            return math.inf
        self._tree.change((node, replace(node.state, refusal=None)))
        return math.inf

    def forget(self, node: Node) -> None:
        """*node* is clean, or gone. Under the tree's lock."""
        self._waits.pop(node.id, None)

    def heard(self, news: Sequence[News]) -> None:
        """The service told of changes. A file that one of them names is tried at once, for its lock may be
        gone; if it was so before, and in vain, as soon as TOLD allows. Any thread."""
        with self._tree.lock:
            if not self._waits:
                return
            named = {each.entry.id if isinstance(each, Seen) else each.item_id for each in _of_items(news)}
            for wait in self._waits.values():
                base = wait.node.state.base
                if base is None or base.id not in named:
                    continue
                wait.told_s = self._tree.clock.now_s()
                if not wait.told:
                    wait.due_s = -math.inf
                    if is_refused(wait.node):
                        self._tree.planner.touch(wait.node)


def _next(node: Node, refused_ns: int, now_s: float, before: _Wait | None) -> _Wait:
    """The wait after one more try was refused; *before*: the one that led to it."""
    if before is None:
        return _Wait(node, refused_ns, 1, now_s + grown_s(1, TRIES))
    tries, pause_s, told = before.tries + 1, grown_s(before.tries + 1, TRIES), 0
    if now_s - before.told_s < TOLD_KEPT_S:
        told = before.told + 1
        pause_s = min(pause_s, grown_s(told, TOLD))
    return _Wait(node, refused_ns, tries, now_s + pause_s, told, before.told_s)


def _of_items(news: Sequence[News]) -> list[Seen | Gone]:
    return [each for each in news if isinstance(each, Seen | Gone)]
