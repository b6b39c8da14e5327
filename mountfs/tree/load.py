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
        self.beginner = asker
        """Whose thread it is made by."""
        self.asker = asker
        """The most patient of those who wait for it."""
        self.landed: dict[str, int] = {}
        """The places in the folder, by their folded names, at which an order of ours had its outcome since
        this load began, and when."""
        self.error: MountfsError | None = None
        self._moved = threading.Condition()
        self._is_over = False
        self._pause: MountfsError | None = None
        """Why the service is not asked just now, while it is not."""

    def outcome(self, asker: Asker) -> MountfsError | None:
        """Waits for the end of it, and returns what it failed by; None: it did not. A worker does not wait
        while the service asks for a pause: it is told of that."""

        def is_told() -> bool:
            return self._is_over or (self._pause is not None and asker is not Asker.PROGRAM)

        with self._moved:
            self._moved.wait_for(is_told)
            return self.error if self._is_over else self._pause

    def pauses(self, error: MountfsError | None) -> None:
        """The service is not asked again before the pause is over that *error* asks for; None: it is."""
        if error is self._pause:
            return
        with self._moved:
            self._pause = error
            self._moved.notify_all()

    def end(self) -> None:
        """It has ended, by ``error`` or well."""
        with self._moved:
            self._is_over = True
            self._moved.notify_all()

    def is_believed_at(self, key: str) -> bool:
        """Whether what the service was asked for knows of all our outcomes at the folded name *key*."""
        return self.landed.get(key, 0) <= self.asked_at

    def misses(self, node: Node, folder: Node) -> bool:
        """Whether *node*, which the listing of *folder* does not have, is lost by that."""
        state = node.state
        if state.base is None or state.base_parent is not folder:
            return False
        return self.is_believed_at(fold(state.base.name))
