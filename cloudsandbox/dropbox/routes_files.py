"""Routes that list, look up and read."""

import asyncio
import json
import secrets
from typing import Any

from aiohttp import web

from cloudsandbox.dropbox import arguments
from cloudsandbox.dropbox.dispatch import Call, Route, Style, request_id
from cloudsandbox.dropbox.errors import BadRequest, LookupFailed, RouteError, tag, under
from cloudsandbox.dropbox.listing import Cursor
from cloudsandbox.dropbox.names import fold
from cloudsandbox.dropbox.records import Revision, deleted_metadata, file_metadata, tagged_metadata
from cloudsandbox.dropbox.service import DropboxAccount
from cloudsandbox.gate import Passage
from cloudsandbox.ranges import PastEnd
from cloudsandbox.sending import Sent, send_content

READ = "files.metadata.read"
NEWEST = "g"  # above every rev


async def list_folder(call: Call) -> Any:
    """The first page of a folder."""

    def work() -> Any:
        with under("path", "path"):
            return call.account.listing.next(call.account.listing.begin(call.argument))

    return await call.account.run(work)


async def list_folder_continue(call: Call) -> Any:
    """The next page, or the changes since."""

    def work() -> Any:
        with under("path", "path"):
            return call.account.listing.next(call.account.listing.codec.decode(call.argument["cursor"]))

    return await call.account.run(work)


async def get_latest_cursor(call: Call) -> Any:
    """A cursor at now, without entries."""

    def work() -> Any:
        listing = call.account.listing
        with under("path", "path"):
            begun = listing.begin(call.argument)
        return {"cursor": listing.codec.encode(_without_pages(begun))}

    return await call.account.run(work)


def _without_pages(cursor: Cursor) -> Cursor:
    return Cursor(cursor.folder, cursor.recursive, cursor.include_deleted, cursor.limit, cursor.seq)


async def longpoll(call: Call) -> Any:
    """Wait until the cursor has news, or the time is over."""
    account = call.account
    cursor = account.listing.codec.decode(call.argument["cursor"])
    loop_time = asyncio.get_running_loop().time
    deadline_s = loop_time() + call.argument["timeout"] * account.switches.longpoll_time_scale
    backoff_s = account.switches.longpoll_backoff_s
    backoff = {"backoff": backoff_s} if backoff_s else {}
    while True:
        changed = account.next_change()
        if await account.run(account.listing.has_news, cursor):
            return {"changes": True, **backoff}
        try:
            await asyncio.wait_for(changed.wait(), max(0.0, deadline_s - loop_time()))
        except TimeoutError:
            return {"changes": False, **backoff}


async def get_metadata(call: Call) -> Any:
    """What is at a path, or was at a revision."""
    tree, path = call.account.tree, call.argument["path"]
    if path in ("/", "") or (path.startswith("ns:") and path.partition("/")[2] == ""):
        raise BadRequest("request body: path: The root folder is unsupported.")

    def work() -> Any:
        if path.startswith("rev:"):
            revision = _revision_of(call.account, path)
            return {".tag": "file", **file_metadata(revision, revision.path_lower, revision.path_display)}
        try:
            return tagged_metadata(tree.find(path))
        except LookupFailed as failure:
            key = fold(tree.resolve(path)) if not path.startswith("id:") else ""
            gone = tree.tombstone(key) if call.argument["include_deleted"] else None
            if gone is None or failure.error[".tag"] != "not_found":
                raise
            return deleted_metadata(key, gone[0])

    with under("path", "path"):
        return await call.account.run(work)


def _revision_of(account: DropboxAccount, path: str) -> Revision:
    """The revision that a path to read names. Raises LookupFailed. On the state thread."""
    if path.startswith("rev:"):
        revision = account.tree.revision(path[4:])
        if revision is None:
            raise LookupFailed("not_found")
        return revision
    entry = account.tree.find(path)
    if entry.revision is None:
        raise LookupFailed("not_file")
    # A revision kept by a move still names the path it was written at.
    return Revision(
        entry.revision.rev,
        entry.id,
        entry.path_lower,
        entry.path_display,
        entry.revision.content,
        entry.revision.client_modified,
        entry.revision.server_modified,
    )


async def download(call: Call) -> web.StreamResponse:
    """The bytes of a file, or one range of them."""
    path = call.argument["path"] if call.argument["rev"] is None else "rev:" + call.argument["rev"]
    with under("path", "path"):
        revision = await call.account.run(_revision_of, call.account, path)
    metadata = file_metadata(revision, revision.path_lower, revision.path_display)
    headers = {"Dropbox-API-Result": json.dumps(metadata), **request_id()}
    return await send_revision(call.account, call.passage, revision, headers)


