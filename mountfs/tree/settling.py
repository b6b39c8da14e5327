"""How much longer names have to be quiet before they are given to the service."""

from __future__ import annotations

from mountfs.model.order import OrderKind
from mountfs.model.settling import age_s, settle_s
from mountfs.ports import BackendLimits
from mountfs.tree import tally
from mountfs.tree.node import Node, has_moved
from mountfs.tree.tree import Tree

FOLDER_ALONE_S = 30.0
"""A new folder that waits longer for the first file in it, which makes it by the way, is worth a call."""


class SettlingTime:
    """Tells of nodes that want something how long they still have to be quiet. Under the lock."""

    def __init__(self, tree: Tree, limits: BackendLimits, usual_s: float) -> None:
        """*usual_s*: for so long most names have to be quiet (``settle_s``)."""
        self._tree = tree
        self._limits = limits
        self._usual_s = usual_s

    def left_s(self, node: Node, step: OrderKind, *, is_hurried: bool) -> float:
        """Seconds until *node* may be sent: until its name, and those of the new and moved folders above it,
        have been quiet for long enough. A new folder also waits for a file that makes it by the way.
        *is_hurried*: somebody waits for the commit (``mountfs wait``)."""
        pending = node.pending
        assert pending is not None
        wall_ns = self._tree.clock.wall_ns()
        if step is OrderKind.DELETE:
            return (0.0 if is_hurried else self._usual_s) - age_s(pending.touched_ns, wall_ns)
        wait_s = self._name_left_s(node, wall_ns, is_hurried=is_hurried)
        at = node.state.parent
        while at is not None and at.pending is not None and (at.state.base is None or has_moved(at.state)):
            wait_s = max(wait_s, self._name_left_s(at, wall_ns, is_hurried=is_hurried))
            at = at.state.parent
        if (
            step is OrderKind.MAKE_FOLDER
            and self._limits.parents_implicit
            and not pending.is_wanted
            and tally.has_put(node)
        ):
            wait_s = max(wait_s, FOLDER_ALONE_S - age_s(pending.touched_ns, wall_ns))
        return wait_s

    def _name_left_s(self, node: Node, wall_ns: int, *, is_hurried: bool) -> float:
        assert node.pending is not None
        quiet_s = settle_s(node.state.name, self._usual_s, is_hurried=is_hurried)
        return quiet_s - age_s(node.pending.touched_ns, wall_ns)


def quiet_in_s(tree: Tree, usual_settle_s: float) -> float:
    """Seconds until nothing in the whole account has changed for the settling time."""
    return usual_settle_s - age_s(tree.last_touch_ns, tree.clock.wall_ns())
