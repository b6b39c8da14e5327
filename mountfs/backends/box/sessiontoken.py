"""What the journal keeps of an upload session, and of its parts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mountfs.backends import checked
from mountfs.errors import ServerFault, SessionLost
from mountfs.model.order import Part


@dataclass(frozen=True, slots=True)
class SessionToken:
    """A session for one file of *size_bytes*: a new one, *name* in *folder_id*, or a version of *file_id*.

    The addresses are the service's and are never built by us. A token without *id* stands for no session:
    nothing is sent before the commit, which then knows what to do. *is_taken*: because the service told
    that something has the name. *is_direct*: because none can be had, and the file goes up in one request,
    however large.
    """

    id: str
    size_bytes: int
    part_bytes: int
    file_id: str = ""
    folder_id: str = ""
    name: str = ""
    upload_part: str = ""
    list_parts: str = ""
    commit: str = ""
    abort: str = ""
    is_taken: bool = False
    is_direct: bool = False

    @property
    def text(self) -> str:
        return json.dumps(
            {
                "id": self.id,
                "size": self.size_bytes,
                "part": self.part_bytes,
                "file": self.file_id,
                "folder": self.folder_id,
                "name": self.name,
                "taken": self.is_taken,
                "direct": self.is_direct,
                "urls": [self.upload_part, self.list_parts, self.commit, self.abort],
            }
        )

    @classmethod
    def parse(cls, text: str) -> SessionToken:
        """SessionLost for what is no token of ours."""
        try:
            kept = json.loads(text)
            return cls(
                str(kept["id"]),
                int(kept["size"]),
                int(kept["part"]),
                str(kept["file"]),
                str(kept["folder"]),
                str(kept["name"]),
                *_urls(kept["urls"]),
                is_taken=kept.get("taken") is True,
                is_direct=kept.get("direct") is True,
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
            raise SessionLost(f"not an upload session: {text[:80]}") from None


def _urls(kept: Sequence[Any]) -> tuple[str, str, str, str]:
    upload_part, list_parts, commit, abort = map(str, kept)
    return upload_part, list_parts, commit, abort


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part as the service states it; all four fields are sent back with the commit."""

    part_id: str
    offset: int
    size_bytes: int
    sha1: str

    @property
    def receipt(self) -> str:
        return json.dumps(self.wire)

    @property
    def wire(self) -> dict[str, Any]:
        return {"part_id": self.part_id, "offset": self.offset, "size": self.size_bytes, "sha1": self.sha1}

    def is_of(self, offset: int, size_bytes: int, sha1: str) -> bool:
        return (self.offset, self.size_bytes, self.sha1) == (offset, size_bytes, sha1)

    @classmethod
    def from_wire(cls, part: Any) -> StoredPart:
        """ServerFault for what is no part."""
        try:
            stated = checked.obj(part, "the part")
            return cls(
                checked.token(stated.get("part_id"), "part_id"),
                checked.count(stated.get("offset"), "offset"),
                checked.count(stated.get("size"), "size"),
                checked.token(stated.get("sha1"), "sha1").lower(),
            )
        except ServerFault as fault:
            raise ServerFault(f"a part of an upload session makes no sense: {fault}") from None


def whole_file(parts: Sequence[Part], size_bytes: int) -> list[StoredPart]:
    """The parts behind *parts*' receipts, ascending. SessionLost unless they are exactly the whole file."""
    end = 0
    stored: list[StoredPart] = []
    for part in sorted(parts, key=lambda part: part.offset):
        if not part.length:
            continue
        try:
            one = StoredPart.from_wire(json.loads(part.receipt))
        except (ValueError, RecursionError, ServerFault):
            raise SessionLost("the receipt of a part is lost") from None
        if one.offset != end:
            raise SessionLost(f"the upload session has a gap at {end}")
        end += one.size_bytes
        stored.append(one)
    if end != size_bytes:
        raise SessionLost(f"the upload session holds {end} of {size_bytes} bytes")
    return stored
