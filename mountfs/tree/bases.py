"""Indexes of nodes by their places at the service: where it has them, and where flights will put them.

The mount shows a node in the ``children`` of its folder. A node that the service has elsewhere, or that was
removed here, is also in ``gone`` of the folder that the service has it in: after `mv a/f b/` f is a child of
b, and gone from a. A node with a flight is in ``claims`` of the folder that the flight puts it into.
"""

from __future__ import annotations

from collections.abc import Iterator

from mountfs.model.entry import Entry
from mountfs.model.path import fold
from mountfs.tree.node import ROOT_ID, Node, State, above


class ByRemoteId:
    """Nodes in memory by the service's ids."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def get(self, remote_id: str) -> Node | None:
        return self._nodes.get(remote_id)

    def enter(self, node: Node, base: Entry | None) -> None:
        if base is not None and base.id:
            self._nodes[base.id] = node

    def leave(self, node: Node, base: Entry | None) -> None:
        """Takes *node* out, unless another node has its id by now."""
        if base is not None and base.id and self._nodes.get(base.id) is node:
            del self._nodes[base.id]


def base_child(folder: Node, key: str) -> Node | None:
    """What the service has in *folder* under a folded name, as far as that is in memory."""
    part = folder.part
    if part.gone is not None:
        found = part.gone.get(key)
        if found is not None:
            return found
    child = part.children.get(key) if part.children is not None else None
    if child is None or child.state.base is None or child.state.base_parent is not folder:
        return None
    return child if fold(child.state.base.name) == key else None


def claimant(folder: Node, key: str) -> Node | None:
    """The node to which an order on its way will give a folded name in *folder*."""
    claims = folder.part.claims
    return None if claims is None else claims.get(key)


def leave_gone(node: Node, before: State) -> bool:
    """Takes *node* out of ``gone`` of the folder that the service had it in; whether it was there. Then an
    order for that folder may be due: `mv d/f .; rmdir d` removes d once f has left it."""
    if before.base is None or before.base_parent is None:
        return False
    part = before.base_parent.part
    key = fold(before.base.name)
    if part.gone is None or part.gone.get(key) is not node:
        return False
    del part.gone[key]
    if not part.gone:
        part.gone = None
    return True


def enter_gone(node: Node, after: State) -> None:
    """Enters *node* into ``gone`` of the folder that the service has it in, unless the mount shows it there
    by the same name."""
    if after.base is None or after.base_parent is None:
        return
    key = fold(after.base.name)
    if after.parent is after.base_parent and node.key == key:
        return
    part = after.base_parent.part
    if part.gone is None:
        part.gone = {}
    part.gone[key] = node


def take_off(node: Node, after: State) -> None:
    """Enters the flight of *after*: its name is claimed, and the folders above both of its places count it,
    so that no order moves or removes them meanwhile."""
    flight = after.flight
    if flight is None:
        return
    if flight.parent is not None:
        part = flight.parent.part
        if part.claims is None:
            part.claims = {}
        part.claims[fold(flight.name)] = node
    for start in {id(each): each for each in (flight.parent, after.base_parent) if each is not None}.values():
        at: Node | None = start
        while at is not None:
            at.part.flights_below += 1
            flight.above.append(at)
            at = at.state.base_parent


def land(node: Node, before: State) -> list[Node]:
    """Takes the flight of *before* out again. Returns the folders that have no flight below them any more:
    they may be moved or removed."""
    flight = before.flight
    if flight is None:
        return []
    if flight.parent is not None:
        part = flight.parent.part
        if part.claims is not None and part.claims.get(fold(flight.name)) is node:
            del part.claims[fold(flight.name)]
            if not part.claims:
                part.claims = None
    for folder in flight.above:
        folder.part.flights_below -= 1
    free = [folder for folder in flight.above if not folder.part.flights_below]
    flight.above.clear()
    return free


def is_attached(node: Node) -> bool:
    """Whether the folders above *node* lead to the root: a folder that vanished takes along what is in it."""
    at: Node | None = node
    while at is not None:
        if at.id == ROOT_ID:
            return True
        at = at.state.parent if at.state.parent is not None else at.state.base_parent
    return False


def based_above(node: Node) -> Iterator[Node]:
    """*node* and the folders above it, the nearest first: where the service has them."""
    at: Node | None = node
    while at is not None:
        yield at
        at = at.state.base_parent


def is_below(node: Node, top: Node) -> bool:
    """Whether *node* is *top* or below it, as it is shown, or was before it was removed."""
    return any(each is top for each in above(node))


def is_in(folder: Node, node: Node) -> bool:
    """Whether *folder* is *node*, or is shown below it."""
    at: Node | None = folder
    while at is not None:
        if at is node:
            return True
        at = at.state.parent
    return False
