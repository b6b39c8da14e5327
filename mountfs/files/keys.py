"""Names of bytes: equal for two opens that must see the same ones."""

from __future__ import annotations

from mountfs.model.entry import File
from mountfs.tree.content import Content

Key = int | str
"""Of bytes of ours the content's id, and of a revision its name: values that are in memory anyway."""


def content_key(content: Content) -> Key:
    """The name of bytes of ours."""
    return content.id


def revision_key(revision: str) -> Key:
    """The name of bytes that are a revision of the service."""
    return revision


def key_of(content: Content | None, file: File | None) -> Key:
    """The name of what an open file shows: *content*, or else the revision *file*."""
    if content is not None:
        return content_key(content)
    return "" if file is None else revision_key(file.revision)
