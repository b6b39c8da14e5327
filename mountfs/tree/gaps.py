"""Changes the gaps of contents: first in the store, then in memory."""

from __future__ import annotations

from collections.abc import Sequence

from mountfs.tree.content import Content
from mountfs.tree.database import MACHINE_TROUBLE
from mountfs.tree.node import Node, State
from mountfs.tree.overlay import Edit, Overlay, Range
from mountfs.tree.tree import Tree


def hold_draft(tree: Tree, node: Node, after: State) -> None:
    """Gives *node* the new draft of *after*. Under the lock. NoSpace.

    A draft without gaps gets its row when it is closed. A draft with gaps gets its rows here, before a byte
    of it is written: after a crash nothing else tells its holes from zeros. So does one in place of another
    draft, which may have been closed, and one that is closed already.
    """
    draft = after.draft
    if draft is None or (draft.overlay is None and node.state.draft is None and not draft.is_flushed):
        tree.change_unsaved(node, after)
        return
    with tree.transaction():
        tree.change((node, after))
        if draft.overlay is not None:
            tree.store.gaps.add(draft.id, draft.overlay)


def change_gaps(
    tree: Tree, content_id: int, overlay: Overlay, edits: Sequence[Edit], *, may_wait: bool = False
) -> None:
    """Applies *edits* to the rows and to *overlay*; to *overlay* alone if no node has the content any more.
    *may_wait*: where the store fails, to *overlay* alone, and to the rows with the next edits."""
    if not edits and not overlay.unsaved:
        return
    with tree.lock:
        unsaved = [*overlay.unsaved, *edits] if content_id in tree.contents else []
        try:
            if unsaved:
                with tree.transaction():
                    tree.store.gaps.apply(content_id, unsaved)
            unsaved = []
        except MACHINE_TROUBLE:
            if not may_wait:
                raise
        overlay.unsaved = unsaved
        overlay.apply(edits)


class Gaps:
    """The gaps of all contents that a node has. ``missing_bytes``: their sum, which is still to be fetched,
    and for which the disk needs room. Any thread; guarded by the tree's lock."""

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
        """Ids of contents that began with gaps, also of those that are whole by now. Under the lock."""
        return list(self._owned)

    def written(self, content: Content, start: int, stop: int) -> None:
        """Notes that the bytes [start, stop) are in the content's spool file. The caller holds its overlay's
        lock."""
        overlay = content.overlay
        if overlay is not None and overlay.missing.overlaps(start, stop):
            with self._tree.lock:
                self._change(content.id, overlay, overlay.written(start, stop))

    def cut(self, content: Content, size_bytes: int) -> None:
        """Notes that the content was cut or extended to *size_bytes*. The caller holds its overlay's lock.

        The bytes are gone, so this does not fail with the store. The rows may lag until the spool file grows
        again (``save``) or is closed: after a crash the spool file's size tells where it was cut."""
        overlay = content.overlay
        if overlay is not None:
            with self._tree.lock:
                self._change(content.id, overlay, overlay.cut(size_bytes), may_wait=True)

    def save(self, content: Content) -> None:
        """Writes down a cut that the store did not take. Call before bytes are written, or the spool file
        grows."""
        if content.overlay is not None:
            change_gaps(self._tree, content.id, content.overlay, ())

    def _change(
        self, content_id: int, overlay: Overlay, edits: list[Edit], *, may_wait: bool = False
    ) -> None:
        before_bytes = overlay.missing_bytes
        change_gaps(self._tree, content_id, overlay, edits, may_wait=may_wait)
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
    """The ranges that a sync of the spool file makes safe if it begins now. Under the lock."""
    return [] if content.overlay is None else list(content.overlay.unsynced)


def note_synced(tree: Tree, content: Content, ranges: Sequence[Range]) -> None:
    """Notes a sync of the spool file that has ended; *ranges*: ``unsynced_now`` from when it began."""
    overlay = content.overlay
    if overlay is not None and ranges:
        with overlay.lock, tree.lock:
            change_gaps(tree, content.id, overlay, overlay.synced(ranges))
