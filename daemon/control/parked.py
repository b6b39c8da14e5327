"""What a person decides about changes that do not get on by themselves: try again, take a copy, give up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from daemon.control.changes import PendingChange
from daemon.control.pending import first_changes, pending_changes
from daemon.control.protocol import Discarded, FailedChange, Retried
from mountfs.errors import NotFound
from mountfs.model.path import RemotePath
from mountfs.ports import Clock
from mountfs.tree.bases import is_below
from mountfs.tree.copynames import CopyNames
from mountfs.tree.discard import Discard, pending_within
from mountfs.tree.listings import Listings
from mountfs.tree.node import Node, path_of
from mountfs.tree.tree import Tree
from mountfs.tree.view import View
from mountfs.tree.word import is_refused

RETRIED_AT_ONCE = 100
"""Nodes in one hold of the lock: 10 ms."""
PATHS_TOLD = 20

SET_ASIDE = "its bytes were not whole when the mount stopped: look at it, then rename it to send it"
TAKEN_BACK = "what was refused has no effect here either: do it once more"


class Parked:
    """Any thread. Paths are relative to the top of the mount."""

    def __init__(
        self,
        tree: Tree,
        view: View,
        listings: Listings,
        copies: CopyNames,
        clock: Clock,
        *,
        shown: Callable[[str], str],
        hurry: Callable[[float], None],
    ) -> None:
        """*shown*: how a path of the account is told to the user of the mount. *hurry*: has a full
        account asked for room; called with the time in seconds, under the lock."""
        self._tree = tree
        self._view = view
        self._clock = clock
        self._shown = shown
        self._hurry = hurry
        self._discard = Discard(tree, listings, copies)

    def retry(self, path: RemotePath) -> Retried:
        """Sends again what was refused at or below *path*, and in the folders above it. NotFound."""
        top, tree = self.find(path), self._tree
        with tree.lock:
            nodes = list(tree.refused.values())
            self._hurry(self._clock.now_s())
        count = 0
        left: list[FailedChange] = []
        for at in range(0, len(nodes), RETRIED_AT_ONCE):
            with tree.transaction():
                for node in nodes[at : at + RETRIED_AT_ONCE]:
                    refusal = node.state.refusal
                    can_be = is_refused(node) and refusal is not None and refusal.kind is not None
                    if can_be and (is_below(node, top) or is_below(top, node)):
                        tree.touch(node)
                        tree.change((node, replace(node.state, refusal=None)))
                        count += 1
                    elif refusal is not None and is_below(node, top):
                        why = SET_ASIDE if refusal.kind is None else TAKEN_BACK
                        left.append(FailedChange(self._shown(path_of(node)), why))
        return Retried(count, tuple(left))

    def pending_files(self, path: RemotePath) -> tuple[list[str], int]:
        """Files at or below *path* with bytes of ours. NotFound."""
        found: list[str] = []
        outside = 0
        nodes = list(pending_within(self._tree, self.find(path)))
        for at in range(0, len(nodes), RETRIED_AT_ONCE):
            with self._tree.lock:
                for node in nodes[at : at + RETRIED_AT_ONCE]:
                    state = node.state
                    if state.parent is None or (state.content is None and state.draft is None):
                        continue
                    if is_below(node, self._view.top):
                        found.append(self._shown(path_of(node)))
                    else:
                        outside += 1
        return sorted(found), outside

    def pending_changes(self, path: RemotePath) -> tuple[list[PendingChange], int]:
        """Everything pending at or below *path*. NotFound."""
        return pending_changes(self._tree, self.find(path), self._view.top, self._clock, self._shown)

    def first_changes(self, most: int) -> list[PendingChange]:
        return first_changes(self._tree, self._view.top, self._clock, self._shown, most)

    def discard(self, path: RemotePath, *, is_trial: bool) -> Discarded:
        """Gives up what is pending at or below *path*. NotFound."""
        told = self._discard.run(self.find(path), is_trial=is_trial)
        paths = tuple(self._shown(each) for each in told.paths[:PATHS_TOLD])
        left = tuple(FailedChange(self._shown(each), why) for each, why in told.left)
        return Discarded(told.count, told.size_bytes, paths, left)

    def find(self, path: RemotePath) -> Node:
        """What stands at *path*, or was removed there and is still at the service. NotFound; Transient."""
        names, view = path.components, self._view
        try:
            return view.known(names) or view.stat(names)
        except NotFound:
            removed = view.known(names)  # in a folder that was loaded just now
            if removed is None:
                raise
            return removed
