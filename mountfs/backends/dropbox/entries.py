"""Dropbox's metadata as entries, and times as it writes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mountfs.backends import checked
from mountfs.errors import Conflict, ServerFault
from mountfs.model.entry import NS_PER_S, Doubted, Entry, File, Folder, Gone, Listed, News, Odd, Placed, Seen
from mountfs.model.path import RemotePath

MOST_PATH_CHARS = 16_384
"""Four times what the kernel takes for one call; time and memory for a path are several times its length."""
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def entry_of(metadata: Mapping[str, Any]) -> Entry:
    """The entry of a Metadata of a file or folder, tagged. ServerFault when it is neither."""
    tag = metadata.get(".tag")
    if tag == "file":
        return file_of(metadata)
    if tag == "folder":
        return folder_of(metadata)
    raise ServerFault(f"metadata of an unknown kind: {checked.brief(tag)}")


def listed_of(metadata: Any) -> Listed:
    """What a listing shows of one of its entries."""
    try:
        return entry_of(checked.obj(metadata, "an entry"))
    except ServerFault as fault:
        return Odd(_name_or_none(metadata), str(fault))


def file_of(metadata: Mapping[str, Any]) -> File:
    """A FileMetadata; it may come without a tag."""
    get = metadata.get
    name, is_downloadable = name_of(metadata), get("is_downloadable", True)
    item_id: Any = get("id")
    revision: Any = get("rev")
    content_hash = get("content_hash")
    if not isinstance(is_downloadable, bool):
        raise ServerFault(f"is_downloadable makes no sense: {checked.brief(is_downloadable)}")
    if not checked.are_tokens(item_id, revision, content_hash):
        item_id, revision = checked.token(item_id, "id"), checked.token(revision, "rev")
        content_hash = None if content_hash is None else checked.token(content_hash, "content_hash")
    return File(
        item_id,
        name,
        revision,
        checked.count(get("size"), "size"),
        checked.time_ns(get("client_modified"), "client_modified"),
        content_hash,
        is_downloadable,
    )


def folder_of(metadata: Mapping[str, Any]) -> Folder:
    """A FolderMetadata; it may come without a tag."""
    folder_id = metadata.get("id", "")
    return Folder(checked.token(folder_id, "id") if folder_id != "" else "", name_of(metadata))


def name_of(metadata: Mapping[str, Any]) -> str:
    """The last component of an entry's path, as it is spelled: of a path no other is reliable."""
    return checked.name(metadata.get("name"))


def _name_or_none(metadata: Any) -> str:
    try:
        return name_of(checked.obj(metadata, "an entry"))
    except ServerFault:
        return ""


def news_of(metadata: Mapping[str, Any]) -> News | None:
    """One entry of a recursive listing; None for what is not mounted and thus has no path.

    The service may come to tell of things that we know no entry for: their folder shows what is there. So
    does the deepest folder whose own path makes sense. Conflict: something changed that nobody can place.
    """
    shown = metadata.get("path_display") or metadata.get("path_lower")
    if not shown:
        return None
    if not isinstance(shown, str) or not shown.startswith("/"):
        raise Conflict("something changed, and where is not told")
    path = RemotePath("")
    components = shown[:MOST_PATH_CHARS].split("/")[1:]
    if len(shown) > MOST_PATH_CHARS:
        components[-1] = ""  # it is cut, and no name
    for component in components:
        try:
            path = path.child(checked.name(component))
        except ServerFault:
            return Doubted(path)
    if metadata.get(".tag") == "deleted":
        return Gone(path)
    try:
        return Seen(entry_of(metadata), path)
    except ServerFault:
        return Doubted(path.parent)


def placed_of(metadata: Any) -> Placed | None:
    """One entry of a recursive listing, by its lower-case path; None for what is not mounted and has none."""
    path = metadata.get("path_lower") if isinstance(metadata, dict) else None
    if path is None:
        return None
    if not isinstance(path, str) or len(path) > MOST_PATH_CHARS:
        raise ServerFault("an entry of a listing has no path")
    folder = path.rpartition("/")[0]
    return path, folder, None if metadata.get(".tag") == "deleted" else listed_of(metadata)


def time_stamp(mtime_ns: int, wall_ns: int) -> str:
    """``client_modified``: whole UTC seconds, neither before 1970 nor after *wall_ns*, which is now."""
    seconds = min(max(mtime_ns, 0), wall_ns) // NS_PER_S
    return datetime.fromtimestamp(seconds, UTC).strftime(_TIME_FORMAT)
