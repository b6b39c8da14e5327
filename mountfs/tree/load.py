"""Folders that are being loaded, from the store or from the service."""

from __future__ import annotations

import threading
from enum import IntEnum

from mountfs.errors import MountfsError
from mountfs.model.path import fold
from mountfs.tree.node import Node


class Asker(IntEnum):
    """Who waits for a load, the most patient one last."""

    AHEAD = 0
    """Nobody yet."""
    WORKER = 1
    """A thread that has other work."""
    PROGRAM = 2
    """A call of the kernel: where the service says when to ask again, it is asked again then."""


class Load:
    """One load of a folder, and all callers that wait for it."""

    def __init__(self, asked_at: int, asker: Asker) -> None:
        self.asked_at = asked_at
        self.asker = asker
        """The most patient of those who wait for it."""
        self.landed: dict[str, int] = {}
        """The places in the folder, by their folded names, at which an order of ours had its outcome since
        this load began, and when."""
        self.ended = threading.Event()
        self.error: MountfsError | None = None

    def is_believed_at(self, key: str) -> bool:
        """Whether what the service was asked for knows of all our outcomes at the folded name *key*."""
        return self.landed.get(key, 0) <= self.asked_at

    def misses(self, node: Node, folder: Node) -> bool:
        """Whether *node*, which the listing of *folder* does not have, is lost by that."""
        state = node.state
        if state.base is None or state.base_parent is not folder:
            return False
        return self.is_believed_at(fold(state.base.name))
