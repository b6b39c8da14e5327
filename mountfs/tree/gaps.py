"""Contents whose bytes are not all here: what becomes of their gaps is in the store first, then in memory."""

from __future__ import annotations

from collections.abc import Sequence

from mountfs.tree.content import Content
from mountfs.tree.node import Node, State
from mountfs.tree.overlay import Edit, Overlay, Range
from mountfs.tree.tree import Tree


def hold_draft(tree: Tree, node: Node, after: State) -> None:
    """*node* has a new draft. The store need not know of one that is whole until it is closed. Of one with
    gaps it must, before a byte is written: nothing else tells holes from zeros. Under the lock. NoSpace."""
    draft = after.draft
    if draft is None or draft.overlay is None:
        tree.change_unsaved(node, after)
        return
    with tree.transaction():
        tree.change((node, after))
        tree.store.gaps.add(draft.id, draft.overlay)


def change_gaps(tree: Tree, content_id: int, overlay: Overlay, edits: Sequence[Edit]) -> None:
    """In the store and in memory. A content that is nobody's any more has no rows to change."""
    if not edits:
        return
    with tree.lock:
        if content_id in tree.contents:
            with tree.transaction():
                tree.store.gaps.apply(content_id, edits)
        overlay.apply(edits)


class Gaps:
    """What is missing of all contents that are somebody's: so many bytes are still to be fetched, and have to
    fit on the disk. Any thread; guarded by the tree's lock."""

    def __init__(self, tree: Tree) -> None:
        self.missing_bytes = 0
        self._tree = tree
        self._owned: dict[int, Overlay] = {}
        with tree.lock:
            for content_id in tree.store.gaps.contents():
                if content_id in tree.contents:
                    self._enter(tree.contents[content_id].state)
            tree.watch(self._note)

    def contents(self) -> list[int]:
        """Those that had gaps when they were begun. Under the lock."""
        return list(self._owned)

    def written(self, content: Content, start: int, stop: int) -> None:
        """The bytes [start, stop) of the content are in its spool file. Its overlay's lock is held."""
        overlay = content.overlay
        if overlay is not None and overlay.missing.overlaps(start, stop):
            with self._tree.lock:
                self._change(content.id, overlay, overlay.written(start, stop))

    def cut(self, content: Content, size_bytes: int) -> None:
        """The content was cut, or grew, to *size_bytes*. Its overlay's lock is held."""
        overlay = content.overlay
        if overlay is not None:
            with self._tree.lock:
                self._change(content.id, overlay, overlay.cut(size_bytes))

    def _change(self, content_id: int, overlay: Overlay, edits: list[Edit]) -> None:
        before_bytes = overlay.missing_bytes
        change_gaps(self._tree, content_id, overlay, edits)
        if content_id in self._owned:
            self.missing_bytes += overlay.missing_bytes - before_bytes

    def _enter(self, state: State) -> None:
        for content in (state.content, state.draft):
            if content is not None and content.overlay is not None and content.id not in self._owned:
                self._owned[content.id] = content.overlay
                self.missing_bytes += content.overlay.missing_bytes

    def _note(self, _: Node, before: State, after: State) -> None:
        """The tree's listener."""
        for content in (before.content, before.draft):
            if content is not None and content.overlay is not None:
                overlay = self._owned.pop(content.id, None)
                self.missing_bytes -= 0 if overlay is None else overlay.missing_bytes
        self._enter(after)


def unsynced_now(content: Content) -> list[Range]:
    """What a sync of the spool file that begins now makes safe. Under the lock."""
    return [] if content.overlay is None else list(content.overlay.unsynced)


def note_synced(tree: Tree, content: Content, ranges: Sequence[Range]) -> None:
    """*ranges* were ``unsynced_now`` when a sync of the spool file began that is through."""
    overlay = content.overlay
    if overlay is not None and ranges:
        with overlay.lock, tree.lock:
            change_gaps(tree, content.id, overlay, overlay.synced(ranges))
