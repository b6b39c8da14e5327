"""What the tree holds, and how it looks on the wire."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cloudsandbox.dropbox.names import name_of


def timestamp(unix_s: float) -> str:
    """Whole seconds of UTC in the service's one format."""
    return datetime.fromtimestamp(int(unix_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file: how many, their content hash, and the name of the content file."""

    size_bytes: int
    content_hash: str
    blob: str


@dataclass(frozen=True, slots=True)
class Revision:
    """One version of a file, at the path it had when it was written."""

    rev: str
    id: str
    path_lower: str
    path_display: str
    content: Content
    client_modified: str
    server_modified: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One live file or folder; a folder has no revision."""

    path_lower: str
    path_display: str
    id: str
    revision: Revision | None

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder."""
        return self.revision is None


def file_metadata(revision: Revision, path_lower: str, path_display: str) -> dict[str, Any]:
    """FileMetadata without its tag."""
    return {
        "name": name_of(path_display),
        "id": revision.id,
        "client_modified": revision.client_modified,
        "server_modified": revision.server_modified,
        "rev": revision.rev,
        "size": revision.content.size_bytes,
        "path_lower": path_lower,
        "path_display": path_display,
        "is_downloadable": True,
        "content_hash": revision.content.content_hash,
    }


def bare_metadata(entry: Entry) -> dict[str, Any]:
    """Metadata without its tag, as routes with a declared type of file or folder give it."""
    if entry.revision is not None:
        return file_metadata(entry.revision, entry.path_lower, entry.path_display)
    return {
        "name": name_of(entry.path_display),
        "id": entry.id,
        "path_lower": entry.path_lower,
        "path_display": entry.path_display,
    }


def tagged_metadata(entry: Entry) -> dict[str, Any]:
    """Metadata with its tag, as routes whose declared type is polymorphic give it."""
    return {".tag": "folder" if entry.is_folder else "file", **bare_metadata(entry)}


def deleted_metadata(path_lower: str, path_display: str) -> dict[str, Any]:
    """DeletedMetadata with its tag."""
    return {
        ".tag": "deleted",
        "name": name_of(path_display),
        "path_lower": path_lower,
        "path_display": path_display,
    }
