"""Recovered copies: bytes that are not known to be whole, as files that nobody publishes."""

from __future__ import annotations

from dataclasses import replace

from mountfs.model.hashing import HashKind
from mountfs.spool.spool import Spool
from mountfs.tree.content import Content
from mountfs.tree.copynames import CopyNames
from mountfs.tree.doubt import TORN
from mountfs.tree.gaps import change_gaps
from mountfs.tree.kept import Kept
from mountfs.tree.node import FORGOTTEN, Node, State, path_of
from mountfs.tree.refusal import Refusal
from mountfs.tree.tree import Edit, Tree
from mountfs.tree.unsent import as_unsent


class RecoveredCopies:
    """Makes them, beside the file whose bytes they are. Inside a transaction."""

    def __init__(self, tree: Tree, spool: Spool, copies: CopyNames, hash_kind: HashKind) -> None:
        self._tree = tree
        self._spool = spool
        self._copies = copies
        self._hash_kind = hash_kind

    def keep(
        self, folder: Node, name: str, content: Content, reason: str, attributes: Kept | None, *left: Edit
    ) -> None:
        """Makes a file beside *name* with the bytes of *content*, however many there are, and tells of it.
        *attributes*: those of the file. *left*: what is left of the node that had the bytes."""
        # Parts whose receipts tell their hash are good for the copy, once it is sent: none of them closed the
        # session, and they are compared with its bytes first.
        is_resumable = reason is TORN and self._hash_kind.comes_from_parts
        kept = content if is_resumable else as_unsent(self._tree, content)
        kept = replace(kept, size_bytes=self._spool.size(content.spool), over=None, is_flushed=True)
        if kept.overlay is not None:
            change_gaps(self._tree, content.id, kept.overlay, kept.overlay.cut(kept.size_bytes))
        refusal = Refusal(None, reason, self._tree.clock.wall_ns())
        copy = self._tree.new_node(is_folder=False)
        self._tree.touch(copy)
        name = self.free_name(folder, name)
        state = State(folder, name, content=kept, refusal=refusal, kept=attributes)
        self._tree.change(*left, (copy, state))
        told_of = next((node for node, after in left if after is not FORGOTTEN), copy)
        self._tree.notice(path_of(told_of), f"{reason}; what there is, is in {name}")

    def free_name(self, folder: Node, name: str) -> str:
        """A free name in *folder* for a recovered copy of the file *name*."""
        return self._copies.name(folder, name, "recovered")
