"""Small files: one request each, new files and new versions alike, without asking first."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from mountfs.backends import checked
from mountfs.backends.box.api import BoxApi, Json, object_in, quoted
from mountfs.backends.box.entries import FIELDS, Revision, file_of, id_of, time_stamp
from mountfs.backends.box.errors import (
    NAME_IN_USE,
    FailedCondition,
    code_of,
    conflicting_item,
    from_response,
    is_held_by_link,
)
from mountfs.backends.box.form import FileForm, pieces
from mountfs.backends.box.items import Items
from mountfs.backends.box.newfiles import NewFiles
from mountfs.backends.box.places import Places, folder_gone
from mountfs.backends.wire import Response
from mountfs.errors import Conflict, Corrupt, NotFound, ServerFault, SessionLost, Transient
from mountfs.model.entry import File, Place
from mountfs.model.order import Put
from mountfs.model.path import fold
from mountfs.model.source import ReadBody

CREATE = "POST files/content"
VERSION = "POST files/:id/content"
DIRECT_BYTES = 50_000_000
"""The upload guide's limit of a file in one request."""
_SHA1_CHARS = 40
_TRIES = 2
"""A file whose name or times alone changed is written onto once more, with its new etag."""


@dataclass(frozen=True, slots=True)
class _Upload:
    """A file about to be sent, whose bytes stay on the disk until they leave."""

    order: Put
    read: ReadBody
    sha1: str


class SmallFiles:
    """Files whose bytes travel with their commit."""

    def __init__(self, api: BoxApi, items: Items, places: Places) -> None:
        self._api = api
        self._items = items
        self._places = places
        self._new_files = NewFiles(api)

    def put(self, order: Put, *, is_large_too: bool = False) -> File:
        """Raises what keeps *order* from being carried out. Conflict: another content stands there. NotFound:
        the folder is gone."""
        if order.body is None or (order.size_bytes > DIRECT_BYTES and not is_large_too):
            return self._without_bytes(order)
        if order.size_bytes and not order.body.read(order.size_bytes - 1, 1):
            raise Corrupt(f"the pending bytes of {order.place} end before {order.size_bytes}")
        upload = _Upload(order, order.body.read, sha1_of(order))
        base = base_of(order)
        if base is not None:
            file = self._version(upload, base)
            if file is not None:
                return file
        return self._create(upload)

    def _without_bytes(self, order: Put) -> File:
        """A large file that has no session: what stands at its place decides whether it needs one."""
        if order.base_revision is None:
            try:
                self._places.item(order.place)
            except NotFound:
                pass
            else:
                raise Conflict(f"something stands at {order.place}")
        raise SessionLost(f"nothing was uploaded for {order.place}")

    def _create(self, upload: _Upload) -> File:
        order = upload.order
        attributes = {
            "name": order.place.name,
            "parent": {"id": self._places.folder_of(order.place)},
            "content_modified_at": time_stamp(order.mtime_ns),
            **self._api.of_new_files,
        }
        response = self._send(CREATE, "files/content", attributes, upload, {})
        if response.status == 409 and code_of(response) == NAME_IN_USE:
            return done_already(self._items, response, order.place, upload.sha1)
        if response.status == 404:
            raise folder_gone(order.place)
        if response.status not in (200, 201):
            raise from_response(response, str(order.place))
        file = written(object_in(response, CREATE), self._places, order.place, upload.sha1)
        return self._new_files.tagged(file, order.place)

    def _version(self, upload: _Upload, base: Revision) -> File | None:
        """None when the file is gone, or others moved it away: a new one is to take its place."""
        order = upload.order
        attributes = {"content_modified_at": time_stamp(order.mtime_ns)}
        etag = base.etag
        for _ in range(_TRIES):
            path = f"files/{quoted(base.file_id)}/content"
            response = self._send(VERSION, path, attributes, upload, {"If-Match": etag})
            if response.status in (404, 410):
                return None
            if response.status in (200, 201):
                reply = object_in(response, VERSION)
                return written(reply, self._places, order.place, upload.sha1, base.file_id)
            if response.status != 412:
                raise from_response(response, str(order.place))
            with after_a_refusal(order.place):
                item = self._items.get(base.file_id, is_folder=False)
            if item is None or not self._places.holds(order.place, item):
                return None
            if item.get("sha1") == upload.sha1:
                return file_of(item)
            etag = unchanged_etag(item, base, order.place, etag)
        raise Conflict(f"somebody else keeps changing {order.place}")

    def _send(
        self, route: str, path: str, attributes: Json, upload: _Upload, headers: Mapping[str, str]
    ) -> Response:
        """One multipart request; ``content-md5`` carries a SHA-1, by the service's own choice."""
        boundary = f"mountfs-{upload.sha1}"
        return self._api.exchange(
            route,
            self._api.upload_url(path, fields=FIELDS),
            body=FileForm(boundary, attributes, upload.order, upload.read),
            headers={
                **headers,
                "Content-Type": f"multipart/form-data; boundary={boundary}",
                "content-md5": upload.sha1,
            },
            is_upload=True,
        )


