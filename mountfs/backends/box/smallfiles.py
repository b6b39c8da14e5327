"""Small files: one request each, new files and new versions alike, without asking first."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from mountfs.backends.box.api import BoxApi, Json, object_in, quoted
from mountfs.backends.box.entries import FIELDS, Revision, file_at, id_of, named_in, time_stamp
from mountfs.backends.box.errors import NAME_IN_USE, code_of, conflicting_item, from_response
from mountfs.backends.box.form import FileForm, pieces
from mountfs.backends.box.tree import Tree
from mountfs.backends.wire import Response
from mountfs.errors import Conflict, Corrupt, NotFound, ServerFault, SessionLost
from mountfs.model.entry import File
from mountfs.model.path import RemotePath
from mountfs.ports import Order, ReadBody

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

    order: Order
    read: ReadBody
    sha1: str


class SmallFiles:
    """Files whose bytes travel with their commit."""

    def __init__(self, api: BoxApi, tree: Tree) -> None:
        self._api = api
        self._tree = tree

    def put(self, order: Order) -> File:
        """Raises what keeps *order* from being carried out; Conflict: another content stands there."""
        if order.read is None or order.size_bytes > DIRECT_BYTES:
            return self._without_bytes(order)
        if order.size_bytes and not order.read(order.size_bytes - 1, 1):
            raise Corrupt(f"the pending bytes of {order.path} end before {order.size_bytes}")
        upload = _Upload(order, order.read, sha1_of(order))
        base = base_of(order)
        if base is not None:
            file = self._version(upload, base)
            if file is not None:
                return file
        return self._tree.in_folder(order.path.parent, lambda folder_id: self._create(upload, folder_id))

    def _without_bytes(self, order: Order) -> File:
        """A large file that has no session: what stands at its path decides whether it needs one."""
        if order.base_revision is None:
            try:
                self._tree.stat(order.path)
            except NotFound:
                pass
            else:
                raise Conflict(f"something stands at {order.path}")
        raise SessionLost(f"nothing was uploaded for {order.path}")

    def _create(self, upload: _Upload, folder_id: str) -> File:
        """NotFound: the folder is gone."""
        order = upload.order
        attributes = {
            "name": order.path.name,
            "parent": {"id": folder_id},
            "content_modified_at": time_stamp(order.mtime_ns),
        }
        response = self._send(CREATE, "files/content", attributes, upload, {})
        if response.status == 409 and code_of(response) == NAME_IN_USE:
            return done_already(self._tree, response, order.path, upload.sha1)
        if response.status not in (200, 201):
            raise from_response(response, str(order.path))
        return written(self._tree, object_in(response, CREATE), order.path, folder_id)

    def _version(self, upload: _Upload, base: Revision) -> File | None:
        """None when the file is not there any more, so that a new one takes its place."""
        order = upload.order
        attributes = {"content_modified_at": time_stamp(order.mtime_ns)}
        etag = base.etag
        for _ in range(_TRIES):
            path = f"files/{quoted(base.file_id)}/content"
            response = self._send(VERSION, path, attributes, upload, {"If-Match": etag})
            if response.status in (404, 410):
                self._tree.index.forget(base.file_id, is_gap=True)
                return None
            if response.status in (200, 201):
                return written(self._tree, object_in(response, VERSION), order.path)
            if response.status != 412:
                raise from_response(response, str(order.path))
            item = self._tree.item(base.file_id, is_folder=False)
            if item is None or not self._tree.is_at(item, order.path):
                return None
            if item.get("sha1") == upload.sha1:
                return file_at(named_in(order.path.parent, item), item)
            etag = unchanged_etag(item, base, order.path)
        raise Conflict(f"somebody else keeps changing {order.path}")

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


def sha1_of(order: Order) -> str:
    """The SHA-1 of the whole file, as the uploader computed it, or else of its bytes. SessionLost: there
    is neither."""
    if len(order.content_hash) == _SHA1_CHARS:
        return order.content_hash
    if order.read is None:
        raise SessionLost(f"nothing tells the digest of {order.path}")
    state = hashlib.sha1()
    for _, piece in pieces(order, order.read):
        state.update(piece)
    return state.hexdigest()


def base_of(order: Order) -> Revision | None:
    """What *order* replaces. Conflict for a revision that is none of ours."""
    if order.base_revision is None:
        return None
    base = Revision.parse(order.base_revision)
    if base is None:
        raise Conflict(f"revision {order.base_revision} of {order.path} is not known")
    return base


def unchanged_etag(item: Json, base: Revision, path: RemotePath) -> str:
    """The etag of a file that still has the content of *base*. Conflict when it has another."""
    version = item.get("file_version")
    version_id = version.get("id") if isinstance(version, Mapping) else None
    if version_id != base.version_id:
        raise Conflict(f"somebody else changed {path}")
    return str(item.get("etag"))


def done_already(tree: Tree, response: Response, path: RemotePath, sha1: str) -> File:
    """The file that holds the name, if it has our bytes: an earlier reply was lost. Conflict."""
    standing = conflicting_item(response) or {}
    if standing.get("type") == "file" and standing.get("sha1") == sha1:
        item = tree.item(id_of(standing), is_folder=False)
        if item is not None and item.get("sha1") == sha1:
            return file_at(named_in(path.parent, item), item)
    raise Conflict(f"something stands at {path}")


def written(tree: Tree, reply: Json, path: RemotePath, parent_id: str | None = None) -> File:
    """The file of an upload's reply: in a list of one, or by itself."""
    entries = reply.get("entries")
    item = entries[0] if isinstance(entries, list) and entries else reply
    if not isinstance(item, dict) or item.get("type") != "file":
        raise ServerFault(f"{path}: the reply to an upload names no file")
    tree.index.learn(item, parent_id)
    return file_at(named_in(path.parent, item), item)
