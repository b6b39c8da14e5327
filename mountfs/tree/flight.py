"""Flights as the orders that a backend takes."""

from __future__ import annotations

from collections.abc import Sequence

from mountfs.model.order import Copy, Delete, MakeFolder, Move, Order, OrderKind, Part, Put, SetTime
from mountfs.model.source import Source
from mountfs.tree.node import Flight


def order_of(flight: Flight, body: Source | None, parts: Sequence[Part]) -> Order:
    """The flight as the backend takes it, the same each time it is sent. *body*, *parts*: of its content."""
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
                parts=tuple(parts),
                body=body,
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
