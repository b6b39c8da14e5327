"""The nodes that are not clean, by what status and the workers ask for."""

from __future__ import annotations

from collections import OrderedDict
from itertools import chain

from mountfs.tree import tally
from mountfs.tree.node import Node, State
from mountfs.tree.word import PENDING, is_leaving


class Unclean:
    """What the service is to be told, or refused; guarded by the tree's lock."""

    def __init__(self) -> None:
        self.dirty: dict[int, Node] = {}
        """What is not clean, by id, in the order in which it became so."""
        self.awaited: OrderedDict[int, Node] = OrderedDict()
        """Those of ``dirty`` that are on their way to the service, in the same order. An OrderedDict, since
        status asks for the first: a plain dictionary would walk over all that have left it."""
        self.refused: dict[int, Node] = {}
        self.leaving: dict[int, OrderedDict[int, Node]] = {}
        """Those of ``dirty`` that are folders which go if nothing is in them, by the folder that shows them:
        the service refused nothing of them."""
        self._leaves: dict[int, int] = {}
        """The ids of those, and of that folder of each."""
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
        leaves = after.parent if is_leaving(after) else None
        if self._leaves or leaves is not None:
            self._note_leaving(node, leaves)
        if after.refusal is not None and leaves is None:
            self.refused[node.id] = node
            self.troubled.pop(node.id, None)
        elif self.refused:
            self.refused.pop(node.id, None)
        if after.set_aside is not None:
            self.set_aside[node.id] = node
        elif self.set_aside:
            self.set_aside.pop(node.id, None)

    def _note_leaving(self, node: Node, folder: Node | None) -> None:
        former = self._leaves.pop(node.id, None)
        if former is not None:
            del self.leaving[former][node.id]
            if not self.leaving[former]:
                del self.leaving[former]
        if folder is not None:
            self.leaving.setdefault(folder.id, OrderedDict())[node.id] = node
            self._leaves[node.id] = folder.id

    def count_all(self) -> None:
        """Everything that a start read from the store is counted for the first time."""
        clean = [node for node_id, node in self.refused.items() if node_id not in self.dirty]
        for node in tally.count_all(chain(self.dirty.values(), clean)):
            self.awaited[node.id] = node

    def note_word(self, node: Node) -> None:
        """How far *node* is on its way may have changed."""
        if node.counted is None or node.counted[0] not in PENDING:
            self.awaited.pop(node.id, None)
            self.troubled.pop(node.id, None)
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
