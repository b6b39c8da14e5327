"""Upload sessions: create, part, list, status, commit, abort."""

import hashlib
from typing import Any

from cloudsandbox.body import Body, PayloadTooLarge, receive
from cloudsandbox.box.arguments import text_of
from cloudsandbox.box.commits import commit
from cloudsandbox.box.digests import bad_digest, content_range, sha1_in
from cloudsandbox.box.dispatch import Call, Host, Reply, Route, Takes
from cloudsandbox.box.errors import Refusal, bad_parameter, bad_request
from cloudsandbox.box.names import fold, number_of
from cloudsandbox.box.records import FILE, FOLDER
from cloudsandbox.box.sessions import Part, Session

MAX_LIMIT = 1000
PATTERN = "files/upload_sessions/{session_id}"


def session_json(call: Call, session: Session, processed: int) -> dict[str, Any]:
    """A session as replies show it, with the URLs that clients must use from here on."""
    base = f"{call.base_url}{call.account.switches.session_prefix}/files/upload_sessions/{session.id}"
    return {
        "id": session.id,
        "type": "upload_session",
        "session_expires_at": call.account.views.time(int(session.expires_s)),
        "part_size": session.part_size_bytes,
        "total_parts": session.part_count,
        "num_parts_processed": processed,
        "session_endpoints": {
            "upload_part": base,
            "commit": f"{base}/commit",
            "abort": base,
            "list_parts": f"{base}/parts",
            "status": base,
            "log_event": f"{base}/log",
            "plan": f"{base}/plan",
        },
    }


def part_json(part: Part) -> dict[str, Any]:
    """A part as replies show it."""
    return {
        "part_id": part.part_id,
        "offset": part.offset_bytes,
        "size": part.size_bytes,
        "sha1": part.sha1,
    }


async def create_session(call: Call) -> Reply:
    """Begin a session for a new file."""
    argument = call.argument
    if argument.get("folder_id") is None:
        raise Refusal(400, "missing_destination", "folder_id is required")
    try:
        folder = number_of(argument["folder_id"])
    except Refusal:
        raise Refusal(400, "invalid_folder_id", "folder_id is not valid") from None
    size_bytes = _file_size(call)
    if argument.get("file_name") is None:
        raise Refusal(400, "missing_file_name", "file_name is required")

    def work() -> Reply:
        account = call.account
        account.items.get(folder, FOLDER)
        account.items.check_editor(folder)
        name = account.items.check_free(folder, argument["file_name"], FILE)
        account.items.check_size(size_bytes)
        if account.switches.session_conflict:
            other = account.sessions.same_target(folder, fold(name))
            if other is not None:
                shown = session_json(call, other, len(account.sessions.parts(other)))
                raise Refusal(409, "session_conflict", "A session exists already", {"session": shown})
        return Reply(session_json(call, account.sessions.open(folder, None, name, size_bytes), 0), 201)

    return await call.account.run(work)


async def create_version_session(call: Call) -> Reply:
    """Begin a session for a new version."""
    number, size_bytes = call.number("file_id"), _file_size(call)
    name = text_of(call.argument, "file_name")

    def work() -> Reply:
        account = call.account
        item = account.items.get(number, FILE)
        account.items.check_editor(number)
        if name is not None:
            account.items.check_free(item.parent or 0, name, FILE, item.id)
        account.items.check_size(size_bytes, item.version.content.size_bytes if item.version else 0)
        return Reply(session_json(call, account.sessions.open(None, number, name, size_bytes), 0), 201)

    return await call.account.run(work)


def _file_size(call: Call) -> int:
    size_bytes = call.argument.get("file_size")
    if size_bytes is None:
        raise Refusal(400, "missing_file_size", "file_size is required")
    if not isinstance(size_bytes, int) or isinstance(size_bytes, bool) or size_bytes < 0:
        raise Refusal(400, "invalid_file_size", "file_size is not valid")
    if size_bytes < call.account.switches.min_session_bytes:
        raise Refusal(400, "file_size_too_small", "The file is too small for an upload session")
    return size_bytes


