"""Waiting for what is pending to get on, and for the service's word on one version of a file."""

from __future__ import annotations

from contextlib import AbstractContextManager
from threading import Condition
from typing import Protocol

from mountfs.errors import Offline, Refused
from mountfs.ports import Clock
from mountfs.tree.content import Content
from mountfs.tree.node import Node, State, path_of
from mountfs.tree.tree import Tree


class Urgent(Protocol):
    """The part of ``mountfs.upload.urgency`` that is needed here."""

    def pressed(self) -> AbstractContextManager[None]:
        """Presses until the block ends."""


class Waiting:
    """Lets threads wait for nodes to get on; told by the tree, under its lock."""

    def __init__(self, tree: Tree) -> None:
        self._moved = Condition()
        self._moves = 0
        self._waiters = 0
        tree.watch(self._note)

    def wait(self, timeout_s: float) -> None:
        """Returns when any node got on, or after *timeout_s*."""
        with self._moved:
            seen = self._moves
            self._waiters += 1
            try:
                self._moved.wait_for(lambda: self._moves != seen, timeout_s)
            finally:
                self._waiters -= 1

    def _note(self, node: Node, before: State, after: State) -> None:  # noqa: ARG002 - the tree's
        if self._waiters:
            with self._moved:
                self._moves += 1
                self._moved.notify_all()


class CommitWaiter:
    """What close and fsync do where they promise the service's word."""

    def __init__(self, tree: Tree, waiting: Waiting, urgency: Urgent, clock: Clock) -> None:
        self._tree = tree
        self._waiting = waiting
        self._urgency = urgency
        self._clock = clock

    def wait_committed(self, content: Content, timeout_s: float) -> None:
        """Returns once it is committed, or superseded. Refused with its error; Offline when time is up."""
        deadline_s = self._clock.now_s() + timeout_s
        with self._urgency.pressed():
            while True:
                with self._tree.lock:
                    found = self._tree.content(content.id)
                    if found is None:
                        return
                    node, _ = found
                    refusal = node.state.refusal
                    path = path_of(node)
                if refusal is not None:
                    raise Refused(refusal.reason)
                left_s = deadline_s - self._clock.now_s()
                if left_s <= 0:
                    raise Offline(f"{path} is not committed after {timeout_s:.0f} s")
                self._waiting.wait(min(left_s, 1.0))
