"""What another process's journal holds, without touching it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from mountfs.model.change import FINAL_STATES


@dataclass(frozen=True, slots=True)
class Holding:
    """Live changes in a journal, and the bytes they carry."""

    count: int
    size_bytes: int


def holding(path: Path) -> Holding:
    """Counts what is live in the journal at *path*; nothing if there is none, or it cannot be read."""
    final = ", ".join(f"'{state}'" for state in sorted(FINAL_STATES))
    query = f"SELECT count(*), coalesce(sum(size_bytes), 0) FROM changes WHERE state NOT IN ({final})"
    if not path.is_file():
        return Holding(0, 0)
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)
        try:
            return Holding(*db.execute(query).fetchone())
        finally:
            db.close()
    except sqlite3.Error:
        return Holding(0, 0)
