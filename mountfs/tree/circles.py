"""Circles of nodes that wait for each other, and which of them goes first."""

from __future__ import annotations

from collections.abc import Sequence

from mountfs.model.order import OrderKind
from mountfs.ports import BackendLimits
from mountfs.tree.node import Node
from mountfs.tree.order import blocked, next_step
from mountfs.tree.tree import Tree


def circle_of(node: Node, by: Node) -> list[Node]:
    """The nodes that would wait for each other if *node* waited for *by*, *node* first; empty: there is no
    circle."""
    found = {node.id: node}
    at: Node | None = by
    while at is not None and at.id not in found:
        found[at.id] = at
        at = at.pending.blocked_on if at.pending is not None else None
    return list(found.values()) if at is node else []  # else *by* leads into a circle without *node*


def open_circle(tree: Tree, limits: BackendLimits, circle: Sequence[Node]) -> Node | None:
    """Lets one node of *circle* go first, and returns it, to be looked at again; None: none can.

    A node whose wait is soft goes first. Else one that is to be moved takes a third name for a moment: after
    `mv a x; mv b a; mv x b` either file waits for the other's name, and one of them is moved to a third.
    """
    for is_move in (False, True):
        for node in circle:
            pending = node.pending
            step = next_step(node, limits)
            if pending is None or step is None:
                continue
            if is_move and step is OrderKind.MOVE and not pending.is_detoured:
                pending.is_detoured = True
            elif not is_move and not pending.is_relaxed and _is_soft(tree, limits, node, step):
                pending.is_relaxed = True
            else:
                continue
            return node
    return None


def _is_soft(tree: Tree, limits: BackendLimits, node: Node, step: OrderKind) -> bool:
    found = blocked(tree, node, step, limits)
    return found is not None and found.is_soft
