"""Files that the service has already with the bytes of a pending one, and of which it is to make a copy.

A pending file has a *twin* from the moment when its hash is known until the service has made the copy. A copy
replaces nothing, so only a new file at a free name has one. Whatever happens to the twin meanwhile, our bytes
are here: they go up then.
"""

from __future__ import annotations

from collections.abc import Collection

from mountfs.model.entry import NS_PER_S, File
from mountfs.model.order import OrderKind
from mountfs.tree.content import Content, Twin
from mountfs.tree.node import Node
from mountfs.tree.tree import Tree
from mountfs.tree.unsent import as_unsent

MOST_LOOKED_AT = 50
"""Files of the same bytes that are looked at for one that no other pending file is a copy of."""


def may_be_copied(tree: Tree, node: Node, content: Content) -> bool:
    """Whether the service may have the bytes of *content* already: only then it is worth hashing.

    An empty file is made as fast by itself. One whose order failed before is not copied: that failure may
    have been a copy's.
    """
    state = node.state
    is_new = state.base is None and state.flight is None and content.over is None
    has_failed = node.pending is not None and node.pending.attempts > 0
    if not is_new or has_failed or not content.size_bytes or content.is_uploaded or not content.is_whole:
        return False
    return tree.store.known_files.has_size(content.size_bytes)


def find_twin(tree: Tree, content: Content, content_hash: str, *, most: float) -> Twin | None:
    """A file of the service's with the bytes of *content*, whose hash is *content_hash*: best one of which no
    other pending file is to be a copy, and with the same time; at least one with fewer than *most* copies."""
    best: Twin | None = None
    time_s = content.mtime_ns // NS_PER_S
    for item_id in tree.store.known_files.with_bytes(
        content.size_bytes, content_hash, time_s, MOST_LOOKED_AT
    ):
        copies = tree.copying.copies_of(item_id)
        if copies >= most:
            continue
        file = _standing(tree, item_id, content.size_bytes, content_hash)
        if file is not None:
            best, most = Twin(item_id, file.revision), copies
    return best


def is_at_service(tree: Tree, node: Node, step: OrderKind) -> bool:
    """Whether the service has the bytes that *node* needs for *step*: they went up, or it can copy them. A
    twin that is of no use any more goes, and the bytes have to go up."""
    content = node.state.content
    if step is not OrderKind.PUT and step is not OrderKind.COPY:
        return True
    if content is None or content.twin is None:
        return content is None or content.is_uploaded
    file = _standing(tree, content.twin.item_id, content.size_bytes, content.content_hash or "")
    if step is OrderKind.COPY and file is not None and file.revision == content.twin.revision:
        return True
    with tree.transaction():
        tree.change((node, node.state.holding(as_unsent(tree, content), node.state.draft)))
    return False


def copies_one_of(node: Node, item_ids: Collection[str]) -> bool:
    """Whether *node* is to be a copy of one of the service's files *item_ids*."""
    content = node.state.content
    return content is not None and content.twin is not None and content.twin.item_id in item_ids


def _standing(tree: Tree, item_id: str, size_bytes: int, content_hash: str) -> File | None:
    """The service's file *item_id*, if it still has those bytes and is not about to be removed."""
    node = tree.by_remote_id(item_id)
    base = None if node is None else node.state.base
    if node is None or not isinstance(base, File) or base.id != item_id:
        return None
    flight = node.state.flight
    is_going = node.state.parent is None or (flight is not None and flight.kind is OrderKind.DELETE)
    has_bytes = base.size_bytes == size_bytes and base.content_hash == content_hash
    return base if has_bytes and not is_going else None
