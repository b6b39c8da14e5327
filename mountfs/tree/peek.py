"""What another process's store holds, without touching it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mountfs.model.entry import NS_PER_S
from mountfs.tree.label import read_label

TOP = 1
"""The row of the account's top folder."""


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


@dataclass(frozen=True, slots=True)
class LeftBytes:
    """Bytes of ours as a store has them: the path in the account, as the mount showed it, and the spool file
    with them. ``is_whole``: it was closed; of one that was not, ``size_bytes`` says less than there is."""

    path: str
    spool: str
    size_bytes: int
    mtime_ns: int
    is_whole: bool


def left_bytes(path: Path, labels: Mapping[str, str]) -> list[LeftBytes]:
    """All bytes of ours in the store at *path*, by their paths; those of removed files are nobody's.
    *labels*: of the files in the spool, which say it of new ones that have no row. sqlite3.Error when it
    cannot be read.

    Of a file that was closed, opened again and closed again, the newer version alone is told: a start takes
    it for the file's: `echo 1 > f; echo 2 > f`, and the mount is killed before the kernel releases f.
    """
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as db:
        names = {
            node: (parent, name) for node, parent, name in db.execute("SELECT id, parent, name FROM nodes")
        }
        rows = db.execute(
            "SELECT node, role, spool, size_bytes, time_s, time_ns, is_flushed FROM contents"
            " WHERE node IS NOT NULL AND role <> 'sent' ORDER BY id"
        ).fetchall()
        named = {spool for (spool,) in db.execute("SELECT spool FROM contents")}
    replaced = {
        node
        for node, role, spool, *_, is_flushed in rows
        if role == "draft" and is_flushed and spool in labels
    }
    found = []
    for node, role, spool, size_bytes, time_s, time_ns, is_flushed in rows:
        shown = _path(node, names)
        if shown is not None and not (role == "content" and node in replaced):
            found.append(LeftBytes(shown, spool, size_bytes, time_s * NS_PER_S + time_ns, bool(is_flushed)))
    for spool, text in labels.items():
        label = read_label(text) if spool not in named else None
        folder = _path(label.folder_id, names) if label is not None else None
        if label is not None and folder is not None:
            shown = f"{folder.rstrip('/')}/{label.name}"
            is_whole = label.size_bytes is not None
            found.append(LeftBytes(shown, spool, label.size_bytes or 0, label.mtime_ns, is_whole))
    return sorted(found, key=lambda each: each.path)


def _path(node: int, names: dict[int, tuple[int | None, str]]) -> str | None:
    """Where the mount shows *node*; None: nowhere."""
    parts: list[str] = []
    at: int | None = node
    while at is not None and at != TOP:
        if at not in names:
            return None
        at, name = names[at]
        parts.append(name)
    return None if at is None else "/" + "/".join(reversed(parts))