async def send_revision(
    account: DropboxAccount, passage: Passage, revision: Revision, headers: dict[str, str]
) -> web.StreamResponse:
    """A response with the content of a revision, honouring Range and If-None-Match."""
    content = revision.content
    whole_past_end = account.switches.range_past_end == PastEnd.WHOLE
    sent = Sent(content.blob, content.size_bytes, f'W/"{revision.rev}"', whole_past_end)
    return await send_content(account, passage, sent, headers)


async def get_temporary_link(call: Call) -> Any:
    """A link to the newest revision that needs no token."""
    account, token = call.account, secrets.token_urlsafe(24)

    def work() -> Revision:
        with under("path", "path"):
            revision = _revision_of(account, call.argument["path"])
        expires_s = call.now_s + account.switches.link_lifetime_s
        account.state.connection.execute(
            "INSERT INTO link VALUES (?, ?, ?)", (token, revision.rev, expires_s)
        )
        return revision

    revision = await account.run(work)
    link = f"{call.request.scheme}://{call.request.host}/cd/0/get/{token}/file"
    return {"metadata": file_metadata(revision, revision.path_lower, revision.path_display), "link": link}


async def serve_link(account: DropboxAccount, passage: Passage, now_s: float) -> web.StreamResponse:
    """Answer a temporary link: 410 when its time is over."""
    token = passage.request.path.split("/")[4]

    def work() -> tuple[Revision | None, float]:
        query = "SELECT rev, expires_s FROM link WHERE token = ?"
        row = account.state.connection.execute(query, (token,)).fetchone()
        return (None, 0.0) if row is None else (account.tree.revision(row[0]), row[1])

    revision, expires_s = await account.run(work)
    if revision is None:
        return web.Response(status=404, headers=request_id())
    if expires_s <= now_s:
        return web.Response(status=410, headers=request_id())
    return await send_revision(account, passage, revision, request_id())


async def list_revisions(call: Call) -> Any:
    """The versions of a file, newest first, by path or by id."""
    return await call.account.run(_list_revisions, call)


def _list_revisions(call: Call) -> Any:
    tree, argument = call.account.tree, call.argument
    mode, before_rev = argument["mode"][0], argument["before_rev"]
    if before_rev is not None:
        if mode == "id":
            raise RouteError(tag("before_rev_not_supported"))
        if tree.revision(before_rev) is None:
            raise RouteError(tag("invalid_before_rev"))
    with under("path", "path"):
        key = fold(tree.resolve(argument["path"]))
        entry = tree.get(key)
        if entry.is_folder if entry is not None else tree.was_folder(key):
            raise LookupFailed("not_file")
        column, value = "path_lower", key
        if mode == "id":
            newest = tree.revisions("path_lower", key, NEWEST, 1)
            identity = entry.id if entry is not None else newest[0].id if newest else ""
            column, value = "id", identity
        found = tree.revisions(column, value, before_rev or NEWEST, argument["limit"] + 1)
        if not found and entry is not None and entry.revision is not None:
            found = [entry.revision]  # moved here with its revision kept
        if not found and before_rev is None:
            raise LookupFailed("not_found")
    entries = [file_metadata(each, each.path_lower, each.path_display) for each in found[: argument["limit"]]]
    gone = tree.tombstone(key)
    deleted = {"server_deleted": gone[1]} if entry is None and gone is not None else {}
    has_more = len(found) > argument["limit"]
    return {"is_deleted": entry is None, **deleted, "entries": entries, "has_more": has_more}


ROUTES = [
    Route("files/list_folder", arguments.LIST_FOLDER, list_folder, READ),
    Route("files/list_folder/continue", arguments.LIST_FOLDER_CONTINUE, list_folder_continue, READ),
    Route("files/list_folder/get_latest_cursor", arguments.LIST_FOLDER, get_latest_cursor, READ),
    Route("files/list_folder/longpoll", arguments.LONGPOLL, longpoll, None, Style.NOTIFY),
    Route("files/get_metadata", arguments.GET_METADATA, get_metadata, READ),
    Route("files/list_revisions", arguments.LIST_REVISIONS, list_revisions, READ),
    Route("files/download", arguments.DOWNLOAD, download, "files.content.read", Style.DOWNLOAD),
    Route("files/get_temporary_link", arguments.TEMPORARY_LINK, get_temporary_link, "files.content.read"),
]
