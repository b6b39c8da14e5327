"""Orders that find at their places what an earlier order of ours has put there: a rename or a new file that
was given up, and took effect after that."""

from __future__ import annotations

from daemon.commit.verdicts import is_same
from mountfs.errors import Busy
from mountfs.model.entry import Entry, File
from mountfs.model.order import OrderKind
from mountfs.model.path import fold
from mountfs.tree.node import Flight, Node
from mountfs.tree.remote import is_late
from mountfs.tree.tree import Tree

ARRIVED = Busy("an earlier order, which had been given up, took effect there")
"""Why such an order is sent again: nobody else was first. Its folder is listed meanwhile, so that the plan
knows what is there, and has it moved on or removed first."""
TAKE_A_FREE_PLACE = (OrderKind.COPY, OrderKind.MOVE)
"""A file that is sent replaces a late one of its name by itself, and a folder waits for it."""


def is_arrival(tree: Tree, flight: Flight, standing: Entry | None) -> bool:
    """Whether *standing*, which the service has at the place of *flight*, is such a thing, and neither what
    the flight was to make nor what it was to replace."""
    folder = flight.parent
    if standing is None or folder is None or flight.kind in (OrderKind.DELETE, OrderKind.SET_TIME):
        return False
    with tree.lock:
        is_moved, is_one = tree.late.is_moved(folder, standing), tree.late.is_one(folder, standing)
        if not is_moved and not (is_one and flight.kind in TAKE_A_FREE_PLACE):
            return False  # so it is mostly, and needs no rows
        node = tree.by_remote_id(standing.id)
        if node is not None:
            is_own = node is flight.node or (flight.kind is OrderKind.MOVE and standing.id == flight.item_id)
            return is_moved and not is_own
        # Of what was removed here: with other bytes by now, it is somebody else's.
        is_older = isinstance(standing, File) and is_late(flight.node, standing)
        return is_one and not is_older and not is_same(flight, standing)


def moved_into(tree: Tree, flight: Flight, standing: Entry | None) -> Node | None:
    """The folder into which a folder above the place of *flight*, a removal, may have been moved by a rename
    of ours that was given up, and nothing tells of that yet. Then it tells nothing of the file that it is not
    at the place. `mv d e`, given up; e/f is removed as d/f, and the reply to that is lost; d becomes e after
    all, and f is in e by now, whatever others have put at d/f since."""
    if flight.kind is not OrderKind.DELETE or not flight.item_id:
        return None
    if standing is not None and standing.id in ("", flight.item_id):
        return None
    with tree.lock:
        at = flight.node.state.base_parent if tree.late.has_moves else None
        while at is not None and at.state.base is not None:
            goal, base = tree.late.goal(at.state.base.id), at.state.base
            into = None if goal is None else tree.node(goal[0])
            if goal is not None and not (into is at.state.base_parent and fold(goal[1]) == fold(base.name)):
                return into
            at = at.state.base_parent
        return None


def may_go(tree: Tree, flight: Flight) -> bool:
    """Whether what is in the folder that *flight* was to remove may be a file of ours that was given up and
    arrived since, and that goes: `mv f d/`, given up; `rm -r d`. Listing the folder tells."""
    with tree.lock:
        return flight.node.is_folder and tree.late.may_fill(flight.node)
