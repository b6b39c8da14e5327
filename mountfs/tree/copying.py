"""How many pending files the service is to make by copies of its own, and of which other files."""

from __future__ import annotations

from collections import Counter

from mountfs.tree.content import Content


class Copying:
    """Counters, kept as contents come and go; guarded by the tree's lock."""

    def __init__(self) -> None:
        self.count = 0
        self.size_bytes = 0
        self._copies_of: Counter[str] = Counter()

    def copies_of(self, item_id: str) -> int:
        """How many pending files are to be copies of the service's file *item_id*."""
        return self._copies_of.get(item_id, 0)

    def add(self, content: Content) -> None:
        if content.twin is not None:
            self._change(content, content.twin.item_id, 1)

    def remove(self, content: Content) -> None:
        if content.twin is not None:
            self._change(content, content.twin.item_id, -1)

    def _change(self, content: Content, item_id: str, by: int) -> None:
        self.count += by
        self.size_bytes += by * content.size_bytes
        self._copies_of[item_id] += by
        if not self._copies_of[item_id]:
            del self._copies_of[item_id]
