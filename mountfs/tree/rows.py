"""Rows of the store and the values they stand for: nodes, contents, flights, listings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from mountfs.errors import refusal_named
from mountfs.model.entry import NS_PER_S, Entry, File, Folder
from mountfs.model.order import OrderKind
from mountfs.tree.content import Content, Over, Twin
from mountfs.tree.gaprows import Gaps
from mountfs.tree.kept import Kept, kept_of, text_of
from mountfs.tree.listing import Listing
from mountfs.tree.node import Flight, Node, State
from mountfs.tree.overlay import Overlay
from mountfs.tree.refusal import Refusal

Value = str | int | None


class Role(StrEnum):
    """What a content is to its node."""

    CONTENT = "content"
    DRAFT = "draft"
    SENT = "sent"


class NodeRow(NamedTuple):
    """A row of ``nodes``, with other nodes by their ids."""

    id: int
    is_folder: bool
    parent: int | None
    name: str
    base_parent: int | None
    base: Entry | None
    mtime_ns: int | None
    refusal: Refusal | None
    touched_ns: int
    is_dirty: bool
    kept: Kept | None = None


class FlightRow(NamedTuple):
    """A row of ``flights``, with nodes and contents by their ids."""

    id: int
    batch: int
    position: int
    job: str | None
    kind: OrderKind
    is_carried: bool
    node: int
    content: int | None
    parent: int | None
    name: str
    path: str
    folder_id: str
    source_path: str | None
    source_folder_id: str | None
    item_id: str
    base_revision: str | None
    base_hash: str | None
    mtime_ns: int | None


# Nodes as rows

NODE_COLUMNS_OF_BASE = (
    "base_parent, base_name, remote_id, revision, base_size, base_time_s, base_hash, is_document"
)
NODE_COLUMNS_OF_REFUSAL = "refused_kind, refused_cause, refused, refused_ns"
NODE_COLUMNS = (
    f"id, kind, parent, name, {NODE_COLUMNS_OF_BASE}, time_s, time_ns, {NODE_COLUMNS_OF_REFUSAL},"
    " touched_ns, is_dirty, attributes"
)
# A file that the service has not, and of whose node nothing else is stored.
NEW_FILE = "kind = 'file' AND parent IS NOT NULL AND base_name IS NULL AND refused IS NULL AND time_s IS NULL"
_NODE_NAMES = [name.strip() for name in NODE_COLUMNS.split(",")]
UPSERT_NODE = (
    f"INSERT INTO nodes ({NODE_COLUMNS}) VALUES ({', '.join('?' * len(_NODE_NAMES))})"
    " ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _NODE_NAMES if name != "id")
)


def node_values(node: Node, state: State, is_dirty: bool) -> tuple[Value, ...]:
    time_s, time_ns = (None, None) if state.mtime_ns is None else divmod(state.mtime_ns, NS_PER_S)
    return (
        node.id,
        _kind(node, state),
        None if state.parent is None else state.parent.id,
        state.name,
        *_base_values(state),
        time_s,
        time_ns,
        *_refusal_values(state.refusal),
        0 if node.pending is None else node.pending.touched_ns,
        int(is_dirty),
        text_of(state.kept),
    )


def _kind(node: Node, state: State) -> str:
    if node.folder is not None:
        return "folder"
    return "special" if state.kept is not None and state.kept.is_special else "file"


def _base_values(state: State) -> tuple[Value, ...]:
    base, parent = state.base, state.base_parent
    parent_id = None if parent is None else parent.id
    if isinstance(base, File):
        return (
            parent_id,
            base.name,
            base.id,
            base.revision,
            base.size_bytes,
            base.mtime_ns // NS_PER_S,
            base.content_hash,
            int(not base.is_downloadable),
        )
    if base is not None:
        return (parent_id, base.name, base.id, None, None, None, None, 0)
    return (parent_id, None, None, None, None, None, None, 0)


def _refusal_values(refusal: Refusal | None) -> tuple[Value, ...]:
    if refusal is None:
        return (None, None, None, None)
    kind = None if refusal.kind is None else refusal.kind.value
    return (kind, refusal.cause.__name__, refusal.reason, refusal.wall_ns)


_ALWAYS = ("name", "time_s", "time_ns", "touched_ns", "is_dirty", "attributes")
_OF_BASE = NODE_COLUMNS_OF_BASE.split(", ")
_OF_REFUSAL = NODE_COLUMNS_OF_REFUSAL.split(", ")


@cache
def _update_node(*, is_moved: bool, is_rebased: bool, is_judged: bool) -> str:
    names = [*_ALWAYS, *(["parent"] * is_moved), *(_OF_BASE * is_rebased), *(_OF_REFUSAL * is_judged)]
    return f"UPDATE nodes SET {', '.join(f'{name} = ?' for name in names)} WHERE id = ?"


def node_update(node: Node, before: State, after: State, is_dirty: bool) -> tuple[str, list[Value]]:
    """The statement that makes the row of *node* that of *after*, and its values; the row is that of
    *before*, but for what ``_ALWAYS`` has. Indexed columns that stay are left out: SQLite would take the row
    out of each such index and enter it again, which is most of what an update costs."""
    is_moved, is_judged = before.parent is not after.parent, before.refusal is not after.refusal
    is_rebased = before.base is not after.base or before.base_parent is not after.base_parent
    time_s, time_ns = (None, None) if after.mtime_ns is None else divmod(after.mtime_ns, NS_PER_S)
    touched_ns = 0 if node.pending is None else node.pending.touched_ns
    values: list[Value] = [after.name, time_s, time_ns, touched_ns, int(is_dirty), text_of(after.kept)]
    if is_moved:
        values.append(None if after.parent is None else after.parent.id)
    if is_rebased:
        values += _base_values(after)
    if is_judged:
        values += _refusal_values(after.refusal)
    values.append(node.id)
    return _update_node(is_moved=is_moved, is_rebased=is_rebased, is_judged=is_judged), values


def node_row(row: Sequence[Any]) -> NodeRow:
    (
        node_id,
        kind,
        parent,
        name,
        base_parent,
        base_name,
        remote_id,
        revision,
        base_size,
        base_time_s,
        base_hash,
        is_document,
        time_s,
        time_ns,
        refused_kind,
        refused_cause,
        refused,
        refused_ns,
        touched_ns,
        is_dirty,
        attributes,
    ) = row
    is_folder = kind == "folder"
    refusal = None
    if refused is not None:
        kind_refused = None if refused_kind is None else OrderKind(refused_kind)
        refusal = Refusal(kind_refused, refused, refused_ns, refusal_named(refused_cause))
    base: Entry | None = None
    if base_name is not None:
        base = (
            Folder(remote_id, base_name)
            if is_folder
            else File(
                remote_id, base_name, revision, base_size, base_time_s * NS_PER_S, base_hash, not is_document
            )
        )
    return NodeRow(
        node_id,
        is_folder,
        parent,
        name,
        base_parent,
        base,
        None if time_s is None else time_s * NS_PER_S + time_ns,
        refusal,
        touched_ns,
        bool(is_dirty),
        kept_of(attributes),
    )


def listing_values(folder_id: int, listing: Listing) -> tuple[Value, ...]:
    return (
        folder_id,
        listing.listed_at,
        listing.doubted_at,
        listing.doubted_below_at,
        int(bool(listing.shadows)),
    )


def listing_of(row: Sequence[Any]) -> Listing:
    _, listed_at, doubted_at, doubted_below_at, has_shadows = row
    # Which names were hidden is not stored: listing the folder again tells.
    return Listing(listed_at, listed_at + 1 if has_shadows else doubted_at, doubted_below_at)


# Contents as rows

CONTENT_COLUMNS = (
    "id, node, role, spool, size_bytes, time_s, time_ns, over_revision, over_hash, is_flushed, is_synced,"
    " content_hash, session, twin_id, twin_revision, under_id, under_revision, under_size, under_hash"
)
_CONTENT_NAMES = [name.strip() for name in CONTENT_COLUMNS.split(",")]
UPSERT_CONTENT = (
    f"INSERT INTO contents ({CONTENT_COLUMNS}) VALUES ({', '.join('?' * len(_CONTENT_NAMES))})"
    " ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _CONTENT_NAMES if name != "id")
)


def content_values(content: Content, node_id: int | None, role: Role) -> tuple[Value, ...]:
    time_s, time_ns = divmod(content.mtime_ns, NS_PER_S)
    over, twin = content.over, content.twin
    under = None if content.overlay is None else content.overlay.file
    return (
        content.id,
        node_id,
        role.value,
        content.spool,
        content.size_bytes,
        time_s,
        time_ns,
        None if over is None else over.revision,
        None if over is None else over.content_hash,
        int(content.is_flushed),
        int(content.is_synced),
        content.content_hash,
        content.session,
        None if twin is None else twin.item_id,
        None if twin is None else twin.revision,
        *(_NO_UNDER if under is None else (under.id, under.revision, under.size_bytes, under.content_hash)),
    )


_NO_UNDER: tuple[Value, ...] = (None, None, None, None)


def content_row(row: Sequence[Any], gaps: Mapping[int, Gaps]) -> tuple[Content, int | None, Role]:
    """The content of a row of ``contents``, the id of its node, and its role. *gaps*: of all contents
    that have any, by their ids."""
    (
        content_id,
        node_id,
        role,
        spool,
        size_bytes,
        time_s,
        time_ns,
        over_revision,
        over_hash,
        is_flushed,
        is_synced,
        content_hash,
        session,
        twin_id,
        twin_revision,
        *under,
    ) = row
    if size_bytes < 0:
        raise ValueError(f"it has a file of {size_bytes} bytes")
    over = None if over_revision is None else Over(over_revision, over_hash)
    content = Content(
        content_id,
        spool,
        size_bytes,
        time_s * NS_PER_S + time_ns,
        over,
        bool(is_flushed),
        bool(is_synced),
        content_hash,
        session,
        None if content_id not in gaps else _overlay(under, gaps[content_id]),
        None if twin_id is None else Twin(twin_id, twin_revision),
    )
    return content, node_id, _ROLES[role]


def _overlay(under: Sequence[Any], gaps: Gaps) -> Overlay:
    item_id, revision, size_bytes, content_hash = under
    return Overlay(File(item_id, "", revision, size_bytes, 0, content_hash), *gaps)


_ROLES = {role.value: role for role in Role}
"""A third of the cost of asking the enumeration, which a start does for all that is pending."""


# Flights as rows


def flight_values(flight: Flight, batch: int, position: int) -> tuple[Value, ...]:
    time_s, time_ns = (None, None) if flight.mtime_ns is None else divmod(flight.mtime_ns, NS_PER_S)
    return (
        flight.id,
        batch,
        position,
        None,
        flight.kind.value,
        int(flight.is_carried),
        flight.node.id,
        None if flight.content is None else flight.content.id,
        None if flight.parent is None else flight.parent.id,
        flight.name,
        flight.place.path.text,
        flight.place.folder_id,
        None if flight.source is None else flight.source.path.text,
        None if flight.source is None else flight.source.folder_id,
        flight.item_id,
        None if flight.over is None else flight.over.revision,
        None if flight.over is None else flight.over.content_hash,
        time_s,
        time_ns,
    )


def flight_row(row: Sequence[Any]) -> FlightRow:
    *fields, time_s, time_ns = row
    read = FlightRow._make([*fields, None if time_s is None else time_s * NS_PER_S + time_ns])
    return read._replace(kind=OrderKind(read.kind), is_carried=bool(read.is_carried))
