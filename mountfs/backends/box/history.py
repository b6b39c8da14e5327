"""What a file was before: its former versions, a page a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from mountfs.backends import checked
from mountfs.backends.box.api import BoxApi, quoted
from mountfs.backends.box.entries import FORMER_ETAG, Revision, id_of
from mountfs.errors import NotFound, ServerFault
from mountfs.model.entry import File

VERSIONS = "GET files/:id/versions"
PROMOTE = "POST files/:id/versions/current"
PAGE_VERSIONS = 100
"""A version is some 600 bytes of JSON; few files get more before somebody looks."""
MOST_PAGES = 3


def revisions_before(api: BoxApi, file: File, since: str | None) -> list[File]:
    """An account that keeps no history has no former version of any file (reference)."""
    head, base = Revision.parse(file.revision), Revision.parse(since)
    if head is None or (since is not None and base is None):
        raise NotFound(f"{file.name}: no such revision")
    if base is not None and base.version_id == head.version_id:
        return []
    found: dict[str, File] = {}
    for version_id, former in _versions(api, file, head.file_id):
        if base is not None and version_id == base.version_id:
            return list(found.values())
        if version_id != head.version_id:
            # By id: while others add a version, one may be on two pages.
            found[version_id] = former
    if base is not None:
        raise NotFound(f"{file.name}: its history does not tell what came after version {base.version_id}")
    return list(found.values())


def restore(api: BoxApi, former: File) -> None:
    """Promotes a former version. NotFound: it is not kept any more."""
    revision = Revision.parse(former.revision)
    if revision is None:
        raise NotFound(f"{former.name}: no such revision")
    arg = {"type": "file_version", "id": revision.version_id}
    api.object(PROMOTE, api.api_url(f"files/{quoted(revision.file_id)}/versions/current"), arg=arg)


def _versions(api: BoxApi, file: File, file_id: str) -> Iterator[tuple[str, File]]:
    """All but the current one with their ids, the newest first, as far as MOST_PAGES go. What makes no sense
    is left out."""
    for number in range(MOST_PAGES):
        query = {"limit": PAGE_VERSIONS, "offset": number * PAGE_VERSIONS}
        page = api.object(VERSIONS, api.api_url(f"files/{quoted(file_id)}/versions", **query))
        entries = page.get("entries")
        if not isinstance(entries, list) or len(entries) > PAGE_VERSIONS:
            raise ServerFault("a page of versions has no entries, or far too many")
        for entry in entries:
            with suppress(ServerFault):
                version = checked.obj(entry, "a version")
                yield id_of(version), _former(file, version)
        if len(entries) < PAGE_VERSIONS:
            return


def _former(file: File, version: Mapping[str, Any]) -> File:
    """A version has no etag, and no time but its own: not the one that the file was given with it."""
    return File(
        id=file.id,
        name=file.name,
        revision=Revision(file.id, FORMER_ETAG, id_of(version)).text,
        size_bytes=checked.count(version.get("size"), "size"),
        mtime_ns=checked.time_ns(version.get("modified_at"), "modified_at"),
        content_hash=checked.token(version.get("sha1"), "sha1").lower(),
    )
