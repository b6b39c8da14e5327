"""Asks the service, now and then, whether a full account has room again."""

from __future__ import annotations

import math
from collections.abc import Callable

from mountfs.errors import MountfsError, NoSpace
from mountfs.model.order import OrderKind
from mountfs.model.pausing import Pause
from mountfs.ports import Backend, Clock
from mountfs.tree.node import Node, State
from mountfs.tree.tree import Tree


class Prober:
    """Ends the pause of uploads and commits. One thread calls ``step``; ``wake`` is set by the assembly,
    wakes that thread, and may be called under the lock.

    If the account is full, ``step`` asks for the quota. If a transfer limit is used up, no call tells when
    that ends: ``step`` lets the next file be tried, and its outcome tells.
    """

    def __init__(self, tree: Tree, pause: Pause, backend: Backend, clock: Clock) -> None:
        self.wake: Callable[[], None] = lambda: None
        self.pause = pause
        self._tree = tree
        self._backend = backend
        self._clock = clock
        tree.watch(self._note, of_outcomes=True)

    def step(self, now_s: float) -> float:
        """Asks once if the time has come. Returns when to call again; ``math.inf``: there is no pause."""
        with self._tree.lock:
            error = self.pause.error
            if error is None:
                return math.inf
            if self.pause.due_s > now_s:
                return self.pause.due_s
        try:
            free_bytes = self._backend.space().free_bytes if isinstance(error, NoSpace) else None
        except MountfsError:
            with self._tree.lock:
                self.pause.postpone(self._clock.now_s())
                return self.pause.due_s
        with self._tree.lock:
            self.pause.probed(free_bytes, self._clock.now_s())
            return self.pause.due_s

    def _note(self, node: Node, before: State, after: State) -> None:  # noqa: ARG002 - the tree's
        """The tree's listener: asks soon after a removal of ours took effect, which may have made room."""
        flight = before.flight
        is_removal = flight is not None and flight.kind is OrderKind.DELETE
        if is_removal and after.flight is None and after.base is None:
            self.pause.hurry(self._clock.now_s())
