"""What the account holds: items and the versions of files."""

import hashlib
from dataclasses import dataclass
from typing import Any

FILE, FOLDER = "file", "folder"

_ITEM_COLUMNS = (
    "i.id, i.kind, i.parent, i.name, i.etag, i.sequence, i.description, i.created_s, i.modified_s,"
    " i.content_created_s, i.content_modified_s, i.trashed_s"
)
VERSION_COLUMNS = "v.id, v.file, v.number, v.name, v.sha1, v.size_bytes, v.blob, v.created_s, v.modified_s"
ITEM_QUERY = f"SELECT {_ITEM_COLUMNS}, {VERSION_COLUMNS} FROM item i LEFT JOIN version v ON v.id = i.version"
_ITEM_WIDTH = 12


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that are whole and in a content file."""

    size_bytes: int
    sha1: str
    blob: str


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a file."""

    id: int
    file: int
    number: int
    name: str
    content: Content
    created_s: int
    modified_s: int


@dataclass(frozen=True, slots=True)
class Item:
    """A file or a folder; version is the current one of a file, None for a folder."""

    id: int
    kind: str
    parent: int | None
    name: str
    etag: int
    sequence: int
    description: str
    created_s: int
    modified_s: int
    content_created_s: int
    content_modified_s: int
    trashed_s: int | None
    version: Version | None


@dataclass(frozen=True, slots=True)
class Attributes:
    """What an upload says of its file besides the bytes; None: as it is, or now."""

    name: str | None = None
    parent: int | None = None
    content_created_s: int | None = None
    content_modified_s: int | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None


def item_of(row: tuple[Any, ...]) -> Item:
    """The item in a row of ITEM_QUERY."""
    version = version_of(row[_ITEM_WIDTH:]) if row[_ITEM_WIDTH] is not None else None
    number, kind, parent, name, etag, sequence, description, created_s, modified_s, *rest = row[:_ITEM_WIDTH]
    content_created_s, content_modified_s, trashed_s = rest
    return Item(
        *(number, kind, parent, name, etag, sequence, description, created_s, modified_s),
        content_created_s,
        content_modified_s,
        trashed_s,
        version,
    )


def version_of(row: tuple[Any, ...]) -> Version:
    """The version in a row of VERSION_COLUMNS."""
    number, file, count, name, sha1, size_bytes, blob, created_s, modified_s = row
    return Version(number, file, count, name, Content(size_bytes, sha1, blob), created_s, modified_s)


def sha1_of(data: bytes) -> str:
    """The digest of bytes held in memory, as the service writes it."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
