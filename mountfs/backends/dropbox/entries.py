"""Dropbox's metadata as entries, and times as it writes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mountfs.errors import ServerFault
from mountfs.model.entry import NS_PER_S, Entry, File, Folder, Gone
from mountfs.model.path import RemotePath

_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def entry_at(path: RemotePath, metadata: Mapping[str, Any]) -> Entry:
    """What stands at *path*: a Metadata of a file or folder, tagged. ServerFault when it is neither."""
    tag = metadata.get(".tag")
    if tag == "file":
        return file_at(path, metadata)
    if tag == "folder":
        return folder_at(path, metadata)
    raise ServerFault(f"metadata of an unknown kind: {tag!r}")


def file_at(path: RemotePath, metadata: Mapping[str, Any]) -> File:
    """A FileMetadata; it may come without a tag."""
    try:
        return File(
            path=path,
            id=str(metadata["id"]),
            revision=str(metadata["rev"]),
            size_bytes=int(metadata["size"]),
            mtime_ns=mtime_ns(str(metadata["client_modified"])),
            content_hash=metadata.get("content_hash"),
            is_downloadable=bool(metadata.get("is_downloadable", True)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ServerFault(f"metadata of {path} cannot be understood: {error}") from error


def folder_at(path: RemotePath, metadata: Mapping[str, Any]) -> Folder:
    """A FolderMetadata; it may come without a tag."""
    return Folder(path, str(metadata.get("id", "")))


def named_in(folder: RemotePath, metadata: Mapping[str, Any]) -> RemotePath:
    """Where an entry of *folder* stands: only a path's last component is reliably spelled."""
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise ServerFault(f"metadata without a name in {folder}")
    return folder.child(name)


def change_of(metadata: Mapping[str, Any]) -> Entry | Gone | None:
    """One entry of a recursive listing; None for what is not mounted and thus has no path."""
    shown = metadata.get("path_display") or metadata.get("path_lower")
    if not isinstance(shown, str) or not shown:
        return None
    path = RemotePath(shown)
    return Gone(path) if metadata.get(".tag") == "deleted" else entry_at(path, metadata)


def mtime_ns(stamp: str) -> int:
    """ValueError for anything but UTC with whole seconds."""
    moment = datetime.strptime(stamp, _TIME_FORMAT).replace(tzinfo=UTC)
    return int(moment.timestamp()) * NS_PER_S


def time_stamp(mtime_ns: int, wall_ns: int) -> str:
    """``client_modified``: whole UTC seconds, neither before 1970 nor after *wall_ns*, which is now."""
    seconds = min(max(mtime_ns, 0), wall_ns) // NS_PER_S
    return datetime.fromtimestamp(seconds, UTC).strftime(_TIME_FORMAT)