async def upload_part(call: Call) -> Reply:
    """Store one part; parts come in any order and side by side."""
    account, headers = call.account, call.request.headers
    session_id, expected = call.params["session_id"], sha1_in(headers.get("Digest"))
    start_bytes, end_bytes, total_bytes = content_range(headers.get("Content-Range"))
    if call.request.content_type != "application/octet-stream":
        raise Refusal(415, "unsupported_media_type", "Expected application/octet-stream")
    length_bytes = end_bytes - start_bytes
    await account.run(account.sessions.check_part, session_id, start_bytes, end_bytes, total_bytes)
    body = await _receive_part(call, length_bytes)
    with body:
        sha1 = body.hasher.hexdigest()
        if sha1 != expected:
            raise bad_digest()

        def work() -> Part:
            session = account.sessions.check_part(session_id, start_bytes, end_bytes, total_bytes)
            body.store(account.files, session.blob, start_bytes)
            return account.sessions.keep_part(session, start_bytes, length_bytes, sha1)

        part = part_json(await account.run(work))
    return Reply({"part": part} if account.switches.wrapped_part else part)


async def _receive_part(call: Call, length_bytes: int) -> Body[Any]:
    account = call.account
    stream = account.line.uploaded(call.request.content.iter_any())
    try:
        body = await receive(stream, length_bytes, account.files, account.io, hashlib.sha1())
    except PayloadTooLarge:
        raise bad_request("The body is longer than Content-Range says") from None
    call.exchange.request_body = {"bytes": body.size_bytes}
    if body.size_bytes != length_bytes:
        body.__exit__(None, None, None)
        raise bad_request("The body is shorter than Content-Range says")
    return body


async def list_parts(call: Call) -> Reply:
    """What of a session is stored."""
    limit, offset = call.whole("limit", MAX_LIMIT), call.whole("offset", 0)
    if not 0 < limit <= MAX_LIMIT:
        raise Refusal(400, "invalid_limit", f"limit must be at most {MAX_LIMIT}")
    if offset < 0:
        raise Refusal(400, "invalid_offset", "offset must not be negative")

    def work() -> Reply:
        parts = call.account.sessions.parts(call.account.sessions.get(call.params["session_id"]))
        return Reply(
            {
                "entries": [part_json(part) for part in parts[offset : offset + limit]],
                "total_count": len(parts),
                "limit": limit,
                "offset": offset,
                "order": [{"by": "type", "direction": "ASC"}],
            }
        )

    return await call.account.run(work)


async def session_status(call: Call) -> Reply:
    """How far a session is."""

    def work() -> Reply:
        session = call.account.sessions.get(call.params["session_id"])
        return Reply(session_json(call, session, len(call.account.sessions.parts(session))))

    return await call.account.run(work)


async def abort_session(call: Call) -> Reply:
    """Give a session up."""
    await call.account.run(call.account.sessions.abort, call.params["session_id"])
    return Reply(None, 204)


async def plan_parts(call: Call) -> Reply:
    """Which of these parts the service has the bytes of already: none, nothing is kept across sessions."""
    parts = call.argument.get("parts")
    if not isinstance(parts, list):
        raise bad_parameter("parts", "'parts' is required", "missing_parameter")

    for part in parts:
        if not isinstance(part, dict) or not {"offset", "size"} <= part.keys():
            raise bad_parameter("parts", "each part has an offset and a size")
    session = await call.account.run(call.account.sessions.get, call.params["session_id"])
    return Reply({"upload_session_id": session.id, "hits": [], "misses": parts})


ROUTES = [
    Route(
        "sessions/create",
        "POST",
        "files/upload_sessions",
        create_session,
        Host.UPLOAD,
        Takes.JSON,
        is_upload=True,
    ),
    Route(
        "sessions/create_version",
        "POST",
        "files/{file_id}/upload_sessions",
        create_version_session,
        Host.UPLOAD,
        Takes.JSON,
        is_upload=True,
    ),
    Route("sessions/part", "PUT", PATTERN, upload_part, Host.SESSION, Takes.STREAM, is_upload=True),
    Route("sessions/parts", "GET", PATTERN + "/parts", list_parts, Host.SESSION),
    Route("sessions/status", "GET", PATTERN, session_status, Host.SESSION),
    Route("sessions/commit", "POST", PATTERN + "/commit", commit, Host.SESSION, Takes.JSON),
    Route("sessions/abort", "DELETE", PATTERN, abort_session, Host.SESSION),
    Route("sessions/plan", "POST", PATTERN + "/plan", plan_parts, Host.SESSION, Takes.JSON),
]
