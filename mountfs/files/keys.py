"""What names a content: equal for two opens that must see the same bytes."""

from __future__ import annotations

from mountfs.model.entry import File
from mountfs.namespace.node import Node


def change_key(change_id: int) -> str:
    """The key of content that belongs to a pending change."""
    return f"change:{change_id}"


def revision_key(revision: str) -> str:
    """The key of content that is a revision of the service."""
    return f"revision:{revision}"


def key_of(node: Node) -> str:
    """The key of the content that *node*, a file, shows."""
    if node.change is not None:
        return change_key(node.change.id)
    assert isinstance(node.entry, File)
    return revision_key(node.entry.revision)
