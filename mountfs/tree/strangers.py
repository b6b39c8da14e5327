"""What was told of before anybody here knew of it."""

from __future__ import annotations

from cachetools import LRUCache

KEPT = 10_000
"""Far more than are reported between a call that makes a folder and its reply."""


class Strangers:
    """Ids of items that nobody here knew when they, or something in them, were reported: one of them may be
    what we are just making. Under the tree's lock."""

    def __init__(self) -> None:
        self._ids: LRUCache[str, None] = LRUCache(KEPT)

    def note(self, item_id: str) -> None:
        """Something was reported of an item that nobody here knows; of one without an id nothing is kept."""
        if item_id:
            self._ids[item_id] = None

    def __contains__(self, item_id: str) -> bool:
        """Whether something was reported of an item before it was known here."""
        return item_id in self._ids
