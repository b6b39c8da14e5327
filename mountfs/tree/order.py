"""What a node wants of the service next, and what must take effect before that. Pure: changes nothing.

A node wants one thing at a time: removal, or being made, or a move, or its bytes, or its time; when the
service has done that, it wants the next. An order is about *base* places, where the service has things; its
paths are made of those when it is sent.

    a file in a folder that is new              waits for the folder, or makes it by the way
    a file in a folder that is to be moved      waits for the move, unless the move waits for the file
    a file in a folder that is leaving          waits for that, unless that waits for the file
    `mv a b` where b stands there still         waits until b is removed or moved away
    `rmdir d` while something is to leave d     waits for that
    anything whose folder is on its way         waits for the outcome
    a folder with orders on their way in it     waits for their outcomes
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from mountfs.model.entry import File
from mountfs.model.order import MAKES_A_FILE, OrderKind
from mountfs.model.path import fold
from mountfs.ports import BackendLimits
from mountfs.tree.bases import claimant
from mountfs.tree.node import ROOT_ID, Flight, FolderPart, Node, has_moved
from mountfs.tree.tree import Tree
from mountfs.tree.word import is_leaving, is_refused, keeper_of, keeps_here, wants_time

_MOVING = frozenset({OrderKind.DELETE, OrderKind.MOVE, OrderKind.MAKE_FOLDER})


@dataclass(frozen=True, slots=True)
class Blocked:
    """What a node has to wait for: *by* must take effect first. *by* is None: orders on their way below the
    folder; the tree has the folder looked at again when they are over. ``is_soft``: to wait is only cheaper,
    and the node goes first where *by* waits for it in turn."""

    by: Node | None
    is_soft: bool = False


def next_step(node: Node, limits: BackendLimits) -> OrderKind | None:
    """What *node* wants; None: nothing, or it is on its way, or its bytes are still being written."""
    state = node.state
    if state.flight is not None:
        return None
    if state.parent is None:
        return None if state.base is None else OrderKind.DELETE
    if state.base is None:
        if node.folder is not None:
            return OrderKind.MAKE_FOLDER
        if state.content is None:
            return None
        return OrderKind.PUT if state.content.twin is None else OrderKind.COPY
    if has_moved(state):
        return OrderKind.MOVE
    if is_leaving(state):
        return OrderKind.DELETE
    if state.content is not None:
        return OrderKind.PUT
    return OrderKind.SET_TIME if limits.carries_times and wants_time(state) else None


def blocked(
    tree: Tree, node: Node, step: OrderKind, limits: BackendLimits, batch: Collection[Node] = ()
) -> Blocked | None:
    """What *node* has to wait for before it takes *step*; None: nothing.

    *batch*: nodes that are about to be sent together with this one. A node that is on a detour, to a third
    name for a moment, asks for no name that another node may have.
    """
    state, part = node.state, node.folder
    if part is not None and step in (OrderKind.DELETE, OrderKind.MOVE) and part.flights_below:
        return Blocked(None)
    if step is OrderKind.DELETE:
        return _blocked_removal(tree, node) or _blocked_above(state.base_parent)
    assert state.parent is not None
    if step is OrderKind.MOVE and node.pending is not None and node.pending.is_detoured:
        return _blocked_above(state.base_parent) or _blocked_above(detour_folder(node))
    found = _blocked_by_folders(tree, node, step, state.parent, limits, batch)
    if found is not None or step is OrderKind.SET_TIME or (step is OrderKind.PUT and state.base is not None):
        return found
    if step is OrderKind.MOVE:
        found = _blocked_above(state.base_parent) or _blocked_by_own_contents(node, state.parent)
    return found or _blocked_name(tree, node, state.parent, fold(state.name))


def detour_folder(node: Node) -> Node:
    """The folder in which *node* has a third name for a moment: the one it is to be moved into, or the
    nearest above that, as the mount shows them, which the service has and has not below *node*.

    Not the folder that *node* is in: `mv d/g new; rm d/f; mv -T new d` makes the new d once the old one is
    removed, and that waits until g has left it.
    """
    at = node.state.parent
    assert at is not None
    while at.id != ROOT_ID and (at.state.base is None or node in _bases(at)):
        assert at.state.parent is not None
        at = at.state.parent
    return at


def new_folders_above(node: Node) -> list[Node]:
    """The folders above *node* that the service does not have yet, the highest first."""
    found: list[Node] = []
    at = node.state.parent
    while at is not None and at.state.base is None:
        found.append(at)
        at = at.state.parent
    found.reverse()
    return found


def is_lost(node: Node) -> bool:
    """Whether the service has *node* in a folder that has vanished, so that the node has vanished with it.

    Not what was removed here on its way into a folder that vanished meanwhile, and that is to be made again:
    it arrived after that, or else it would have been lost with the folder, and is to be removed there. Nor
    what is in a folder that an order on its way may have taken out of there before: its outcome tells.
    """
    state = node.state
    if state.base is None:
        return False
    at = state.base_parent
    if state.parent is None and at is not None and at.state.base is None and at.state.parent is not None:
        return False
    while at is not None and at.id != ROOT_ID and at.state.base is not None:
        if at.state.flight is not None:
            return False
        at = at.state.base_parent
    return at is None or at.id != ROOT_ID


def may_go_with(tree: Tree, before: Node, node: Node) -> bool:
    """Whether the bytes of *node* would be lost as a new revision of the removed file *before*: its removal
    was sent and given up, and may still take effect. Where the bytes are the same, a service need not make
    another revision of them, and that removal would take them. It is sent again, and they are a new file."""
    base, content = before.state.base, node.state.content
    if not isinstance(base, File) or content is None or not tree.late.may_remove(base.id):
        return False
    return content.content_hash in (None, base.content_hash)


# Inside


def _blocked_removal(tree: Tree, node: Node) -> Blocked | None:
    part = node.folder
    if part is not None:
        return _blocked_by_contents(tree, node, part)
    state = node.state
    assert state.base is not None
    assert state.base_parent is not None
    children = state.base_parent.part.children
    taker = children.get(fold(state.base.name)) if children is not None else None
    if taker is None or taker.folder is not None or keeps_here(taker) or may_go_with(tree, node, taker):
        return None
    # `rm f; echo x >f`: once the new file's bytes are whole it takes over the old one's place and history,
    # and there is nothing to be removed. So does a file of the service's that was edited and is moved here.
    content = taker.state.content
    is_replaced = taker.state.base is None or (content is not None and not content.is_whole)
    return Blocked(taker) if is_replaced else None


def _blocked_by_contents(tree: Tree, node: Node, part: FolderPart) -> Blocked | None:
    """What has to leave *node*, a folder, before that is removed."""
    if part.gone:
        return Blocked(next(iter(part.gone.values())))
    leaving = tree.leaving.get(node.id) if is_leaving(node.state) else None
    return Blocked(next(iter(leaving.values()))) if leaving else None


def _blocked_by_folders(
    tree: Tree, node: Node, step: OrderKind, parent: Node, limits: BackendLimits, batch: Collection[Node]
) -> Blocked | None:
    makes_file = step in MAKES_A_FILE
    is_carrying = limits.parents_implicit and (makes_file or step is OrderKind.MAKE_FOLDER)
    keeper = keeper_of(node)
    if keeper is not None and keeper is not node:
        return Blocked(keeper)
    is_relaxed = node.pending is not None and node.pending.is_relaxed
    at: Node | None = parent
    while at is not None and at.id != ROOT_ID:
        state = at.state
        if state.flight is not None and _is_on_its_way(at, state.flight, batch):
            return Blocked(at)
        if state.base is None:
            # What was answered with a no waits for the folder's own order: that tells what is in the way.
            is_tried = node.pending is not None and node.pending.refusals > 0
            if not is_carrying or (not makes_file if is_refused(at) else is_tried):
                return Blocked(at)
            # `mv d e; mkdir d; touch d/f`: while the old d has not left its name, d/f would land in it.
            assert state.parent is not None
            found = _blocked_name(tree, at, state.parent, fold(state.name))
            if found is not None:
                return found
        elif (has_moved(state) or is_leaving(state)) and state.flight is None and not is_relaxed:
            return Blocked(at, is_soft=True)
        at = state.parent
    return _blocked_above(parent, batch)


def _blocked_above(folder: Node | None, batch: Collection[Node] = ()) -> Blocked | None:
    """By an order on its way that makes, moves or removes *folder*, or one above it, at the service."""
    for at in _bases(folder):
        flight = at.state.flight
        if flight is not None and _is_on_its_way(at, flight, batch):
            return Blocked(at)
    return None


def _is_on_its_way(folder: Node, flight: Flight, batch: Collection[Node]) -> bool:
    """Whether what is in *folder* has to wait for the outcome of *flight*. Not for a new folder that is made
    in the same *batch*: it is there in time. But for one that is moved in the same batch, since an order
    names places as they are before the batch: after `mv x z`, `mv x/a y/` in one batch would make x anew."""
    if folder in batch and flight.kind is OrderKind.MAKE_FOLDER:
        return False
    return flight.kind in _MOVING


def _blocked_by_own_contents(node: Node, parent: Node) -> Blocked | None:
    """What must leave *node* first, because the folder that *node* is to be moved into is below it at the
    service: `mv a/b b; mv a b/a` moves b out of a before a into b."""
    if node.folder is None:
        return None
    leaving: Node | None = None
    for at in _bases(parent):
        if at is node:
            return Blocked(leaving)
        if has_moved(at.state) or at.state.parent is None:
            leaving = at
    return None


def _blocked_name(tree: Tree, node: Node, parent: Node, key: str) -> Blocked | None:
    claiming = claimant(parent, key)
    if claiming is not None and claiming is not node:
        return Blocked(claiming)
    there = tree.base_child(parent, key)
    return Blocked(there) if there is not None and there is not node else None


def _bases(folder: Node | None) -> Iterator[Node]:
    """*folder* and those above it, as the service has them."""
    at = folder
    while at is not None and at.id != ROOT_ID:
        yield at
        state = at.state
        at = state.base_parent if state.base is not None else state.parent
