"""What only this machine keeps of the files of a mount, in lines of JSON that another one can load."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator

from daemon.core import Core
from mountfs.errors import InvalidArgument
from mountfs.tree.kept import PERMISSIONS
from mountfs.tree.keptrows import KeptRow
from mountfs.tree.node import Node

_KINDS = {
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "characters",
    stat.S_IFBLK: "blocks",
}


def kept_lines(core: Core, top: Node, after: str) -> Iterator[str]:
    """One page of what is kept of what is shown at or below *top*; the last line is where the next page
    begins, and empty after the last page. *after*: that line of the page before; empty: the first page.
    InvalidArgument."""
    if not (after or "0").isdecimal():
        raise InvalidArgument(f"no page begins at {after}")
    if not after:
        core.durability.save()  # new files have no row at first
    with core.tree.lock:
        rows, following = core.tree.store.kept.page(top.id, int(after or "0"))
    for row in rows:
        if row.kept.target and row.kind != "special":
            continue  # a link that the service keeps: it is on the other machine
        yield json.dumps(_fields(row))
    yield "" if following is None else str(following)


def _fields(row: KeptRow) -> dict[str, object]:
    kept, mode = row.kept, row.kept.mode
    is_special = row.kind == "special"
    fields: dict[str, object] = {
        "path": "/".join(row.path) or ".",
        "kind": _KINDS.get(stat.S_IFMT(mode or 0), "file") if is_special else row.kind,
        "mode": None if mode is None or kept.is_link else f"{mode & PERMISSIONS:04o}",
        "uid": kept.uid,
        "gid": kept.gid,
        "mtime_ns": row.mtime_ns,
        "size": row.size_bytes,
        "target": kept.target if is_special and kept.is_link else None,
        "device": kept.device or None,
        "xattrs": {name: value.decode("latin-1") for name, value in kept.xattrs} or None,
    }
    return {name: each for name, each in fields.items() if each is not None}
