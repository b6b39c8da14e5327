"""Makes flights of nodes that are ready, and writes them to the store before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass, field

from mountfs.model.entry import File, Place
from mountfs.model.order import MAKES_A_FILE, OrderKind
from mountfs.model.path import RemotePath
from mountfs.tree.content import Content, Over, is_made_from
from mountfs.tree.node import ANY_BATCH_SIZE, Flight, Node, State, remote_id
from mountfs.tree.order import detour_folder, new_folders_above
from mountfs.tree.place import base_place, place_in, third_name
from mountfs.tree.plan import Plan
from mountfs.tree.rows import FlightRow
from mountfs.tree.tree import Tree
from mountfs.tree.twins import copies_one_of
from mountfs.tree.unsendable import Unsendable

LAUNCHED_AT_ONCE = 100
"""Orders written down in one transaction: nobody waits for the lock longer than that takes (10 ms)."""


@dataclass(slots=True, eq=False)
class Sent:
    """The flights of one batch: those with an outcome each, by position, and *carried*, new folders that
    their files make by the way. ``job``: the service's token of the batch while it works on it."""

    id: int
    kind: OrderKind
    flights: list[Flight]
    carried: list[Flight] = field(default_factory=list)
    job: str | None = None
    together: set[Node] = field(default_factory=set)
    """While it is filled: the nodes of its flights."""
    most: int = ANY_BATCH_SIZE
    """While it is filled: so many orders each of its nodes may go with."""


def launch(tree: Tree, plan: Plan, kind: OrderKind, most: int, now_s: float) -> Sent | None:
    """The first part of the next batch of *kind*, which may have *most* orders; its nodes are on their way
    from here on. None: no node is ready any more. NoSpace when the flights cannot be written down."""
    sent = Sent(tree.store.next_id(), kind, [])
    fill(tree, plan, sent, most, now_s)
    return sent if sent.flights else None


def fill(tree: Tree, plan: Plan, sent: Sent, most: int, now_s: float) -> bool:
    """Adds a part to a batch that was not sent yet; whether there may be more. In parts, so that the lock is
    let go of in between. As ``launch``."""
    part = min(most - len(sent.flights), sent.most - len(sent.flights), LAUNCHED_AT_ONCE)
    if part <= 0:
        return False
    with tree.lock:
        try:
            with tree.transaction():
                together = sent.together.copy()  # a roll-back leaves that of the parts before
                flights, carried, has_more = _fly_part(tree, plan, sent, together, part, now_s)
                first = len(sent.flights) + len(sent.carried)
                tree.store.save_flights([*flights, *carried], sent.id, first=first)
        except Unsendable as bug:
            plan.hold(bug, now_s)
            return True  # the roll-back has the others of this part looked at again
        for flight in (*flights, *carried):
            if flight.node.pending is not None:
                flight.node.pending.sent()
            sent.most = min(sent.most, _most_together(flight.node))
        sent.together = together
        sent.flights += flights
        sent.carried += carried
    return has_more


def _fly_part(
    tree: Tree, plan: Plan, sent: Sent, together: set[Node], most: int, now_s: float
) -> tuple[list[Flight], list[Flight], bool]:
    """At most so many flights for *sent*, the new folders that they carry, and whether there may be more.
    After Unsendable the caller undoes all of it: a folder must not be carried for a file that is not sent."""
    flights: list[Flight] = []
    carried: list[Flight] = []
    copied = {flight.item_id for flight in sent.flights if sent.kind is OrderKind.COPY}
    skipped = 0
    for node in plan.take(sent.kind, now_s, together):
        # Those whose last batch failed as a whole go in smaller ones, until one fails alone.
        most = min(most, _most_together(node) - len(sent.flights))
        if len(flights) >= most:
            plan.touch(node)  # in the next one
            break
        if copied and copies_one_of(node, copied):
            plan.touch(node)  # likewise: no batch copies a file twice
            skipped += 1
            if skipped < LAUNCHED_AT_ONCE:
                continue
            return flights, carried, True
        with plan.concerning(node):
            # A move makes none by the way: where there are any, it is one to a third name, elsewhere.
            for folder in () if sent.kind is OrderKind.MOVE else new_folders_above(node):
                if folder not in together and folder.state.flight is None:
                    carried.append(_fly(tree, folder, OrderKind.MAKE_FOLDER, sent.id, is_carried=True))
                    together.add(folder)
            if node.state.flight is None:  # a new folder may have been carried for one below it
                flights.append(_fly(tree, node, sent.kind, sent.id))
                together.add(node)
                if sent.kind is OrderKind.COPY:
                    copied.add(flights[-1].item_id)
        if len(flights) >= most:
            break
    return flights, carried, len(flights) >= most


def _most_together(node: Node) -> int:
    return ANY_BATCH_SIZE if node.pending is None else node.pending.most_together


def _fly(tree: Tree, node: Node, kind: OrderKind, batch: int, *, is_carried: bool = False) -> Flight:
    """Makes the order that *node* wants a flight of it."""
    state = node.state
    flight = _flight_of(tree.store.next_id(), node, kind)
    flight.is_carried, flight.batch = is_carried, batch
    if kind in MAKES_A_FILE and flight.over is None and node.pending is not None:
        late = tree.late.hashes_at(flight.place.path)
        if late:  # ours as well: removed here, written anew, and now the older one arrives first
            node.pending.unheard = tuple(dict.fromkeys((*node.pending.unheard, *late)))
    after = state.flying(flight)
    if node.is_saved:
        tree.change_unsaved(node, after)
    else:
        tree.change((node, after))
    return flight


