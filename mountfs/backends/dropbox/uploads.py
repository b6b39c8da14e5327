"""Dropbox's upload sessions: packs of small files, and parts of large ones in parallel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mountfs.backends import checked
from mountfs.backends.dropbox.api import DropboxApi, Json
from mountfs.backends.dropbox.errors import LOOKUP, error_in, from_response, from_union, tags_of
from mountfs.backends.dropbox.limits import CHUNK_BYTES
from mountfs.backends.filerange import FileRange
from mountfs.backends.packs import Loaded
from mountfs.backends.receipts import hash_of_receipt, receipt_of, receipt_of_pieces
from mountfs.backends.wire import Response
from mountfs.errors import (
    BatchRefused,
    InvalidArgument,
    MountfsError,
    RequestTooBig,
    ServerFault,
    SessionLost,
)

START = "files/upload_session/start"
START_BATCH = "files/upload_session/start_batch"
APPEND = "files/upload_session/append_v2"
APPEND_BATCH = "files/upload_session/append_batch"


def token_of(session_id: str, part_bytes: int = 0) -> str:
    """What the journal keeps: the length of the session's parts (0: a small file's), then its id."""
    return f"{part_bytes}:{session_id}"


def id_of(token: str) -> str:
    return token.partition(":")[2]


def part_bytes_of(token: str) -> int:
    """SessionLost for what is no token of a large file's session."""
    length = token.partition(":")[0]
    if not length.isdecimal() or not int(length):
        raise SessionLost(f"not an upload session of parts: {token}")
    return int(length)


class DropboxUploads:
    """The session half of the port; a session carries one file and is never used again."""

    def __init__(self, api: DropboxApi) -> None:
        self._api = api

    def new_sessions(self, count: int) -> list[str]:
        """1 to 1000 of them."""
        reply = self._api.object(START_BATCH, {"num_sessions": count})
        ids = reply.get("session_ids")
        if not isinstance(ids, list) or len(ids) != count:
            raise ServerFault(f"{START_BATCH}: asked for {count} sessions, got another number")
        tokens = [token_of(checked.token(session_id, "session_id")) for session_id in ids]
        if len(set(tokens)) != count:
            raise ServerFault(f"{START_BATCH}: one session was given twice")
        return tokens

    def append_pack(self, pieces: Sequence[Loaded]) -> list[MountfsError | None]:
        body = b"".join(piece.body for piece in pieces)
        arg: Json = {
            "entries": [
                {
                    "cursor": {"session_id": id_of(piece.session), "offset": 0},
                    "length": len(piece.body),
                    "close": True,
                }
                for piece in pieces
            ],
            "content_hash": hash_of_receipt(receipt_of(body)),
        }
        response = self._api.try_upload(APPEND_BATCH, arg, body)
        if response.status != 200:
            raise _pack_error(response, len(pieces))
        reply = response.json()
        results = reply.get("entries") if isinstance(reply, Mapping) else None
        if not isinstance(results, list) or len(results) != len(pieces):
            raise ServerFault(f"{APPEND_BATCH}: not one result for each of {len(pieces)} pieces")
        return [_piece_error(piece, result) for piece, result in zip(pieces, results, strict=True)]

    def upload_whole(self, body: bytes) -> str:
        arg: Json = {"close": True, "content_hash": hash_of_receipt(receipt_of(body))}
        return token_of(self._started(self._api.upload(START, arg, body)))

    def open_session(self) -> str:
        """Of a large file, whose size and path are not told before the commit."""
        arg: Json = {"close": False, "session_type": {".tag": "concurrent"}}
        return token_of(self._started(self._api.upload(START, arg, b"")), CHUNK_BYTES)

    def append(self, session: str, body: FileRange, *, closing: bool) -> str:
        """One part, hashed once: for the wire, and as the receipt for the whole file's hash."""
        offset = body.offset
        demanded_bytes = part_bytes_of(session)
        if offset % demanded_bytes or (len(body) != demanded_bytes and not closing):
            raise InvalidArgument(f"part {offset}+{len(body)} is not aligned to {demanded_bytes}")
        receipt = receipt_of_pieces(body)
        arg: Json = {
            "cursor": {"session_id": id_of(session), "offset": offset},
            "close": closing,
            "content_hash": hash_of_receipt(receipt),
        }
        response = self._api.try_upload(APPEND, arg, body)
        if response.status != 200 and not (
            response.status == 409 and _was_stored(error_in(response), offset + len(body), closing=closing)
        ):
            raise from_response(response, APPEND, LOOKUP)
        return receipt

    @staticmethod
    def _started(reply: Any) -> str:
        return checked.token(checked.obj(reply, f"{START}: the reply").get("session_id"), "session_id")


def _was_stored(union: Any, end_offset: int, *, closing: bool) -> bool:
    """Whether a refused append says that its bytes are there: its first reply was lost.

    Only we write to the session, and always the same bytes at one place. Which of the two a closed
    session answers is not documented.
    """
    tags, fields = tags_of(union)
    if tags == ("incorrect_offset",):
        correct_offset = fields.get("correct_offset")
        return type(correct_offset) is int and correct_offset == end_offset
    return closing and tags == ("closed",)


def _piece_error(piece: Loaded, result: Any) -> MountfsError | None:
    if not isinstance(result, Mapping):
        return ServerFault(f"{APPEND_BATCH}: a result is not an object")
    if result.get(".tag") == "success":
        return None
    if result.get(".tag") != "failure":
        kind = checked.brief(result.get(".tag"))
        return ServerFault(f"{APPEND_BATCH}: a result of an unknown kind: {kind}")
    failure = result.get("failure")
    if _was_stored(failure, len(piece.body), closing=True):
        return None
    return from_union(failure, APPEND_BATCH, LOOKUP)


def _pack_error(response: Response, pieces: int) -> MountfsError:
    """Why a whole pack was refused: too much at once, or this account cannot at all.

    A header over the limit, which is not documented, may be a 400; when a single piece is still too much,
    packs do not work here.
    """
    error = from_response(response, APPEND_BATCH, LOOKUP)
    is_unknown = response.status == 400 and "Unknown API function" in response.text
    if is_unknown or response.status in (403, 404, 405, 501):
        return BatchRefused(str(error))
    if response.status == 400 or isinstance(error, RequestTooBig):
        return RequestTooBig(str(error)) if pieces > 1 else BatchRefused(str(error))
    return error
