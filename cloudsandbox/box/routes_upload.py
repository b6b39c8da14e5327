"""Direct uploads: one multipart request, the attributes before the bytes."""

import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import BodyPartReader

from cloudsandbox.body import Body, PayloadTooLarge, receive
from cloudsandbox.box.arguments import attributes_of, required_parent, required_text
from cloudsandbox.box.digests import bad_digest
from cloudsandbox.box.dispatch import Call, Host, Reply, Route, Takes
from cloudsandbox.box.errors import Refusal, bad_request
from cloudsandbox.box.records import Attributes, Content, Item

CHUNK_BYTES = 256 * 1024
MAX_ATTRIBUTES_BYTES = 64 * 1024


async def upload_file(call: Call) -> Reply:
    """Make a new file."""

    def check(argument: dict[str, Any]) -> Attributes:
        required_text(argument, "name")
        required_parent(argument)
        return attributes_of(argument)

    def store(attributes: Attributes, content: Content) -> Item:
        call.account.items.check_editor(attributes.parent)
        return call.account.items.create_file(attributes, content)

    return await _upload(call, check, store, 201)


async def upload_version(call: Call) -> Reply:
    """Make a new version of a file."""
    number = call.number("file_id")

    def store(attributes: Attributes, content: Content) -> Item:
        call.account.items.check_editor(number)
        return call.account.items.create_version(number, attributes, content, call.if_match)

    return await _upload(call, attributes_of, store, call.account.switches.new_version_status)


async def _upload(call: Call, check: Any, store: Any, status: int) -> Reply:
    account, fields = call.account, call.fields
    argument, body = await _receive(call)
    with body:
        attributes = check(argument)
        sha1 = body.hasher.hexdigest()
        expected = call.request.headers.get("Content-MD5")
        if expected is not None and expected.lower() != sha1:
            raise bad_digest()

        def work() -> Reply:
            content = Content(body.size_bytes, sha1, account.files.new_name())
            item = store(attributes, content)
            if item.version is not None and item.version.content.blob == content.blob:
                body.store(account.files, content.blob, 0)
            return Reply({"total_count": 1, "entries": [account.views.shown(item, fields)]}, status)

        return await account.run(work)


async def _receive(call: Call) -> tuple[dict[str, Any], Body[Any]]:
    """The attributes and the bytes of the form. Raises Refusal."""
    if call.request.content_type != "multipart/form-data":
        raise Refusal(415, "unsupported_media_type", "Expected multipart/form-data")
    try:
        reader = await call.request.multipart()
        first = await reader.next()
        if not isinstance(first, BodyPartReader) or first.name != "attributes":
            raise _not_attributes(first)
        argument = await _attributes(first)
        call.exchange.request_body = {"attributes": argument}
        _name_upload(call, argument)
        second = await reader.next()
        if not isinstance(second, BodyPartReader) or second.filename is None:
            raise bad_request("The form lacks the part with the bytes and a file name")
        limit_bytes = call.account.switches.max_direct_bytes
        account = call.account
        stream = account.line.uploaded(_chunks(second))
        body = await receive(stream, limit_bytes, account.files, account.io, hashlib.sha1())
        call.exchange.request_body["file"] = {"bytes": body.size_bytes}
        try:
            if await reader.next() is not None:
                raise bad_request("The form must end with the bytes")
        except BaseException:
            body.__exit__(None, None, None)
            raise
    except PayloadTooLarge:
        raise Refusal(413, "request_entity_too_large", "Use an upload session for large files") from None
    except ValueError as error:
        raise bad_request(f"The form could not be read: {error}") from error
    return argument, body


def _not_attributes(first: object) -> Refusal:
    """Why a form may not begin with this; a part with a file name is the bytes, whatever it is called."""
    if isinstance(first, BodyPartReader) and first.filename is not None:
        return Refusal(400, "metadata_after_file_contents", "API Metadata must come before file contents")
    return bad_request("The form must begin with the part attributes")


async def _attributes(part: BodyPartReader) -> dict[str, Any]:
    raw = bytearray()
    while chunk := await part.read_chunk(MAX_ATTRIBUTES_BYTES):
        raw += chunk
        if len(raw) > MAX_ATTRIBUTES_BYTES:
            raise bad_request("The attributes are too long")
    argument = json.loads(raw.decode("utf-8"))
    if not isinstance(argument, dict):
        raise bad_request("The attributes are no object")
    json.dumps(argument, ensure_ascii=False).encode("utf-8")
    return argument


def _name_upload(call: Call, argument: dict[str, Any]) -> None:
    parent, name = argument.get("parent"), argument.get("name")
    if isinstance(name, str):
        folder = parent.get("id") if isinstance(parent, dict) else None
        call.names(f"{folder}/{name}" if isinstance(folder, str) else name)


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(CHUNK_BYTES):
        yield chunk


ROUTES = [
    Route("files/upload", "POST", "files/content", upload_file, Host.UPLOAD, Takes.STREAM, is_upload=True),
    Route(
        "files/upload_version",
        "POST",
        "files/{file_id}/content",
        upload_version,
        Host.UPLOAD,
        Takes.STREAM,
        is_upload=True,
    ),
]
