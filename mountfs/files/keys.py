"""Names of bytes: equal for two opens that must see the same ones."""

from __future__ import annotations

from mountfs.tree.content import Content

Key = int | str
"""Of bytes of ours the content's id, and of a revision its name: values that are in memory anyway."""


def content_key(content: Content) -> Key:
    """The name of bytes of ours."""
    return content.id


def revision_key(revision: str) -> Key:
    """The name of bytes that are a revision of the service."""
    return revision
