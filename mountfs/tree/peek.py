"""What another process's store holds, without touching it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Holding:
    """What is not clean in a store, and the bytes it carries."""

    count: int
    size_bytes: int


def holding(path: Path) -> Holding:
    """Counts what is pending in the store at *path*; nothing if there is none, or it cannot be read."""
    if not path.is_file():
        return Holding(0, 0)
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)
        try:
            (count,) = db.execute("SELECT count(*) FROM nodes WHERE is_dirty").fetchone()
            (size_bytes,) = db.execute(
                "SELECT coalesce(sum(size_bytes), 0) FROM contents WHERE node IS NOT NULL"
            ).fetchone()
            return Holding(count, size_bytes)
        finally:
            db.close()
    except sqlite3.Error:
        return Holding(0, 0)
