"""Dropbox's metadata as entries, and times as it writes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mountfs.errors import ServerFault
from mountfs.model.entry import NS_PER_S, Doubted, Entry, File, Folder, Gone, News, Seen
from mountfs.model.path import RemotePath

_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def entry_of(metadata: Mapping[str, Any]) -> Entry:
    """The entry of a Metadata of a file or folder, tagged. ServerFault when it is neither."""
    tag = metadata.get(".tag")
    if tag == "file":
        return file_of(metadata)
    if tag == "folder":
        return folder_of(metadata)
    raise ServerFault(f"metadata of an unknown kind: {tag!r}")


def file_of(metadata: Mapping[str, Any]) -> File:
    """A FileMetadata; it may come without a tag."""
    name = name_of(metadata)
    try:
        return File(
            id=str(metadata["id"]),
            name=name,
            revision=str(metadata["rev"]),
            size_bytes=int(metadata["size"]),
            mtime_ns=mtime_ns(str(metadata["client_modified"])),
            content_hash=metadata.get("content_hash"),
            is_downloadable=bool(metadata.get("is_downloadable", True)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ServerFault(f"metadata of {name!r} cannot be understood: {error}") from error


def folder_of(metadata: Mapping[str, Any]) -> Folder:
    """A FolderMetadata; it may come without a tag."""
    return Folder(str(metadata.get("id", "")), name_of(metadata))


def name_of(metadata: Mapping[str, Any]) -> str:
    """The last component of an entry's path, as it is spelled: of a path no other is reliable."""
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise ServerFault("metadata without a name")
    return name


def news_of(metadata: Mapping[str, Any]) -> News | None:
    """One entry of a recursive listing; None for what is not mounted and thus has no path.

    The service may come to tell of things that we know no entry for: their folder shows what is there.
    """
    shown = metadata.get("path_display") or metadata.get("path_lower")
    if not isinstance(shown, str) or not shown:
        return None
    path = RemotePath(shown)
    if metadata.get(".tag") == "deleted":
        return Gone(path)
    try:
        return Seen(entry_of(metadata), path)
    except ServerFault:
        return Doubted(path.parent)


def mtime_ns(stamp: str) -> int:
    """ValueError for anything but UTC with whole seconds."""
    moment = datetime.strptime(stamp, _TIME_FORMAT).replace(tzinfo=UTC)
    return int(moment.timestamp()) * NS_PER_S


def time_stamp(mtime_ns: int, wall_ns: int) -> str:
    """``client_modified``: whole UTC seconds, neither before 1970 nor after *wall_ns*, which is now."""
    seconds = min(max(mtime_ns, 0), wall_ns) // NS_PER_S
    return datetime.fromtimestamp(seconds, UTC).strftime(_TIME_FORMAT)
