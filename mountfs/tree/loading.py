"""Rows of the store become nodes, with the folders they stand in."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mountfs.model.entry import Folder
from mountfs.tree.content import Content
from mountfs.tree.listing import Listing
from mountfs.tree.node import ROOT_ID, Node, Pending, State
from mountfs.tree.rows import NodeRow, Role
from mountfs.tree.store import Store

Held = dict[Role, dict[int, Content]]
"""Contents by their roles and the ids of their nodes."""

NOTHING: Held = {role: {} for role in Role}
"""Nodes that are clean hold no bytes of ours."""


class Loader:
    """Everything under the tree's lock."""

    def __init__(self, store: Store, nodes: dict[int, Node], admit: Callable[[Node, State], None]) -> None:
        """*nodes*: those in memory; *admit*: gives a node the state of its row, and what follows from it."""
        self._store = store
        self._nodes = nodes
        self._admit = admit

    def root(self, root_id: str) -> Node:
        """The top of the account, which has no row. *root_id*: the service's id of it."""
        root = Node(ROOT_ID, is_folder=True)
        root.state = State(None, "", None, Folder(root_id, ""))
        root.is_saved = True
        root.part.listing = self._store.listing(ROOT_ID) or root.part.listing
        self._nodes[ROOT_ID] = root
        return root

    def load(self, row: NodeRow, held: Held, listing: Listing | None = None) -> Node | None:
        """Makes the node of *row*, which is not in memory, and those it stands in, with their contents among
        *held*. None when it vanished with a folder above it."""
        way = [self._made(row)]
        vanished: set[int] = set()
        node: Node | None = None
        while way:
            above = self._row_above(way[-1], vanished)
            if above is not None:
                way.append(self._made(above))
                continue
            at = way.pop()
            node = self._admitted(at, held, None if way else listing)
            if node is None:
                vanished.add(at.id)
        return node

    def _made(self, row: NodeRow) -> NodeRow:
        """Makes the node of *row*, without a state, before those above it are made. Else two folders could
        wait for each other: after `mv a/b b; mv a b/a`, not sent yet, b is above a here, and a is above b at
        the service."""
        node = self._nodes[row.id] = Node(row.id, is_folder=row.is_folder)
        node.is_saved = True
        return row

    def _row_above(self, row: NodeRow, vanished: set[int]) -> NodeRow | None:
        """The row of a folder that has *row* in it, here or at the service, and that is not in memory yet."""
        for folder_id in (row.parent, row.base_parent):
            if folder_id is not None and folder_id not in self._nodes and folder_id not in vanished:
                found = self._store.node(folder_id)
                if found is not None:
                    return found
        return None

    def _admitted(self, row: NodeRow, held: Held, listing: Listing | None) -> Node | None:
        """Gives the node of *row* its state, and returns it, also where only a flight still knows it. All
        above it is in memory; None when it vanished with that."""
        node = self._nodes[row.id]
        parent = None if row.parent is None else self._nodes.get(row.parent)
        base_parent = None if row.base_parent is None else self._nodes.get(row.base_parent)
        is_special = row.kept is not None and row.kept.is_special
        if not row.is_dirty and (parent is None or (base_parent is None and not is_special)):
            del self._nodes[row.id]
            return None
        content, draft = held[Role.CONTENT].get(row.id), held[Role.DRAFT].get(row.id)
        if content is not None and draft is None and not content.is_flushed:
            content, draft = None, content  # it was being written
        # Where only the folder that the service had it in has vanished, the plan looks what is left of it
        # (``is_lost``), unless a rename that is on its way turns out to have taken it from there before.
        has_base = base_parent is not None or row.base_parent is None or parent is not None
        base = row.base if has_base else None
        name = base.name if base is not None and base.name == row.name else row.name  # one string of both
        state = State(
            parent, name, base_parent, base, content, draft, row.mtime_ns, row.refusal, kept=row.kept
        )
        if row.is_folder:
            node.part.listing = listing or self._store.listing(row.id) or node.part.listing
        if row.is_dirty:
            node.pending = Pending(row.touched_ns)
        self._admit(node, state)
        return node

    def node(self, node_id: int | None, held: Held = NOTHING) -> Node | None:
        """By its id, made with its contents among *held* if it is not in memory; None when there is no such
        node, or not any more."""
        if node_id is None:
            return None
        node = self._nodes.get(node_id)
        if node is not None:
            return node
        row = self._store.node(node_id)
        return None if row is None else self.load(row, held)

    def nodes_of(self, rows: Iterable[NodeRow]) -> Iterable[Node]:
        """The nodes of *rows* that are still there."""
        for row in rows:
            node = self._nodes.get(row.id) or self.load(row, NOTHING)
            if node is not None:
                yield node

    def enter(self, row: NodeRow, listing: Listing | None) -> Node | None:
        """The node of a row: as it is in memory, or as the row has it, with what is known of its listing.
        None when it vanished with a folder above it."""
        return self._nodes.get(row.id) or self.load(row, NOTHING, listing or Listing())