@contextmanager
def after_a_refusal(place: Place) -> Iterator[None]:
    """For the look at what was in the way: where it fails for now, the order is a Conflict all the same.

    Were it the failure's, the whole order would be sent again, its bytes with it. A Conflict is looked into
    by who sent the order, for as long as that takes.
    """
    try:
        yield
    except Transient as error:
        raise Conflict(f"something else is at {place}, and what cannot be told now: {error}") from error


def sha1_of(order: Put) -> str:
    """The SHA-1 of the whole file, as the uploader computed it, or else of its bytes. SessionLost: there
    is neither."""
    if len(order.content_hash) == _SHA1_CHARS:
        return order.content_hash
    if order.body is None:
        raise SessionLost(f"nothing tells the digest of {order.place}")
    state = hashlib.sha1()
    for _, piece in pieces(order, order.body.read):
        state.update(piece)
    return state.hexdigest()


def base_of(order: Put) -> Revision | None:
    """What *order* replaces. Conflict for a revision that is none of ours."""
    if order.base_revision is None:
        return None
    base = Revision.parse(order.base_revision)
    if base is None:
        raise Conflict(f"revision {order.base_revision} of {order.place} is not known")
    return base


def unchanged_etag(item: Json, base: Revision, place: Place, stated: str | None) -> str:
    """The etag of a file that still has the content of *base*, and was refused by the etag *stated*. Conflict
    when it has another content. FailedCondition when its etag is the one stated: its state may be on its way
    through the service."""
    version = item.get("file_version")
    version_id = version.get("id") if isinstance(version, Mapping) else None
    if version_id != base.version_id:
        raise Conflict(f"somebody else changed {place}")
    etag = checked.token(item.get("etag"), "etag")
    if etag == stated:
        raise FailedCondition(f"{place}: HTTP 412 to the etag that it has")
    return etag


def done_already(items: Items, response: Response, place: Place, sha1: str) -> File:
    """The file that holds the name, if it has our bytes: an earlier reply was lost. Conflict."""
    if is_held_by_link(response):
        raise from_response(response, str(place))
    standing = conflicting_item(response) or {}
    if standing.get("type") == "file" and standing.get("sha1") == sha1:
        with after_a_refusal(place):
            item = items.get(id_of(standing), is_folder=False)
        if item is not None and item.get("sha1") == sha1:
            return file_of(item)
    raise Conflict(f"something stands at {place}")


def written(
    reply: Json,
    places: Places,
    place: Place,
    sha1: str | None,
    file_id: str = "",
    *,
    may_have_moved: bool = False,
) -> File:
    """The file of an upload's reply: in a list of one, or by itself. *file_id*: which one got a version.
    *may_have_moved*: others had the time to move it since it was made.

    ServerFault for the reply to another upload, which something on the way has mixed up: the right bytes
    would replace that file.
    """
    entries = reply.get("entries")
    item = entries[0] if isinstance(entries, list) and entries else reply
    if not isinstance(item, dict) or item.get("type") != "file":
        raise ServerFault(f"{place}: the reply to an upload names no file")
    file = file_of(item)
    has_bytes = sha1 is not None and file.content_hash == sha1
    is_made = has_bytes or fold(file.name) == place.path.name_key
    if places.is_elsewhere(item, place):
        is_made = has_bytes and may_have_moved
    is_other = file.id != file_id if file_id else not is_made
    if is_other:
        raise ServerFault(f"{place}: the reply to its upload is of another file, {file.name}")
    return file
