"""Labels of spool files: whose the bytes are, until the store knows.

Bytes that are being written have no row until they are closed, or have been open for a moment. A process that
dies before that leaves a file that nothing names; its label says where the bytes belong.
"""

from __future__ import annotations

from mountfs.tree.node import Node

NOBODYS = ""
"""The file was removed while it was open: on any disk a crash takes it away."""


def label_of(folder: Node, name: str) -> str:
    """For the bytes of the file *name* in *folder*."""
    return f"{folder.id} {name}"


def read_label(label: str) -> tuple[int, str] | None:
    """The folder's id and the name; None where it is none of ours."""
    folder_id, space, name = label.partition(" ")
    if not space or not name or not folder_id.isdecimal():
        return None
    return int(folder_id), name
