"""Orders: what the committer asks a service to do, one type for each kind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from mountfs.model.entry import Place
from mountfs.model.source import Source


class OrderKind(StrEnum):
    """What an order does; a batch holds orders of one kind."""

    PUT = "put"
    MAKE_FOLDER = "mkdir"
    DELETE = "delete"
    MOVE = "move"
    SET_TIME = "set-time"
    COPY = "copy"


MAKES_A_FILE = frozenset({OrderKind.PUT, OrderKind.COPY})
"""The kinds that give a place the bytes of a pending file."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an upload session that the service acknowledged; *receipt* is the backend's note of it."""

    offset: int
    length: int
    receipt: str


@dataclass(frozen=True, slots=True)
class Put:
    """Give *place* the uploaded bytes, replacing exactly *base_revision*, or nothing where that is None.

    The bytes are those of *session* (with its *parts* where the service wants them listed), or are read
    from *body* where small files travel with their commit. *content_hash* is in the service's algorithm.
    """

    kind: ClassVar[OrderKind] = OrderKind.PUT

    place: Place
    size_bytes: int
    mtime_ns: int
    content_hash: str
    base_revision: str | None = None
    session: str | None = None
    parts: tuple[Part, ...] = ()
    body: Source | None = None


@dataclass(frozen=True, slots=True)
class MakeFolder:
    """Make the folder *place*; one that stands there already is as good."""

    kind: ClassVar[OrderKind] = OrderKind.MAKE_FOLDER

    place: Place


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the item at *place*: a file only if it still has *base_revision*.

    *item_id* is the service's id of the item, "" where it is not known.
    """

    kind: ClassVar[OrderKind] = OrderKind.DELETE

    place: Place
    is_folder: bool
    item_id: str = ""
    base_revision: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """Let the item at *source* stand at *place*, with everything below it. Never replaces anything."""

    kind: ClassVar[OrderKind] = OrderKind.MOVE

    place: Place
    source: Place
    is_folder: bool
    item_id: str = ""


@dataclass(frozen=True, slots=True)
class SetTime:
    """Give the file at *place* the modification time *mtime_ns*, if it still has *base_revision*."""

    kind: ClassVar[OrderKind] = OrderKind.SET_TIME

    place: Place
    mtime_ns: int
    base_revision: str
    item_id: str = ""


@dataclass(frozen=True, slots=True)
class Copy:
    """Let the bytes of another file stand at *place*, too, as a file of its own. Never replaces anything.

    The other file has the service's id *item_id*, and had *revision* when it was last heard of. Where no
    revision can be named (Dropbox), whatever the file has by now is copied: the outcome tells the hash. No
    two orders of a batch copy one file: Dropbox refuses paths that a batch names twice.
    """

    kind: ClassVar[OrderKind] = OrderKind.COPY

    place: Place
    item_id: str
    revision: str


Order = Put | MakeFolder | Delete | Move | SetTime | Copy
