"""What another process's store holds, without touching it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mountfs.model.entry import NS_PER_S
from mountfs.model.names import is_local_name
from mountfs.tree.database import UNREADABLE, connect_to_read
from mountfs.tree.gaprows import read_gaps
from mountfs.tree.label import read_label
from mountfs.tree.node import ROOT_ID
from mountfs.tree.overlay import Range

MOST_TIME_S = 2**40
"""Beyond any time of a file; a damaged store may say anything, also what utime(2) does not take."""

Names = Mapping[int, tuple[int | None, str]]
"""By the id of each node in a store: the folder it is shown in, and its name there."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a store is to send, and the bytes it carries; and what stays on this machine by its name."""

    count: int
    size_bytes: int
    local_count: int = 0
    local_bytes: int = 0


_LOCAL = """
    WITH RECURSIVE local (id) AS (
        SELECT id FROM nodes WHERE is_dirty AND base_name IS NULL AND is_local_name(name)
        UNION
        SELECT nodes.id FROM local JOIN nodes ON nodes.parent = local.id
        WHERE nodes.is_dirty AND nodes.base_name IS NULL
    )
    SELECT count(*), coalesce(sum((SELECT sum(size_bytes) FROM contents WHERE node = local.id)), 0) FROM local
"""
"""As ``word.keeps_here`` has it: what the service does not have, of such a name or in such a folder."""


def holding(path: Path, spool: Path) -> Holding:
    """Counts what is pending in the store at *path*, and the files in *spool* that it has no row of yet; not
    symbolic links and such, which nobody sends. Nothing if there is none, or it cannot be read."""
    if not path.is_file():
        return Holding(0, 0)
    try:
        with closing(_connect_beside(path)) as db:
            (count,) = db.execute("SELECT count(*) FROM nodes WHERE is_dirty").fetchone()
            (size_bytes,) = db.execute(
                "SELECT coalesce(sum(size_bytes), 0) FROM contents WHERE node IS NOT NULL"
            ).fetchone()
            db.create_function("is_local_name", 1, is_local_name, deterministic=True)
            local_count, local_bytes = db.execute(_LOCAL).fetchone()
            named = {name for (name,) in db.execute("SELECT spool FROM contents")}
        files = list(os.scandir(spool)) if spool.is_dir() else []
        unnamed = [size for file in files if file.name not in named and (size := file.stat().st_size)]
        return Holding(
            count - local_count + len(unnamed),
            size_bytes - local_bytes + sum(unnamed),
            local_count,
            local_bytes,
        )
    except (*UNREADABLE, OSError):
        return Holding(0, 0)


def names_file(path: Path, spool: str) -> bool:
    """Whether the store at *path* has a row of that spool file; it has none where it cannot be read."""
    return _has(path, "SELECT 1 FROM contents WHERE spool = ?", spool, if_unreadable=False)


def has_pins(path: Path) -> bool:
    """Whether anything is pinned in the store at *path*; not where there is no store. True where it cannot be
    read."""
    return _has(path, "SELECT 1 FROM pins", if_unreadable=True)


def _has(path: Path, query: str, *values: str, if_unreadable: bool) -> bool:
    if not path.is_file():
        return False
    try:
        with closing(_connect_beside(path)) as db:
            return db.execute(query, values).fetchone() is not None
    except UNREADABLE:
        return if_unreadable


