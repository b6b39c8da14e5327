"""What the store has in a folder becomes nodes: all at once, or a part at a time.

``load_children`` is for whoever is inside a transaction. It holds the account's lock while it reads, for a
second where the folder has 50,000 entries. So whoever knows before his transaction which folders it may take
has them *held*: they are read in parts, and ``load_children`` finds them in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from mountfs.tree.bases import is_attached
from mountfs.tree.chunks import CHUNK, chunks
from mountfs.tree.node import Node, above
from mountfs.tree.rows import NodeRow
from mountfs.tree.tree import Tree


def load_children(tree: Tree, folder: Node) -> None:
    """Reads what the store has in *folder* into memory at once; for folders that hold something of ours."""
    if folder.part.children is None:
        _take(tree, folder, tree.store.children(folder.id))
        tree.residents.publish(folder)


def read_children(tree: Tree, folder: Node) -> None:
    """Reads what the store has in *folder* into memory, a part at a time. Without the lock; several threads
    may do so at once."""
    last_id = 0
    while True:
        with tree.lock:
            if folder.part.children is not None:
                return
            rows = tree.store.children(folder.id, after_id=last_id, most=CHUNK)
            _take(tree, folder, rows)
            if len(rows) < CHUNK:
                tree.residents.publish(folder)
                break
            last_id = rows[-1].id
    if tree.residents.has_many_loose:
        tree.shrink()  # a large folder has given way


def _take(tree: Tree, folder: Node, rows: list[NodeRow]) -> None:
    tree.residents.begin(folder)
    for part in chunks(rows, CHUNK):
        listings = tree.store.listings_of(part)
        for row in part:
            node = tree.enter_row(row, listings.get(row.id))
            if node is not None and node.state.parent is folder:
                tree.residents.take(folder, node)


@contextmanager
def held(tree: Tree, folders: Iterable[Node]) -> Iterator[None]:
    """Has what is in *folders* in memory meanwhile. Not under the lock."""
    kept: list[Node] = []
    try:
        for folder in folders:
            with tree.lock:
                if tree.nodes.get(folder.id) is not folder or not is_attached(folder):
                    continue
                tree.residents.keep(folder)
                kept.append(folder)
            read_children(tree, folder)
        yield
    finally:
        if kept:
            with tree.lock:
                tree.residents.let_go(kept)


def unread_about(node: Node) -> list[Node]:
    """The folders that are not in memory, and that are looked into where *node* gets another place: those it
    is, was or will be in, and those in which removed folders above it are shown again. Under the lock."""
    state = node.state
    starts = (state.parent, state.base_parent, state.flight.parent if state.flight is not None else None)
    found: dict[int, Node] = {}
    for start in starts:
        for at in () if start is None else above(start):
            if at is start:
                found[at.id] = at
            if at.state.parent is None and at.state.base_parent is not None:
                found[at.state.base_parent.id] = at.state.base_parent
    return [folder for folder in found.values() if folder.part.children is None]
