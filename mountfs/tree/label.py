"""Labels of spool files: whose the bytes are, until the store knows.

Bytes that are being written have no row, nor has a new file that was closed a moment ago: rows of many are
written together. A process that dies before that leaves a file that nothing names; its label says where the
bytes belong, and whether they are whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from mountfs.model.entry import NS_PER_S
from mountfs.tree.kept import Kept, kept_of, text_of
from mountfs.tree.node import Node

NOBODYS = ""
"""Label of a file that was removed while it was open: after a crash nobody gets its bytes, as on any disk."""

GAPPED = "gapped"
"""Label of a file with gaps, holes for bytes of a revision. Its rows alone say where they are."""

_LABEL = re.compile(
    r"(\d{1,19})(?::(\d{1,19}):(-?\d{1,28})(?::(\d{1,19}))?)?(\{[^ ]*\})? (.+)",
    re.ASCII | re.DOTALL,
)
"""Numbers as large as the store takes, a time being in nanoseconds; it would choke on larger ones."""
MOST_KEPT = 256
"""Characters of attributes in a label."""
MOST = 2**63 - 1
"""The largest number that the store takes."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a label says; the name may be one that no file can have. ``size_bytes`` and ``mtime_ns`` are of
    the close; None: it was never closed. ``kept``: its attributes. ``node_id``: its inode number; None
    where it was never closed."""

    folder_id: int
    name: str
    size_bytes: int | None = None
    mtime_ns: int = 0
    kept: Kept | None = None
    node_id: int | None = None


def label_of(folder: Node, name: str, kept: Kept | None = None) -> str:
    """For the bytes of the file *name* in *folder*, which is being written for the first time."""
    return f"{folder.id}{said_of(kept)} {name}"


def closed_label(node: Node, folder: Node, size_bytes: int, mtime_ns: int) -> str:
    """For those of *node*, a new file in *folder* that was closed."""
    state = node.state
    return f"{folder.id}:{size_bytes}:{mtime_ns}:{node.id}{said_of(state.kept)} {state.name}"


def can_be_labelled(kept: Kept | None) -> bool:
    """Whether a label can say all that is kept of a file: a space ends it, and few bytes fit into a label."""
    return _fits(text_of(kept))


def said_of(kept: Kept | None) -> str:
    """What a label says of *kept*: mode and owner at least, or a private file would be one for all."""
    if kept is None:
        return ""
    text = text_of(kept)
    if not _fits(text):
        text = text_of(replace(kept, xattrs=(), target=""))
    return text or ""


def _fits(text: str | None) -> bool:
    return text is None or (len(text) <= MOST_KEPT and " " not in text)


def read_label(label: str) -> Label | None:
    """None where it is none of ours."""
    found = _LABEL.fullmatch(label)
    if found is None:
        return None
    folder_id, size_bytes, mtime_ns, node_id, attributes, name = found.groups()
    try:
        kept = kept_of(attributes)
    except (ValueError, TypeError):
        return None
    if kept is not None and kept.is_special:
        return None  # one that holds bytes would never be sent
    read = Label(int(folder_id), name, kept=kept)
    if size_bytes is not None:
        number = None if node_id is None else int(node_id)
        read = Label(int(folder_id), name, int(size_bytes), int(mtime_ns), kept, number)
    is_fit = max(read.folder_id, read.size_bytes or 0, abs(read.mtime_ns) // NS_PER_S) <= MOST
    return read if is_fit else None
