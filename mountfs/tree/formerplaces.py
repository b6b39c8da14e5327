"""Places at the service that folders had until an order of ours moved them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

from mountfs.tree.node import Node
from mountfs.tree.store import Store

FACT = "former_places"
"""The store's fact with these places, as a list in JSON: changes are read on from where they were."""
KEPT = 100
"""More than are moved between two looks at the service's changes, and few enough to be written each time."""


class FormerPlaces:
    """Changes that others made in a folder before it was moved name its old path, and may be read after our
    move has its outcome: somebody removes d/f, `mv d e` takes effect, and only then is the removal of d/f
    reported. A place is kept until the service reports that the folder has left it. Under the tree's lock;
    what writes belongs into a transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ids: dict[tuple[int, str], int] = {}
        with suppress(ValueError, TypeError):
            rows = json.loads(store.fact(FACT) or "[]")
            self._ids = {(int(above), str(key)): int(node_id) for above, key, node_id in rows}

    def __bool__(self) -> bool:
        return bool(self._ids)

    def note(self, above: Node, key: str, folder: Node) -> Iterator[int]:
        """The service had *folder* in *above* under this folded name. Yields the ids of folders that had to
        give way: what others changed in these must be found in another way."""
        self._ids.pop((above.id, key), None)
        self._ids[above.id, key] = folder.id
        while len(self._ids) > KEPT:
            yield self._ids.pop(next(iter(self._ids)))
        self._write()

    def node_id(self, above: Node, key: str) -> int | None:
        """The id of the folder that was there last; None: of none that is known."""
        return self._ids.get((above.id, key))

    def left(self, above: Node, key: str) -> None:
        """The service reports that what was there is gone from there."""
        if self._ids.pop((above.id, key), None) is not None:
            self._write()

    def clear(self) -> None:
        """Nothing will be told by an old path: folders are named by ids, or all listings are in doubt."""
        if self._ids:
            self._ids.clear()
            self._write()

    def _write(self) -> None:
        rows = [(above, key, node_id) for (above, key), node_id in self._ids.items()]
        self._store.set_fact(FACT, json.dumps(rows) if rows else None)
