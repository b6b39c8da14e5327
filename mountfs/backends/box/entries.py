"""Box's items as entries, revisions and times as it writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mountfs.errors import ServerFault
from mountfs.model.entry import NS_PER_S, Entry, File, Folder

FIELDS = "type,id,etag,name,size,sha1,content_modified_at,modified_at,file_version,parent"
"""All we use; without ``fields`` a listing has no sizes."""

_LATEST_S = 253402300799
"""The last second that RFC 3339 can write."""


@dataclass(frozen=True, slots=True)
class Revision:
    """``File.revision`` taken apart: the file, its state (for If-Match), its content (for reading)."""

    file_id: str
    etag: str
    version_id: str

    @property
    def text(self) -> str:
        return f"{self.file_id}:{self.etag}:{self.version_id}"

    @classmethod
    def parse(cls, text: str | None) -> Revision | None:
        """None for what was not made by ``text``."""
        parts = (text or "").split(":")
        return cls(*parts) if len(parts) == 3 and all(parts) else None


def entry_of(item: Mapping[str, Any]) -> Entry | None:
    """The entry of an item with at least FIELDS; None for a web link, which is neither file nor folder.

    ServerFault for an item that makes no sense.
    """
    match item.get("type"):
        case "file":
            return file_of(item)
        case "folder":
            return folder_of(item)
        case "web_link":
            return None
        case kind:
            raise ServerFault(f"an item of an unknown kind: {kind!r}")


def file_of(item: Mapping[str, Any]) -> File:
    """A File with at least FIELDS. ServerFault when it makes no sense."""
    name = name_of(item)
    try:
        version = item["file_version"]
        revision = Revision(str(item["id"]), str(item["etag"]), str(version["id"]))
        sha1 = item.get("sha1")
        stamp = item.get("content_modified_at") or item.get("modified_at")
        return File(
            id=str(item["id"]),
            name=name,
            revision=revision.text,
            size_bytes=whole(item["size"]),
            mtime_ns=mtime_ns(stamp) if stamp else 0,
            content_hash=str(sha1).lower() if sha1 else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ServerFault(f"metadata of {name!r} cannot be understood: {error!r}") from error


def folder_of(item: Mapping[str, Any]) -> Folder:
    """A Folder. ServerFault for one without an id or a name."""
    return Folder(id_of(item), name_of(item))


def id_of(item: Mapping[str, Any]) -> str:
    """ServerFault for an item without one."""
    item_id = item.get("id")
    if not isinstance(item_id, str) or not item_id:
        raise ServerFault("an item without an id")
    return item_id


def name_of(item: Mapping[str, Any]) -> str:
    """An item's name, as the service spells it. ServerFault for an item without one."""
    name = item.get("name")
    if not isinstance(name, str) or not name:
        raise ServerFault("an item without a name")
    return name


def parent_id_of(item: Mapping[str, Any]) -> str | None:
    """None for the root, and for what is not told."""
    parent = item.get("parent")
    parent_id = parent.get("id") if isinstance(parent, Mapping) else None
    return parent_id if isinstance(parent_id, str) and parent_id else None


def whole(number: Any) -> int:
    """A count that may come as a float or in exponent form. ValueError, TypeError."""
    return number if isinstance(number, int) else int(float(number))


def mtime_ns(stamp: str) -> int:
    """RFC 3339 with any offset, in whole seconds. ValueError."""
    moment = datetime.fromisoformat(stamp)
    if moment.tzinfo is None:
        raise ValueError(f"a time without an offset: {stamp}")
    return int(moment.timestamp()) * NS_PER_S


def time_stamp(mtime_ns: int) -> str:
    """Whole UTC seconds, none before 1970."""
    seconds = min(max(mtime_ns, 0) // NS_PER_S, _LATEST_S)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