def _connect_beside(path: Path) -> sqlite3.Connection:
    """For reading alone, though a process may write to it. UNREADABLE."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)


@dataclass(frozen=True, slots=True)
class LeftBytes:
    """Bytes of ours as a store has them: the names that lead to them in the account, as the mount showed
    them, and the spool file with them. ``is_whole``: it was closed; of one that was not, ``size_bytes`` says
    less than there is. ``lacks``: these ranges are holes, whose bytes only the service has. ``problem``: why
    the names or the spool file must not be used; None: they may be."""

    parts: tuple[str, ...]
    spool: str
    size_bytes: int
    mtime_ns: int
    is_whole: bool
    lacks: tuple[Range, ...] = ()
    problem: str | None = None

    @property
    def path(self) -> str:
        return "/" + "/".join(self.parts)


def left_bytes(path: Path, labels: Mapping[str, str], is_name: Callable[[str], bool]) -> list[LeftBytes]:
    """All bytes of ours in the store at *path*, which no process writes to, by their paths; those of removed
    files are nobody's.
    *labels*: of the files in the spool, which say it of new ones that have no row. *is_name*: whether a file
    of one directory may have a name; a damaged store, or one that somebody changed, may name anything.
    UNREADABLE when it cannot be read, ValueError where its gaps make no sense: nobody could tell them from
    zeros. Of any other row without sense all bytes are told, as of a file that was not closed.

    Of a file that was closed, opened again and closed again, the newer version alone is told: a start takes
    it for the file's: `echo 1 > f; echo 2 > f`, and the mount is killed before the kernel releases f.
    """
    with closing(connect_to_read(path)) as db:
        names = {
            node: (parent, name)
            for node, parent, name in db.execute("SELECT id, parent, name FROM nodes")
            if isinstance(name, str)
        }
        rows = db.execute(
            "SELECT node, role, spool, id, size_bytes, time_s, time_ns, is_flushed FROM contents"
            " WHERE node IS NOT NULL AND role <> 'sent' ORDER BY id"
        ).fetchall()
        gaps = read_gaps(db)
        named = {spool for (spool,) in db.execute("SELECT spool FROM contents")}
    replaced = {
        node
        for node, role, spool, *_, is_flushed in rows
        if role == "draft" and is_flushed and spool in labels
    }
    found = [
        _placed(names, node, (), _left(row[2:], tuple(gaps[content][0]) if content in gaps else ()))
        for row in rows
        for node, role, _, content, *_ in [row]
        if not (role == "content" and node in replaced)
    ]
    for spool, text in labels.items():
        label = read_label(text) if spool not in named else None
        if label is not None:
            is_whole = label.size_bytes is not None
            left = LeftBytes((), spool, label.size_bytes or 0, label.mtime_ns, is_whole)
            found.append(_placed(names, label.folder_id, (label.name,), left))
    told = [_checked(left, is_name) for left in found if left is not None]
    return sorted(told, key=lambda each: each.path)


def _left(row: Sequence[Any], lacks: tuple[Range, ...]) -> LeftBytes:
    spool, _, size_bytes, time_s, time_ns, is_flushed = row
    is_sized, is_timed = isinstance(size_bytes, int), isinstance(time_s, int) and isinstance(time_ns, int)
    if not is_sized or size_bytes < 0:
        size_bytes, is_flushed = 0, False
    mtime_ns = time_s * NS_PER_S + time_ns if is_timed and abs(time_s) < MOST_TIME_S else 0
    return LeftBytes((), str(spool), size_bytes, mtime_ns, bool(is_flushed), lacks)


def _placed(names: Names, node: int, last: tuple[str, ...], left: LeftBytes) -> LeftBytes | None:
    """*left* with its path: that of *node*, and *last* below it. None: it was removed."""
    above, end = names_down_to(node, names)
    if end is None:
        return None
    problem = None if end == ROOT_ID else "the journal lacks its folder, or has it inside of itself"
    return replace(left, parts=(*above, *last), problem=problem)


def _checked(left: LeftBytes, is_name: Callable[[str], bool]) -> LeftBytes:
    odd = next((part for part in left.parts if not is_name(part)), None)
    if odd is not None:
        return replace(left, problem=f"no file can have the name '{odd}', which the journal gives it")
    if not is_name(left.spool):
        return replace(left, problem=f"its bytes are to be in '{left.spool}', which is no file of the spool")
    return left


def names_down_to(node: int, names: Names) -> tuple[tuple[str, ...], int | None]:
    """The names on the way down to *node*, and the folder that they begin in: ``ROOT_ID``; None where that
    was removed; another id where the store is damaged: it has no row of that folder, or has it inside of
    itself."""
    parts: list[str] = []
    seen: set[int] = set()
    at: int | None = node
    while at is not None and at != ROOT_ID and at in names and at not in seen:
        seen.add(at)
        at, name = names[at]
        parts.append(name)
    return tuple(reversed(parts)), at
