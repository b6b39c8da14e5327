"""What a batch asks of the service: each of its flights as an order, with its bytes."""

from __future__ import annotations

from mountfs.model.order import Copy, Delete, MakeFolder, Move, Order, OrderKind, Part, Put, SetTime
from mountfs.ports import BackendLimits
from mountfs.spool.spool import Spool
from mountfs.tree.content import Content
from mountfs.tree.launch import Sent
from mountfs.tree.node import Flight
from mountfs.tree.tree import Tree


def orders_of(sent: Sent, tree: Tree, spool: Spool, limits: BackendLimits) -> tuple[Order, ...]:
    """The flights of *sent* as the backend takes them, the same each time they are sent. Takes the tree's
    lock for the parts of each large file."""
    return tuple(_order_of(flight, tree, spool, limits) for flight in sent.flights)


def _order_of(flight: Flight, tree: Tree, spool: Spool, limits: BackendLimits) -> Order:
    over = None if flight.over is None else flight.over.revision
    match flight.kind:
        case OrderKind.PUT:
            content = flight.content
            assert content is not None
            return Put(
                place=flight.place,
                size_bytes=content.size_bytes,
                mtime_ns=flight.mtime_ns or 0,
                content_hash=content.content_hash or "",
                base_revision=over,
                session=content.session,
                parts=_parts_of(content, tree, limits),
                body=spool.source(content.spool),
            )
        case OrderKind.MAKE_FOLDER:
            return MakeFolder(flight.place)
        case OrderKind.DELETE:
            return Delete(flight.place, flight.node.is_folder, flight.item_id, over)
        case OrderKind.MOVE:
            assert flight.source is not None
            return Move(flight.place, flight.source, flight.node.is_folder, flight.item_id)
        case OrderKind.SET_TIME:
            return SetTime(flight.place, flight.mtime_ns or 0, over or "", flight.item_id)
        case OrderKind.COPY:
            assert flight.content is not None
            assert flight.content.twin is not None
            return Copy(flight.place, flight.item_id, flight.content.twin.revision)


def _parts_of(content: Content, tree: Tree, limits: BackendLimits) -> tuple[Part, ...]:
    if content.session is None or content.size_bytes < limits.session_min_bytes:
        return ()
    with tree.lock:
        return tree.store.parts.of(content.id)
