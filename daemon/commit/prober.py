"""Asks a full account, now and then, whether it has room again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from mountfs.errors import MountfsError, NoSpace
from mountfs.model.entry import Space
from mountfs.model.order import OrderKind
from mountfs.model.pausing import Pause
from mountfs.ports import Clock
from mountfs.tree.node import Node, State
from mountfs.tree.tree import Tree


class Source(Protocol):
    """The one method of ``ports.Backend`` that is needed here."""

    def space(self) -> Space: ...


class Prober:
    """One thread calls ``step``; ``wake`` is set by the assembly, wakes it, may be called under the lock.

    The quota is asked for where room is what is missing. Nothing tells when a transfer limit ends: there the
    next file is the probe.
    """

    def __init__(self, tree: Tree, pause: Pause, source: Source, clock: Clock) -> None:
        self.wake: Callable[[], None] = lambda: None
        self.pause = pause
        self._tree = tree
        self._source = source
        self._clock = clock
        tree.watch(self._note)

    def step(self, now_s: float) -> float:
        """Asks once, if that is due; when it is due again."""
        with self._tree.lock:
            error = self.pause.error
            if error is None:
                return math.inf
            if self.pause.due_s > now_s:
                return self.pause.due_s
        try:
            free_bytes = self._source.space().free_bytes if isinstance(error, NoSpace) else None
        except MountfsError:
            with self._tree.lock:
                self.pause.postpone(self._clock.now_s())
                return self.pause.due_s
        with self._tree.lock:
            self.pause.probed(free_bytes, self._clock.now_s())
            return self.pause.due_s

    def _note(self, node: Node, before: State, after: State) -> None:  # noqa: ARG002 - the tree's
        """The tree's listener: a removal of ours took effect, and may have made room."""
        flight = before.flight
        is_removal = flight is not None and flight.kind is OrderKind.DELETE
        if is_removal and after.flight is None and after.base is None:
            self.pause.hurry(self._clock.now_s())
