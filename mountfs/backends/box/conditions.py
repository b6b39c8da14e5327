"""Orders that fail by a condition again and again, though it holds or none was stated."""

from __future__ import annotations

from threading import Lock

from cachetools import LRUCache

from mountfs.backends.box.errors import FailedCondition
from mountfs.errors import Conflict
from mountfs.model.order import Order, Put

TRIES = 8
"""Before it counts as a no. With the pauses of an order that fails alone that takes some minutes."""
_ORDERS_KEPT = 1000


class Conditions:
    """Counts such answers by order, which a restart begins anew. Any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._failed: LRUCache[tuple[str, ...], int] = LRUCache(_ORDERS_KEPT)

    def failed(self, order: Order, error: FailedCondition) -> Conflict | None:
        """What *error* is by now: an answer that whoever sent *order* looks into, and does not repeat for
        ever. None: a fault that may pass."""
        with self._lock:
            tries = self._failed[_key(order)] = self._failed.get(_key(order), 0) + 1
        return Conflict(f"refused again and again: {error}") if tries > TRIES else None

    def passed(self, order: Order) -> None:
        """The service answered *order* in another way."""
        with self._lock:
            self._failed.pop(_key(order), None)


def _key(order: Order) -> tuple[str, ...]:
    """Other bytes are another order: a large file's go up in another session."""
    content_hash = order.content_hash if isinstance(order, Put) else ""
    return type(order).__name__, order.place.path.key, content_hash
