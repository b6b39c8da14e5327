"""Bytes of ours that have to go up: the service has nothing of them that is of use."""

from __future__ import annotations

from dataclasses import replace

from mountfs.tree.content import Content
from mountfs.tree.tree import Tree


def as_unsent(tree: Tree, content: Content) -> Content:
    """*content* as if nothing of it had been sent; its session is to be ended. Inside a transaction."""
    tree.add_orphan(content.session)
    tree.store.parts.clear(content.id)
    return replace(content, content_hash=None, session=None, twin=None)
