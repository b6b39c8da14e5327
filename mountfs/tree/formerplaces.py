"""Places at the service that folders had until an order of ours moved them."""

from __future__ import annotations

from cachetools import LRUCache

from mountfs.tree.node import Node

KEPT = 10_000
"""Far more than are moved between two looks at the service's changes."""


class FormerPlaces:
    """Changes that others made in a folder before it was moved name its old path, and may be read after our
    move has its outcome: somebody removes d/f, `mv d e` takes effect, and only then is the removal of d/f
    reported. A place is kept until the service reports that the folder has left it. Under the tree's lock."""

    def __init__(self) -> None:
        self._ids: LRUCache[tuple[int, str], int] = LRUCache(KEPT)

    def note(self, above: Node, key: str, folder: Node) -> None:
        """The service had *folder* in *above* under this folded name."""
        self._ids[above.id, key] = folder.id

    def node_id(self, above: Node, key: str) -> int | None:
        """The id of the folder that was there last; None: of none that is known."""
        return self._ids.get((above.id, key))

    def left(self, above: Node, key: str) -> None:
        """The service reports that what was there is gone from there."""
        self._ids.pop((above.id, key), None)
