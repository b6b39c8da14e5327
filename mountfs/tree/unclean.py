"""Which nodes are not clean, in what respect, and since when: what status and workers go through."""

from __future__ import annotations

from collections import OrderedDict
from itertools import chain

from mountfs.tree import tally
from mountfs.tree.node import Node, State
from mountfs.tree.word import PENDING


class Unclean:
    """The tree's books of what the service is to be told, or will not be told; guarded by its lock."""

    def __init__(self) -> None:
        self.dirty: dict[int, Node] = {}
        """What is not clean, by id, in the order in which it became so."""
        self.awaited: OrderedDict[int, Node] = OrderedDict()
        """Those of them that are on their way to the service, likewise. Status asks for the first: a plain
        dictionary finds that by a walk over all that have left it."""
        self.refused: dict[int, Node] = {}
        self.set_aside: dict[int, Node] = {}
        """Those of them whose bytes a start set aside: recovered copies."""
        self.troubled: OrderedDict[int, Node] = OrderedDict()
        """Nodes whose last attempt met an error, and that will be tried again."""

    def note(self, node: Node, after: State, *, is_dirty: bool) -> None:
        """*node* has the state *after* now."""
        if is_dirty:
            self.dirty.setdefault(node.id, node)
        else:
            self.dirty.pop(node.id, None)
            self.troubled.pop(node.id, None)
        if after.refusal is not None:
            self.refused[node.id] = node
            self.troubled.pop(node.id, None)
        else:
            self.refused.pop(node.id, None)
        if after.set_aside is not None:
            self.set_aside[node.id] = node
        else:
            self.set_aside.pop(node.id, None)

    def count_all(self) -> None:
        """All that was read from the store is counted, for the first time."""
        clean = [node for node_id, node in self.refused.items() if node_id not in self.dirty]
        for node in tally.count_all(chain(self.dirty.values(), clean)):
            self.awaited[node.id] = node

    def note_word(self, node: Node) -> None:
        """It was counted anew."""
        if node.counted is None or node.counted[0] not in PENDING:
            self.awaited.pop(node.id, None)
        else:
            self.awaited.setdefault(node.id, node)

    def note_error(self, node: Node, error: str | None) -> None:
        """What the last attempt with it met; None: it went well, or nothing was tried since it changed."""
        if node.pending is not None:
            node.pending.error = error
        if error is not None and node.pending is not None:
            self.troubled[node.id] = node
        else:
            self.troubled.pop(node.id, None)
