"""What holds of a tree in memory between any two transactions: the indexes agree with the nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mountfs.model.path import fold
from mountfs.tree import tally
from mountfs.tree.bases import is_attached
from mountfs.tree.node import ROOT_ID, Node, home_of
from mountfs.tree.tree import Tree


def faults_of(tree: Tree) -> list[str]:
    """A line for each thing that is wrong; takes the lock."""
    with tree.lock:
        detached = {folder.id: folder for folder in tree.residents._detached}
        folders = [node for node in {**detached, **tree.nodes}.values() if node.folder is not None]
        circles = list(_of_circles(tree))
        return circles or [
            *_of_what_is_ours(tree),
            *_of_children(tree, folders),
            *_of_count(tree),
            *_of_places_at_the_service(tree, folders),
            *_of_tallies(tree, folders),
        ]


def _of_circles(tree: Tree) -> Iterator[str]:
    """Nothing is above itself, here or at the service: whatever goes up would never end."""
    for node in tree.nodes.values():
        for way in ("parent", "base_parent"):
            seen: set[int] = set()
            at: Node | None = node
            while at is not None and at.id not in seen:
                seen.add(at.id)
                state = at.state
                at = getattr(state, way) or state.parent or state.base_parent
            if at is not None:
                yield f"node {node.id} {node.state.name!r}: by {way} it is below itself"


def _of_what_is_ours(tree: Tree) -> Iterator[str]:
    """Whatever is not clean, or open, can be reached from the root, and is the only node of its id."""
    for node in {**tree.dirty, **tree.refused}.values():
        state = node.state
        if tree.nodes.get(node.id) is not node:
            yield f"{node}: not clean, and not in memory"
        if state.parent is None and state.base is None and state.flight is None:
            yield f"{node}: not clean, and forgotten"
        if state.parent is not None:
            yield from _of_way_up(tree, node)
    for content_id, node in tree.contents.items():
        if tree.nodes.get(node.id) is not node:
            yield f"{node}: has content {content_id}, and is not in memory"
    for node in tree.nodes.values():
        if node.pins and node.state.parent is not None and is_attached(node):
            yield from _of_way_up(tree, node)


def _of_way_up(tree: Tree, node: Node) -> Iterator[str]:
    at = node
    while at.id != ROOT_ID:
        above = at.state.parent
        if above is None:
            yield f"{node}: shown in {at}, which is not shown"
            return
        if tree.nodes.get(above.id) is not above:
            yield f"{node}: the folder {above} above it is not in memory"
        part = above.part
        if part.children is not None:
            if part.children.get(at.key) is not at:
                yield f"{node}: {above} does not show {at}, but {part.children.get(at.key)}"
        elif not part.has_some and not part.loose:
            yield f"{node}: {above} does not know that it has any"
        at = above


def _of_children(tree: Tree, folders: list[Node]) -> Iterator[str]:
    for folder in folders:
        children = folder.part.children
        if folder.part.arrivals is not None and children is not None:
            yield f"{folder}: is loaded, and loading"
        if children is None:
            continue
        if folder.id != ROOT_ID and folder.state.parent is None and folder.state.base and children:
            yield f"{folder}: removed here, and shows {list(children.values())}"
        for key, child in children.items():
            if child.state.parent is not folder or child.key != key:
                yield f"{folder}: shows {child} as {key}, which is in {child.state.parent}"
            if tree.nodes.get(child.id) is not child:
                yield f"{folder}: shows {child}, which is not in memory"
        if folder.part.folders != sum(child.folder is not None for child in children.values()):
            yield f"{folder}: the number of folders in it is wrong"


def _of_count(tree: Tree) -> Iterator[str]:
    residents = tree.residents
    loaded = {**residents._folders, **{folder.id: folder for folder in residents._detached}}
    count = sum(len(folder.part.children or ()) for folder in loaded.values())
    if residents.count != count:
        yield f"{residents.count} children counted, {count} in memory"
    loose = Counter(id(node.state.parent) for node in residents._loose.values())
    for node in residents._loose.values():
        if tree.nodes.get(node.id) is not node:
            yield f"{node}: counts as found by its id, and is not in memory"
    for node in tree.nodes.values():
        if node.folder is not None and node.folder.loose != loose[id(node)]:
            yield f"{node}: {node.folder.loose} counted in it by their ids, {loose[id(node)]} there"
        if node.folder is not None and node.folder.children is not None and node.id not in loaded:
            yield f"{node}: its children are never let go of"
    for folder in residents._folders.values():
        if folder.part.children is None:
            yield f"{folder}: counts as loaded"
        elif folder.id not in tree.nodes and folder not in residents._detached:
            yield f"{folder}: vanished, and is kept"


def _of_places_at_the_service(tree: Tree, folders: list[Node]) -> Iterator[str]:
    below: dict[int, int] = {}
    for node in tree.dirty.values():
        flight = node.state.flight
        for folder in flight.above if flight is not None else ():
            below[folder.id] = below.get(folder.id, 0) + 1
    for folder in folders:
        part = folder.part
        for key, node in (part.gone or {}).items():
            base = node.state.base
            if base is None or node.state.base_parent is not folder or fold(base.name) != key:
                yield f"{folder}: {node} counts as gone from {key}"
            if tree.nodes.get(node.id) is not node:
                yield f"{folder}: {node} counts as gone from it, and is not in memory"
        for key, node in (part.claims or {}).items():
            flight = node.state.flight
            if flight is None or flight.parent is not folder or fold(flight.name) != key:
                yield f"{folder}: {node} claims {key}"
        if part.flights_below != below.get(folder.id, 0):
            yield f"{folder}: {part.flights_below} flights counted below it, {below.get(folder.id, 0)} there"


def _of_tallies(tree: Tree, folders: list[Node]) -> Iterator[str]:
    counts: dict[int, int] = {}
    for node in {**tree.dirty, **tree.refused}.values():
        at = home_of(node) if node.counted is not None else None
        if node.counted is not None and node.counted[3] is not at:
            yield f"{node}: counted in {node.counted[3]}, at home in {at}"
        while at is not None:
            counts[at.id] = counts.get(at.id, 0) + 1
            at = home_of(at)
    for folder in folders:
        counted = 0 if folder.part.tally is None else folder.part.tally[tally._ALL]
        if counted != counts.get(folder.id, 0):
            yield f"{folder}: {counted} counted below it, {counts.get(folder.id, 0)} there"
