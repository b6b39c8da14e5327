"""Names of bytes: equal for two opens that must see the same ones."""

from __future__ import annotations

from mountfs.tree.content import Content


def content_key(content: Content) -> str:
    """The name of bytes of ours."""
    return f"content:{content.id}"


def revision_key(revision: str) -> str:
    """The name of bytes that are a revision of the service."""
    return f"revision:{revision}"
