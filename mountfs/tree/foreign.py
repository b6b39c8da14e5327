"""A journal of another version of mountfs: what is left in it.

Its rows are not converted: what a column means to another version, this one cannot know. All versions have in
common ``schema`` and ``program`` of ``meta``, and these: ``nodes.is_dirty``, ``nodes.kind``,
``nodes.attributes``, ``nodes.time_s``, ``contents.node``, ``flights``, ``notices``. What is pinned is in the
table ``pins``; up to version 5 it was in a fact of that name. One that has anything else to lose has a table
of a name that is none here, and then nothing is known of it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mountfs.tree.attributelog import ENDING
from mountfs.tree.database import UNREADABLE, connect_to_read
from mountfs.tree.schema import DDL, VERSION

PROGRAM = "program"
"""The store's fact with the version of the mountfs that wrote it last."""

_PENDING = (
    "SELECT count(*) FROM nodes WHERE is_dirty AND kind <> 'special'",
    "SELECT count(*) FROM contents WHERE node IS NOT NULL",
    "SELECT count(*) FROM flights",
)
_PINS = "pins"
_OWN = (
    "SELECT count(*) FROM nodes WHERE kind = 'special' OR attributes IS NOT NULL OR time_s IS NOT NULL",
    "SELECT count(*) FROM notices",
)


@dataclass(frozen=True, slots=True)
class Foreign:
    """*version*: of the journal. *program*: that of the mountfs that wrote it; "": it does not say.
    *pending*: how many changes; None: that cannot be told. *own*: how much is kept that the service does not
    have, such as modes and links. *set_aside*: how many files of lost changes lie beside it."""

    version: int
    program: str
    pending: int | None
    own: int
    set_aside: int = 0

    @property
    def is_spent(self) -> bool:
        """Whether all that it was for is over."""
        return self.pending == 0 and not self.own and not self.set_aside


def foreign(path: Path, spool: Path, set_aside: Path) -> Foreign | None:
    """Of the store at *path*, which no process writes to; None: there is none, it is of this version, or it
    is damaged. *set_aside*: the directory of files of lost changes."""
    if not path.is_file():
        return None
    try:
        with closing(connect_to_read(path)) as db:
            facts = dict(
                db.execute("SELECT key, value FROM meta WHERE key IN ('schema', ?, ?)", (PROGRAM, _PINS))
            )
            version = str(facts.get("schema", ""))
            if not version.isdecimal() or version == str(VERSION):
                return None
            pending, own = _left(db, spool)
    except UNREADABLE:
        return None
    has_more = bool(facts.get(_PINS)) or _size(Path(f"{path}{ENDING}")) > 0
    return Foreign(int(version), facts.get(PROGRAM, ""), pending, own + has_more, _files(set_aside))


def _left(db: sqlite3.Connection, spool: Path) -> tuple[int | None, int]:
    try:
        with closing(sqlite3.connect(":memory:")) as known:
            known.executescript(DDL)
            tables = _tables(db)
            if tables - _tables(known):
                return None, 0
        own = [*_OWN, f"SELECT count(*) FROM {_PINS}"] if _PINS in tables else _OWN
        counts = [[db.execute(query).fetchone()[0] for query in queries] for queries in (_PENDING, own)]
        files = sum(each.stat().st_size > 0 for each in os.scandir(spool)) if spool.is_dir() else 0
    except (*UNREADABLE, OSError):
        return None, 0
    return max(*counts[0], files), sum(counts[1])


def _tables(db: sqlite3.Connection) -> set[str]:
    rows = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {name for (name,) in rows}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _files(directory: Path) -> int:
    try:
        return sum(1 for _ in directory.iterdir())
    except FileNotFoundError:
        return 0
    except OSError:
        return 1  # who knows
