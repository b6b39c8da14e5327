"""Nodes at which a bug showed: one of them is tried again later, and keeps no other from being sent."""

from __future__ import annotations

import logging
from collections import deque

from mountfs.tree.node import Node, path_of

LOG = logging.getLogger(__name__)


class Unsendable(Exception):
    """A bug, raised as *error* while *node* was looked at or made an order of. It concerns that node
    alone."""

    def __init__(self, node: Node, error: Exception) -> None:
        super().__init__(f"{path_of(node)} cannot be sent: {error!r}")
        self.node = node
        self.error = error


class Bugs:
    """What is to be written to the log: noted under the tree's lock, and told without it."""

    def __init__(self) -> None:
        self._untold: deque[tuple[str, Exception]] = deque()
        """Paths, and what was raised there."""

    def note(self, bug: Unsendable) -> None:
        """*bug* showed just now."""
        self._untold.append((path_of(bug.node), bug.error))

    def tell(self) -> None:
        """Writes the bugs since the last call to the log. Without the lock: a disk may be slow."""
        while self._untold:
            path, error = self._untold.popleft()
            LOG.error("%s cannot be sent, and is tried again later", path, exc_info=error)
