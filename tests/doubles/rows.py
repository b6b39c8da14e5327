"""What stands in a store's file, as another process sees it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from mountfs.tree.store import Store


def count_nodes(store: Store) -> int:
    """Rows of nodes whose transaction is over."""
    with closing(sqlite3.connect(store.path)) as db:
        return int(db.execute("SELECT count(*) FROM nodes").fetchone()[0])
