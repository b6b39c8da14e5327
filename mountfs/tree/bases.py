"""Where the service has things, and where orders on their way will put them: what is looked up by that."""

from __future__ import annotations

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
        """Another node may have the id by now."""
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


def leave_gone(node: Node, before: State) -> bool:
    """Ends what ``enter_gone`` did; whether it had done anything: then the folder may be free to go."""
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
    """Enters *node* among those that the service has in a folder, and the mount does not show there."""
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
    """The names of an order on its way are taken, and the folders above it stay where they are."""
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
    """Ends what ``take_off`` did; the folders that have no order on its way below them any more."""
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


def is_below(node: Node, top: Node) -> bool:
    """Whether *node* is *top* or below it, as it is shown, or was before it was removed."""
    return any(each is top for each in above(node))
