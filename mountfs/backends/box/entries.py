"""Box's items as entries, revisions and times as it writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mountfs.backends import checked
from mountfs.errors import ServerFault
from mountfs.model.entry import NS_PER_S, Entry, File, Folder, Listed, Odd

FIELDS = "type,id,etag,name,size,sha1,content_modified_at,modified_at,file_version,parent"
"""All we use; without ``fields`` a listing has no sizes."""

FORMER_ETAG = "former"
"""In the ``Revision`` of a version that is not the current one any more: etags are numbers in every example,
so a condition that names it fails."""
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
            raise ServerFault(f"an item of an unknown kind: {checked.brief(kind)}")


def listed_of(item: Mapping[str, Any]) -> Listed | None:
    """What a listing shows of one of its items; None for a web link."""
    try:
        return entry_of(item)
    except ServerFault as fault:
        try:
            return Odd(name_of(item), str(fault))
        except ServerFault:
            return Odd("", str(fault))


def file_of(item: Mapping[str, Any]) -> File:
    """A File with at least FIELDS. ServerFault when it makes no sense."""
    version = checked.obj(item.get("file_version"), "file_version")
    revision = Revision(id_of(item), _part(item.get("etag"), "etag"), _part(version.get("id"), "version"))
    sha1 = item.get("sha1")
    stamp = item.get("content_modified_at") or item.get("modified_at")
    return File(
        id=revision.file_id,
        name=name_of(item),
        revision=revision.text,
        size_bytes=checked.count(item.get("size"), "size"),
        mtime_ns=0 if stamp is None else checked.time_ns(stamp, "content_modified_at"),
        content_hash=None if sha1 is None else checked.token(sha1, "sha1").lower(),
    )


def folder_of(item: Mapping[str, Any]) -> Folder:
    """A Folder. ServerFault for one without an id or a name."""
    return Folder(id_of(item), name_of(item))


def id_of(item: Mapping[str, Any]) -> str:
    """ServerFault for an item without one."""
    return _part(item.get("id"), "id")


def _part(value: Any, what: str) -> str:
    """What a revision is put together from, which must come apart again."""
    part = checked.token(value, what)
    if ":" in part:
        raise ServerFault(f"{what} makes no sense: {checked.brief(part)}")
    return part


def name_of(item: Mapping[str, Any]) -> str:
    """An item's name, as the service spells it. ServerFault for an item without one."""
    return checked.name(item.get("name"))


def parent_id_of(item: Mapping[str, Any]) -> str | None:
    """None for the root, and for what is not told."""
    parent = item.get("parent")
    try:
        return id_of(checked.obj(parent, "parent"))
    except ServerFault:
        return None


def time_stamp(mtime_ns: int) -> str:
    """Whole UTC seconds, none before 1970."""
    seconds = min(max(mtime_ns, 0) // NS_PER_S, _LATEST_S)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
