"""Files that the service has already with the bytes of a pending one, and of which it is to make a copy.

A pending file has a *twin* from the moment when its hash is known until the service has made the copy. A copy
replaces nothing, so only a new file at a free name has one. Whatever happens to the twin meanwhile, our bytes
are here: they go up then.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from mountfs.model.entry import NS_PER_S, File
from mountfs.model.order import OrderKind
from mountfs.ports import BackendLimits
from mountfs.tree.content import Content, Twin
from mountfs.tree.node import Node, whole_seconds
from mountfs.tree.tree import Tree
from mountfs.tree.unsent import as_unsent

SMALL_COPIES_OF_ONE = 4
"""So many small files wait for copies of one file, each in a batch of its own."""
OWN_TIME_NS = 2 * NS_PER_S
"""A time that is so much older than the file was set by a program: clocks are no finer, and may be set."""
MOST_LOOKED_AT = 50
"""Files of the same bytes that are looked at for one that no other pending file is a copy of."""


def may_be_copied(node: Node, content: Content) -> bool:
    """Whether a copy by the service may stand for the bytes of *content*.

    An empty file is made as fast by itself. One whose order failed before is not copied: that failure may
    have been a copy's.
    """
    state = node.state
    is_new = state.base is None and state.flight is None and content.over is None
    has_failed = node.pending is not None and node.pending.attempts > 0
    return bool(
        is_new and not has_failed and content.size_bytes and not content.is_uploaded and content.is_whole
    )


def find_twin(
    tree: Tree, limits: BackendLimits, node: Node, content: Content, content_hash: str
) -> Twin | None:
    """A file of the service's with the bytes of *content*, whose hash is *content_hash*; None: they go up.

    Best is one with the same time, and of which few other pending files are to be copies: one batch copies no
    file twice. A few small files wait for the batches after it; of a thousand, most go up sooner than that. A
    large one waits for less time than its bytes would take.
    """
    waits = limits.batches_at_once > 1 or content.size_bytes >= limits.session_min_bytes
    most = math.inf if waits else SMALL_COPIES_OF_ONE
    times = [content.mtime_ns // NS_PER_S, *(() if _needs_time(limits, node, content) else (None,))]
    best: Twin | None = None
    known_files = tree.store.known_files
    for time_s in times:
        for item_id in known_files.with_bytes(content.size_bytes, content_hash, time_s, MOST_LOOKED_AT):
            copies = tree.copying.copies_of(item_id)
            file = _standing(tree, item_id, content, content_hash) if copies < most else None
            if file is not None:
                best, most = Twin(item_id, file.revision), copies
    return best


def is_at_service(tree: Tree, limits: BackendLimits, node: Node, step: OrderKind) -> bool:
    """Whether the service has the bytes that *node* needs for *step*: they went up, or it can copy them. A
    twin that is of no use any more goes, and the bytes have to go up."""
    content = node.state.content
    if step is not OrderKind.PUT and step is not OrderKind.COPY:
        return True
    if content is None or content.twin is None:
        return content is None or content.is_uploaded
    file = _standing(tree, content.twin.item_id, content, content.content_hash or "")
    if step is OrderKind.COPY and file is not None and file.revision == content.twin.revision:
        has_time = whole_seconds(file.mtime_ns) == whole_seconds(content.mtime_ns)
        if has_time or not _needs_time(limits, node, content):
            return True
    with tree.transaction():
        tree.change((node, node.state.holding(as_unsent(tree, content), node.state.draft)))
    return False


def copies_one_of(node: Node, item_ids: Collection[str]) -> bool:
    """Whether *node* is to be a copy of one of the service's files *item_ids*."""
    content = node.state.content
    return content is not None and content.twin is not None and content.twin.item_id in item_ids


def _needs_time(limits: BackendLimits, node: Node, content: Content) -> bool:
    """Whether the service is to be told the time of *content*, and can be told it with the bytes alone: a
    small file that got a time from before it was made, as by `cp -p`, `rsync -a` or `tar x`. A large one is
    not sent for the sake of its time."""
    if limits.carries_times or content.size_bytes >= limits.session_min_bytes or node.pending is None:
        return False
    return content.mtime_ns < node.pending.since_ns - OWN_TIME_NS


def _standing(tree: Tree, item_id: str, content: Content, content_hash: str) -> File | None:
    """The service's file *item_id*, if it still has the bytes of *content* and is not about to be removed."""
    node = tree.by_remote_id(item_id)
    base = None if node is None else node.state.base
    if node is None or not isinstance(base, File) or base.id != item_id:
        return None
    flight = node.state.flight
    is_going = node.state.parent is None or (flight is not None and flight.kind is OrderKind.DELETE)
    has_bytes = base.size_bytes == content.size_bytes and base.content_hash == content_hash
    return base if has_bytes and not is_going else None
