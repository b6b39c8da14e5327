"""Files that a program has closed and the kernel has not released yet: they are as good as on their way."""

from __future__ import annotations

from mountfs.ports import Clock
from mountfs.tree.bases import is_below
from mountfs.tree.node import Node, State
from mountfs.tree.tree import Tree
from mountfs.tree.word import Word, word_of

RELEASE_S = 2.0
"""The kernel releases a file after close() has returned; one closed for longer than this is held open by
somebody else."""


class JustClosed:
    """Told by the tree, under its lock."""

    def __init__(self, tree: Tree, clock: Clock) -> None:
        self._tree = tree
        self._clock = clock
        self._closed_s: dict[int, float] = {}
        """When versions that somebody still has open were closed, by the id of the content."""
        tree.watch(self._note)

    def below(self, folder: Node) -> tuple[int, int]:
        """How many files below *folder* were closed a moment ago, to be released any moment; their bytes.
        Under the lock."""
        now_s = self._clock.now_s()
        count = size_bytes = 0
        for content_id, closed_s in self._closed_s.items():
            found = self._tree.content(content_id) if now_s - closed_s < RELEASE_S else None
            if found is None or word_of(found[0]) is not Word.OPEN or not is_below(found[0], folder):
                continue
            count += 1
            size_bytes += found[1].size_bytes
        return count, size_bytes

    def _note(self, node: Node, before: State, after: State) -> None:  # noqa: ARG002 - the tree's
        """The tree's listener."""
        if before.draft is not None and (after.draft is None or after.draft.id != before.draft.id):
            self._closed_s.pop(before.draft.id, None)
        draft = after.draft
        if draft is not None and draft.is_flushed:
            self._closed_s.setdefault(draft.id, self._clock.now_s())
        elif draft is not None:
            self._closed_s.pop(draft.id, None)
