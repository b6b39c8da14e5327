"""Committing an upload session: all parts, the digest of the whole, and the doubts before the 201."""

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cloudsandbox.box.arguments import attributes_of
from cloudsandbox.box.digests import bad_digest, sha1_in
from cloudsandbox.box.dispatch import Call, Reply
from cloudsandbox.box.errors import Refusal, bad_parameter, not_found, precondition_failed
from cloudsandbox.box.records import FILE, Attributes, Item
from cloudsandbox.box.service import BoxAccount
from cloudsandbox.box.sessions import Part, Session, content_of, counted_down
from cloudsandbox.box.switches import CommitResult, Recommit
from cloudsandbox.content import ContentFiles

SLICE_BYTES = 1024 * 1024


class Stage(StrEnum):
    """How far a commit came."""

    EARLY = "early"  # the parts are not known to this server yet
    PENDING = "pending"  # they are being processed
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Wish:
    """A commit as the client sent it."""

    session_id: str
    parts: list[dict[str, Any]]
    sha1: str
    attributes: Attributes
    if_match: str | None
    if_none_match: str | None
    mark: str
    """The same for the same body."""


def wish_of(call: Call) -> Wish:
    """The checked body and headers. Raises Refusal."""
    parts = call.argument.get("parts")
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise bad_parameter("parts", "'parts' is required", "missing_parameter")
    attributes = call.argument.get("attributes", {})
    if not isinstance(attributes, dict):
        raise bad_parameter("attributes", "expected an object")
    headers = call.request.headers
    return Wish(
        call.params["session_id"],
        parts,
        sha1_in(headers.get("Digest")),
        attributes_of(attributes),
        call.if_match,
        headers.get("If-None-Match"),
        json.dumps(call.argument, sort_keys=True),
    )


async def commit(call: Call) -> Reply:
    """Make the file or the version, once the parts are processed."""
    account, wish, fields = call.account, wish_of(call), call.fields
    session = await account.run(_checked, account, wish)
    if session.state == "open":
        # By itself, so that it stays written down whatever comes of the commit.
        wait_s = await account.run(account.sessions.wait_s, session, wish.mark)
        if wait_s > 0:
            return _put_off(wait_s)
    if session.state == "open" and session.sha1 is None:
        sha1 = await account.in_io(_hashed, account.files, session)
        await account.run(account.sessions.keep_sha1, session, sha1)

    def finish() -> Reply:
        current = _checked(account, wish)
        if current.state == "committed":
            return _recommitted(account, current, fields)
        if current.sha1 != wish.sha1:
            raise bad_digest()
        counted, stage = counted_down(current)
        account.sessions.count_down(counted)
        if stage == Stage.EARLY:
            # Not raised: the count has to stay written down.
            return Reply(Stage.EARLY)
        if stage == Stage.PENDING:
            account.sessions.put_off(current, wish.mark)
            return _put_off(account.switches.commit_retry_after_s)
        return _result(account, _made(account, current, wish), fields)

    reply = await account.run(finish)
    if reply.value == Stage.EARLY:
        raise parts_mismatch()
    return reply


def _put_off(wait_s: float) -> Reply:
    return Reply(None, 202, {"Retry-After": f"{wait_s:g}"})


def parts_mismatch() -> Refusal:
    """The list of parts is not what is stored."""
    return Refusal(400, "parts_mismatch", "The parts do not match those that were uploaded")


def _checked(account: BoxAccount, wish: Wish) -> Session:
    """The session, its parts those of the wish. Raises Refusal."""
    session = account.sessions.find(wish.session_id)
    if session.state == "open":
        stored = account.sessions.parts(session)
        if len(stored) != session.part_count or len(wish.parts) != len(stored):
            raise parts_mismatch()
        if not all(_is_same(given, part) for given, part in zip(wish.parts, stored, strict=True)):
            raise parts_mismatch()
    return session


def _is_same(given: dict[str, Any], part: Part) -> bool:
    known = (part.part_id, part.offset_bytes, part.size_bytes)
    named = (given.get("part_id"), given.get("offset"), given.get("size"))
    return named == known and given.get("sha1", part.sha1) == part.sha1


def _hashed(files: ContentFiles, session: Session) -> str:
    whole = hashlib.sha1(usedforsecurity=False)
    for start_bytes in range(0, session.size_bytes, SLICE_BYTES):
        count = min(SLICE_BYTES, session.size_bytes - start_bytes)
        whole.update(files.read_at(session.blob, start_bytes, count))
    return whole.hexdigest()


def _made(account: BoxAccount, session: Session, wish: Wish) -> Item:
    content = content_of(session, wish.sha1)
    attributes = wish.attributes
    named = Attributes(
        session.name,
        session.folder,
        attributes.content_created_s,
        attributes.content_modified_s,
        attributes.description,
    )
    account.items.check_editor(session.folder, session.file)
    if session.file is None:
        item = account.items.create_file(named, content)
    else:
        _check_none_match(account.items.get(session.file, FILE), wish.if_none_match)
        item = account.items.create_version(session.file, named, content, wish.if_match)
    if item.version is not None:
        account.sessions.mark_committed(session, item.version)
    return item


def _check_none_match(item: Item, if_none_match: str | None) -> None:
    if if_none_match is not None and if_none_match.strip('"') == str(item.etag):
        raise precondition_failed()


def _recommitted(account: BoxAccount, session: Session, fields: list[str] | None) -> Reply:
    item = _committed_item(account, session)
    match account.switches.recommit:
        case Recommit.RESULT:
            return _result(account, item, fields)
        case Recommit.GONE:
            raise Refusal(410, "session_expired", "The upload session was committed")
        case Recommit.CONFLICT:
            raise account.items.name_in_use(item, FILE)
    raise not_found()


def _committed_item(account: BoxAccount, session: Session) -> Item:
    """The file a session was committed to, whatever its name by this time."""
    return account.items.get(account.items.file_of(session.result or 0), FILE)


def _result(account: BoxAccount, item: Item, fields: list[str] | None) -> Reply:
    shown = account.views.shown(item, fields)
    if account.switches.commit_result == CommitResult.FILE:
        return Reply(shown, 201)
    return Reply({"total_count": 1, "entries": [shown]}, 201)
