"""The calls that change what stat(2) tells of a node: none of them is about its name or its bytes."""

from __future__ import annotations

import stat
from dataclasses import replace
from typing import Any

from mountfs.tree.bases import is_attached
from mountfs.tree.kept import NOTHING_KEPT
from mountfs.tree.node import Node
from mountfs.tree.rowless import apply
from mountfs.tree.tree import Tree


class Attributing:
    """Every method is called under the tree's lock. The service is told of nothing but a file's modification
    time."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def set_mode(self, node: Node, mode: int) -> None:
        """*mode*: its permissions; the type stays."""
        before = node.state.kept
        kind = 0 if before is None or not before.is_special else stat.S_IFMT(before.mode or 0)
        self._keep(node, mode=kind | stat.S_IMODE(mode))

    def set_owner(self, node: Node, uid: int | None, gid: int | None) -> None:
        """None: as it is."""
        given = {"uid": uid, "gid": gid}
        self._keep(node, **{name: number for name, number in given.items() if number is not None})

    def set_time(self, node: Node, mtime_ns: int) -> None:
        """Sets the modification time. It is sent with the file's bytes where those are to be sent; else by
        itself, or kept here where the service takes none."""
        with self._tree.lock:
            state = node.state
            if not is_attached(node):
                return
            if state.draft is not None:
                after = state.holding(state.content, replace(state.draft, mtime_ns=mtime_ns))
            elif state.content is not None:
                after = state.holding(replace(state.content, mtime_ns=mtime_ns), None)
            else:
                after = replace(state, mtime_ns=mtime_ns)
            self._tree.touch(node)
            apply(self._tree, (node, after))

    def _keep(self, node: Node, **changes: Any) -> None:
        state = node.state
        kept = replace(state.kept or NOTHING_KEPT, **changes, ctime_ns=self._tree.clock.wall_ns())
        if is_attached(node):
            apply(self._tree, (node, replace(state, kept=kept)))
        else:  # removed, and open: nothing else is left of it
            node.state = replace(state, kept=kept)
