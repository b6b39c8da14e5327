"""Waits for pending nodes to get on, and for the service's answer about one version of a file."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition

from mountfs.errors import MountfsError, Offline
from mountfs.ports import Clock
from mountfs.tree.content import Content
from mountfs.tree.node import Node, State, path_of
from mountfs.tree.refusal import Refusal
from mountfs.tree.tree import Tree
from mountfs.tree.word import is_refused
from mountfs.upload.urgency import Urgency


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
    """Waits in close() and fsync() where they promise that the service has the file."""

    def __init__(
        self,
        tree: Tree,
        waiting: Waiting,
        urgency: Urgency,
        clock: Clock,
        standstill: Callable[[], MountfsError | None] = lambda: None,
    ) -> None:
        """*standstill*: why nothing is committed until somebody does something about it; called under the
        tree's lock."""
        self._tree = tree
        self._waiting = waiting
        self._urgency = urgency
        self._clock = clock
        self._standstill = standstill

    def wait_committed(self, content: Content, timeout_s: float) -> None:
        """Returns once *content* is committed, or a newer version took its place.

        Raises the class of the service's answer if it refused this file, or a new folder that it is in; the
        reason why nothing is committed, while the account is full or its credentials are refused; Offline
        after *timeout_s*. In each case the file stays pending, or failed.
        """
        deadline_s = self._clock.now_s() + timeout_s
        with self._urgency.pressed():
            while True:
                with self._tree.lock:
                    found = self._tree.content(content.id)
                    if found is None:
                        return
                    node, _ = found
                    refusal = _refusal_of(node)
                    standstill = self._standstill()
                    error = node.pending.error if node.pending is not None else None
                    path = path_of(node)
                if refusal is not None:
                    raise _told_again(refusal.cause, refusal.reason)
                if standstill is not None:
                    raise _told_again(type(standstill), str(standstill))
                left_s = deadline_s - self._clock.now_s()
                if left_s <= 0:
                    why = f": {error}" if error else ""
                    raise Offline(f"{path} is not committed after {timeout_s:.0f} s{why}")
                self._waiting.wait(min(left_s, 1.0))


def _refusal_of(node: Node) -> Refusal | None:
    """Why *node* will not be committed: its own refusal, or that of a new folder that it waits for."""
    at: Node | None = node
    while at is not None:
        if is_refused(at):
            return at.state.refusal
        pending = at.pending
        at = pending.blocked_on if pending is not None and pending.is_stuck else None
    return None


def _told_again(kind: type[MountfsError], reason: str) -> MountfsError:
    """A fresh error for each thread that waits: one that is raised twice collects both tracebacks."""
    return kind(reason)
