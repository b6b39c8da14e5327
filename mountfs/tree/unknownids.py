"""Ids that the service's changes named before anything here had them."""

from __future__ import annotations

from cachetools import LRUCache

KEPT = 10_000
"""Far more than are reported between a request that makes something and its reply."""


class UnknownIds:
    """Ids of items that no node had when a change was reported of them, or in them. One of them may be what
    an order of ours is just making: `mkdir d`, somebody puts d/x into it, and that change is read before the
    reply tells d's id. Under the tree's lock."""

    def __init__(self) -> None:
        self._ids: LRUCache[str, None] = LRUCache(KEPT)

    def note(self, item_id: str) -> None:
        """A change was reported of an item that no node has; one without an id is not noted."""
        if item_id:
            self._ids[item_id] = None

    def __contains__(self, item_id: str) -> bool:
        """Whether a change was reported of the item before a node had its id."""
        return item_id in self._ids
