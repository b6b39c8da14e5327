"""Which folders are listed after a reply, since it tells that something is not where it was thought to be."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.commit.arrivals import ARRIVED, moved_into
from daemon.commit.verdicts import Rebase, Retry, Verdict
from mountfs.errors import NotADirectory, NotFound
from mountfs.model.order import OrderKind
from mountfs.tree.listings import Listings
from mountfs.tree.node import Flight, Node
from mountfs.tree.tree import Tree


def relist_lost_parents(
    tree: Tree, listings: Listings, flights: Sequence[Flight], verdicts: Sequence[Verdict]
) -> None:
    """Where the service has no folder for something any more, the folder above that one is listed: it
    tells what became of it. An answer that cannot be looked into now does not count as a no. The folder
    itself, where an earlier order of ours has put something there, or has taken there what was to be
    removed."""
    above: dict[int, tuple[Node, list[Node]]] = {}
    arrived: dict[int, Node] = {}
    for flight, verdict in zip(flights, verdicts, strict=True):
        error = verdict.error if isinstance(verdict, Retry | Rebase) else None
        entered = (flight.parent or moved_into(tree, flight, None)) if error is ARRIVED else None
        if entered is None and error is ARRIVED and flight.node.is_folder:
            entered = flight.node  # it was to be removed, and is not empty
        if entered is not None:
            arrived[entered.id] = entered
        if not isinstance(error, NotFound | NotADirectory):
            continue
        with tree.lock:
            state = flight.node.state
            places = [flight.parent.state.base_parent if flight.parent is not None else None]
            places += [state.base_parent] if flight.kind is OrderKind.MOVE else []
        for folder in places:
            if folder is not None:
                above.setdefault(folder.id, (folder, []))[1].append(flight.node)
    for folder in arrived.values():
        listings.try_relist(folder)
    for folder, nodes in above.values():
        if not listings.try_relist(folder):
            with tree.lock:
                for node in nodes:
                    if node.pending is not None:
                        node.pending.refusals = max(0, node.pending.refusals - 1)


def look_for_removed(tree: Tree, listings: Listings, done: Sequence[Flight]) -> None:
    """A file that was removed may stand elsewhere, by a rename of ours that had been given up, and whose
    news came before the removal had its outcome: the folder is listed, and the file removed there."""
    with tree.lock:
        ids = {tree.late.led_to(flight) for flight in done}
        folders = [tree.node(each) for each in ids if each is not None]
    for folder in folders:
        if folder is not None:
            listings.try_relist(folder)
