"""What a batch asks of the service: each of its flights as an order, with its bytes."""

from __future__ import annotations

from mountfs.model.order import Order
from mountfs.ports import BackendLimits
from mountfs.spool.spool import Spool
from mountfs.tree.flight import order_of
from mountfs.tree.launch import Sent
from mountfs.tree.node import Flight
from mountfs.tree.tree import Tree


def orders_of(sent: Sent, tree: Tree, spool: Spool, limits: BackendLimits) -> tuple[Order, ...]:
    """Takes the tree's lock for the parts of each large file."""
    return tuple(_order_of(flight, tree, spool, limits) for flight in sent.flights)


def _order_of(flight: Flight, tree: Tree, spool: Spool, limits: BackendLimits) -> Order:
    content = flight.content
    if content is None:
        return order_of(flight, None, ())
    source = spool.source(content.spool)
    if content.session is None or content.size_bytes < limits.session_min_bytes:
        return order_of(flight, source, ())
    with tree.lock:
        parts = tree.store.parts.of(content.id)
    return order_of(flight, source, parts)