def _flight_of(flight_id: int, node: Node, kind: OrderKind) -> Flight:
    state = node.state
    if kind is OrderKind.DELETE:
        flight = Flight(flight_id, kind, node, None, "", base_place(node), item_id=remote_id(node))
        flight.over = _over_of(state)
        return flight
    parent, name = state.parent, state.name
    assert parent is not None
    if kind is OrderKind.MOVE and node.pending is not None and node.pending.is_detoured:
        parent, name = detour_folder(node), third_name(node)
    flight = Flight(flight_id, kind, node, parent, name, place_in(parent, name))
    match kind:
        case OrderKind.PUT:
            content = state.content
            assert content is not None
            flight.content, flight.over, flight.mtime_ns = content, content.over, content.mtime_ns
            sent_time = None if node.pending is None else node.pending.sent_time
            if sent_time is not None and sent_time[0] == content.session:
                flight.mtime_ns = sent_time[1]  # the time it has by now is set afterwards
            if isinstance(state.base, File):
                # As the service spells it: a name that differs in case alone is another order.
                flight.name, flight.place = state.base.name, place_in(parent, state.base.name)
        case OrderKind.COPY:
            content = state.content
            assert content is not None
            assert content.twin is not None
            flight.content, flight.mtime_ns = content, content.mtime_ns
            flight.item_id = content.twin.item_id
        case OrderKind.MOVE:
            flight.source, flight.item_id = base_place(node), remote_id(node)
            flight.over = _seen_of(state)
        case OrderKind.SET_TIME:
            flight.mtime_ns, flight.item_id, flight.over = state.mtime_ns, remote_id(node), _over_of(state)
    return flight


def _over_of(state: State) -> Over | None:
    return Over.of(state.base) if isinstance(state.base, File) else None


def _seen_of(state: State) -> Over | None:
    """The revision that was last seen here: somebody else may have made another one since, in whose place
    bytes of ours stand. If these are removed while the order is on its way, the other one is not."""
    ours = state.content or state.draft
    if ours is None or not isinstance(state.base, File) or is_made_from(ours, state.base):
        return _over_of(state)
    return ours.over


# After a crash


def stranded(tree: Tree, contents: dict[int, Content]) -> list[Sent]:
    """The batches that a former process sent and whose outcomes it did not hear, from their rows. Their nodes
    are on their way again. *contents*: those that only a flight has, by id. Called once, after
    ``Tree.restore``."""
    found: dict[int, Sent] = {}
    damaged: set[int] = set()
    nodes = _Nodes(tree)
    for row in tree.store.flights():
        node = nodes(row.node)
        if node is None or node.state.flight is not None:
            damaged.add(row.batch)
            continue
        flight = _restored(nodes, row, node, contents)
        tree.change_unsaved(node, node.state.flying(flight))
        sent = found.setdefault(row.batch, Sent(row.batch, row.kind, [], job=row.job))
        (sent.carried if row.is_carried else sent.flights).append(flight)
        if not row.is_carried:
            sent.kind = row.kind
    for sent in found.values():
        if sent.id in damaged:
            sent.job = None  # its outcomes are told by position: without one of the orders each is looked up
    return list(found.values())


def recall_late(tree: Tree) -> None:
    """Tells the nodes, at a start, which versions of theirs may still arrive."""
    if not tree.late.is_saved:
        with tree.transaction():
            tree.late.save()
    with tree.lock:
        for item_id, hashes in tree.late.versions().items():
            node = tree.by_remote_id(item_id)
            if node is not None and node.pending is not None:
                node.pending.unheard = hashes


class _Nodes:
    """Finds nodes by their ids, each of them once.

    The tree keeps a node of which only a flight is left once it has that flight, and not before. After
    `mkdir d; touch d/f`, both on their way, and `rm -r d`, the flight of f, which leads into d, comes first.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._found: dict[int, Node | None] = {}

    def __call__(self, node_id: int | None) -> Node | None:
        if node_id is None:
            return None
        if node_id not in self._found:
            self._found[node_id] = self._tree.node(node_id)
        return self._found[node_id]


def _restored(nodes: _Nodes, row: FlightRow, node: Node, contents: dict[int, Content]) -> Flight:
    content: Content | None = None
    if row.content is not None:
        state = node.state
        held = {each.id: each for each in (state.content, state.draft) if each is not None}
        content = held.get(row.content) or contents.get(row.content)
    source = None
    if row.source_path is not None:
        source = Place(RemotePath(row.source_path), row.source_folder_id or "")
    return Flight(
        row.id,
        row.kind,
        node,
        nodes(row.parent),
        row.name,
        Place(RemotePath(row.path), row.folder_id),
        source,
        row.item_id,
        None if row.base_revision is None else Over(row.base_revision, row.base_hash),
        content,
        row.mtime_ns,
        row.is_carried,
        row.batch,
        heard="",  # what was heard of it before is forgotten
        is_doubted=True,
    )
