"""Ids of items that the service's changes told of, and since when.

A page of a listing may have been read before a change, and be written down after that was told. By a path its
folder is doubted then. By an id alone, as on Box, nobody knows in which folder an item is that no node has:
f is on the first page of d, others remove f, and that is told before the page is booked.
"""

from __future__ import annotations

from mountfs.model.entry import Gone, News, Seen

KEPT = 10_000
"""Far more than are told during a listing."""


class ToldIds:
    """Under the tree's lock."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        """With the serial number of when each was told last, ascending by that."""
        self._dropped_at = 0
        """When the last of those was told that are not kept any more."""

    def note(self, news: News, number: int) -> None:
        """Notes of what item *news* are, at the serial *number*."""
        item_id = news.entry.id if isinstance(news, Seen) else news.item_id if isinstance(news, Gone) else ""
        if not item_id:
            return
        self._ids.pop(item_id, None)
        self._ids[item_id] = number
        if len(self._ids) > KEPT:
            self._dropped_at = self._ids.pop(next(iter(self._ids)))

    def has_since(self, item_id: str, since: int) -> bool:
        """Whether something may have been told of the item after the serial number *since*."""
        return self._dropped_at > since or self._ids.get(item_id, 0) > since
