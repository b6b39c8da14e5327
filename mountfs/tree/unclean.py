"""The nodes that are not clean, by what status and the workers ask for."""

from __future__ import annotations

from collections import OrderedDict
from itertools import chain

from mountfs.tree import tally
from mountfs.tree.node import Node, State
from mountfs.tree.word import PENDING


class Unclean:
    """What the service is to be told, or refused; guarded by the tree's lock."""

    def __init__(self) -> None:
        self.dirty: dict[int, Node] = {}
        """What is not clean, by id, in the order in which it became so."""
        self.awaited: OrderedDict[int, Node] = OrderedDict()
        """Those of ``dirty`` that are on their way to the service, in the same order. An OrderedDict, since
        status asks for the first: a plain dictionary would walk over all that have left it."""
        self.refused: dict[int, Node] = {}
        self.set_aside: dict[int, Node] = {}
        """Those of ``dirty`` whose bytes a start set aside: recovered copies."""
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
        elif self.refused:
            self.refused.pop(node.id, None)
        if after.set_aside is not None:
            self.set_aside[node.id] = node
        elif self.set_aside:
            self.set_aside.pop(node.id, None)

    def count_all(self) -> None:
        """Everything that a start read from the store is counted for the first time."""
        clean = [node for node_id, node in self.refused.items() if node_id not in self.dirty]
        for node in tally.count_all(chain(self.dirty.values(), clean)):
            self.awaited[node.id] = node

    def note_word(self, node: Node) -> None:
        """How far *node* is on its way may have changed."""
        if node.counted is None or node.counted[0] not in PENDING:
            self.awaited.pop(node.id, None)
        else:
            self.awaited.setdefault(node.id, node)

    def note_error(self, node: Node, error: str | None) -> None:
        """Notes what the last attempt to send *node* met; None: it went well, or the node changed since."""
        if node.pending is not None and node.pending.error != error:
            node.pending.error = error
        if error is not None and node.pending is not None:
            self.troubled[node.id] = node
        else:
            self.troubled.pop(node.id, None)
