"""What another process's store holds, without touching it."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Holding:
    """What is not clean in a store, and the bytes it carries."""

    count: int
    size_bytes: int


def holding(path: Path, spool: Path) -> Holding:
    """Counts what is pending in the store at *path*, and the files in *spool* that it has no row of yet;
    nothing if there is none, or it cannot be read."""
    if not path.is_file():
        return Holding(0, 0)
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)
        try:
            (count,) = db.execute("SELECT count(*) FROM nodes WHERE is_dirty").fetchone()
            (size_bytes,) = db.execute(
                "SELECT coalesce(sum(size_bytes), 0) FROM contents WHERE node IS NOT NULL"
            ).fetchone()
            named = {name for (name,) in db.execute("SELECT spool FROM contents")}
        finally:
            db.close()
        files = list(os.scandir(spool)) if spool.is_dir() else []
        unnamed = [size for file in files if file.name not in named and (size := file.stat().st_size)]
        return Holding(count + len(unnamed), size_bytes + sum(unnamed))
    except (sqlite3.Error, OSError):
        return Holding(0, 0)
