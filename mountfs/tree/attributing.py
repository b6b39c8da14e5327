"""The calls that change what stat(2) tells of a node: none of them is about its name or its bytes."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

from mountfs.model.entry import NS_PER_S
from mountfs.tree.bases import is_attached
from mountfs.tree.kept import NOTHING_KEPT, Kept
from mountfs.tree.node import ROOT_ID, Node
from mountfs.tree.noted import keeping
from mountfs.tree.rowless import apply, is_found
from mountfs.tree.tree import Tree

DAY_NS = 24 * 3600 * NS_PER_S
SAVED_AT_ONCE = 64
"""Folders written down in one transaction, so that it holds the lock for a moment only."""

NOTED_AT_ONCE = 256
"""The same of nodes whose attributes alone are written, which is a fifth of the work."""


class Attributing:
    """Every method is called under the tree's lock. The service is told of nothing but a file's modification
    time."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def set_mode(self, node: Node, mode: int) -> None:
        """Sets the permissions of *node*; its type stays."""
        before = node.state.kept
        kind = 0 if before is None or not before.is_special else stat.S_IFMT(before.mode or 0)
        kept = (before or NOTHING_KEPT).changed(self._tree.clock.wall_ns(), mode=kind | stat.S_IMODE(mode))
        self._note(node, kept)

    def set_owner(self, node: Node, uid: int | None, gid: int | None) -> None:
        """Sets owner and group; None leaves one as it is."""
        self._note(node, self._kept(node).changed(self._tree.clock.wall_ns(), uid=uid, gid=gid))

    def note_read(self, node: Node, mtime_ns: int) -> None:
        """The file *node* was read. As with relatime of mount(8) the access time moves where it is not past
        the modification time, or a day old. It is written down with whatever next changes the row."""
        kept, now_ns = node.state.kept or NOTHING_KEPT, self._tree.clock.wall_ns()
        atime_ns = mtime_ns if kept.atime_ns is None else kept.atime_ns
        if atime_ns <= max(mtime_ns, kept.ctime_ns or mtime_ns) or now_ns - atime_ns >= DAY_NS:
            # Nothing is derived from it: it needs neither a transaction nor a listener.
            node.state = keeping(node.state, replace(kept, atime_ns=now_ns))

    def set_xattrs(self, node: Node, xattrs: Mapping[str, bytes]) -> None:
        """Replaces all extended attributes of *node* by *xattrs*."""
        kept = self._kept(node).changed(self._tree.clock.wall_ns())
        self._keep(node, replace(kept, xattrs=tuple(sorted(xattrs.items()))))

    def set_times(self, node: Node, mtime_ns: int | None, atime_ns: int | None) -> None:
        """Sets the times; None leaves one as it is.

        Bytes that are still to be sent take the modification time along. Else it is sent by itself, or is
        kept here, where the service takes none. For example: `touch -d 2020-01-01 f`, long after f was sent,
        is a SET_TIME on Box, and a time of this machine alone on Dropbox.
        """
        state = node.state
        if not is_attached(node):
            return
        kept = self._kept(node).changed(self._tree.clock.wall_ns(), atime_ns=atime_ns)
        after = keeping(state, kept)
        if mtime_ns is None:
            self._note(node, kept)
            return
        self._tree.folder_times.forget(node)
        if state.draft is not None:
            after = after.holding(state.content, replace(state.draft, mtime_ns=mtime_ns))
        elif state.content is not None:
            after = after.holding(replace(state.content, mtime_ns=mtime_ns), None)
        else:
            after = replace(after, mtime_ns=mtime_ns)
        self._tree.touch(node)
        apply(self._tree, (node, after))

    def set_times_of_draft(self, node: Node, atime_ns: int | None) -> None:
        """Sets the access time of a file that is being written; None leaves it as it is. Its modification
        time is set by its open file (``OpenFile.set_mtime``)."""
        kept = self._kept(node).changed(self._tree.clock.wall_ns(), atime_ns=atime_ns)
        if node.is_saved:
            self._note(node, kept)
        else:
            node.state = keeping(node.state, kept)  # the label of its file will say it

    def _note(self, node: Node, kept: Kept) -> None:
        """As ``_keep``, where nothing but mode, owner, access time and time of change is another."""
        if not node.is_saved or node.id == ROOT_ID or not self._tree.noted.note(node, kept):
            self._keep(node, kept)

    def _keep(self, node: Node, kept: Kept) -> None:
        after = keeping(node.state, kept)
        if is_attached(node) and is_found(node):
            self._tree.change((node, after))
        else:
            # A new file that is open, or a removed one. Nothing is derived from what is kept.
            node.state = after

    def _kept(self, node: Node) -> Kept:
        return node.state.kept or NOTHING_KEPT


def save_noted(tree: Tree) -> None:
    """Writes the rows of nodes whose attributes the log alone has by now. Not inside a transaction."""
    for _ in range(0, len(tree.noted), NOTED_AT_ONCE):
        with tree.lock:
            some = tree.noted.some(NOTED_AT_ONCE)
            if not some:
                return
            with tree.transaction():
                tree.store.kept.save((node.id, node.state.kept) for node in some)
            tree.noted.saved(some)


def save_folder_times(tree: Tree) -> dict[int, int]:
    """Writes into their rows when the entries of folders last changed, of at most SAVED_AT_ONCE folders.
    Returns these times by folder, for ``FolderTimes.saved``. Inside a transaction."""
    changed = dict(islice(tree.folder_times.changed.items(), SAVED_AT_ONCE))
    for folder_id, mtime_ns in changed.items():
        folder = tree.node(folder_id)
        if folder is None or folder.state.is_forgotten:
            continue
        after = replace(folder.state, mtime_ns=mtime_ns)
        if folder.id == ROOT_ID:
            folder.state = after  # it has no row
        else:
            tree.change((folder, after))
    return changed
