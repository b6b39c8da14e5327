"""The parts of Box's upload sessions: sent side by side, and listed where it is not known what is stored."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from threading import Lock

from mountfs.backends import checked
from mountfs.backends.box.api import BoxApi, object_in
from mountfs.backends.box.errors import PART_OVERLAPS, FailedCondition, code_of, from_response
from mountfs.backends.box.sessiontoken import SessionToken, StoredPart
from mountfs.backends.filerange import FileRange
from mountfs.backends.wire import Response
from mountfs.errors import (
    Corrupt,
    InvalidArgument,
    NotFound,
    Offline,
    Refused,
    ServerFault,
    SessionLost,
    Unreachable,
)

PART = "PUT files/upload_sessions/:id"
LIST_PARTS = "GET files/upload_sessions/:id/parts"
PAGE_PARTS = 1000
PART_TRIES = 10
"""So often a session may refuse one part for a reason that lies in the session; some 70 s in all."""
_PAGES = 1000


class _NotListed(ServerFault):
    """The session has a part at that place, and does not tell which."""


class SessionParts:
    """Any thread. Sessions of a former process, and those with a part whose reply was lost, are listed before
    the next part is sent: what is stored is never sent twice."""

    def __init__(self, api: BoxApi) -> None:
        self._api = api
        self._lock = Lock()
        self._stored: dict[str, dict[int, StoredPart]] = {}
        """By session what was found in it; one that is missing here must be listed first."""
        self._begun: set[str] = set()
        """The sessions that this process has opened, while they are open."""
        self._refused: dict[str, Counter[int]] = {}
        """By session, and the offset of a part: how often the session refused it."""

    def began(self, session_id: str) -> None:
        """This process has opened the session: nothing is in it."""
        with self._lock:
            self._stored[session_id] = {}
            self._begun.add(session_id)

    def let_go(self, session_id: str) -> None:
        """The session is over: what was known of it is of no more use."""
        with self._lock:
            self._stored.pop(session_id, None)
            self._begun.discard(session_id)
            self._refused.pop(session_id, None)

    def append(self, session: str, offset: int, body: bytes | FileRange) -> str:
        """The receipt of one part, whose length but for the last is the session's. What reading raises."""
        token = SessionToken.parse(session)
        is_last = offset + len(body) == token.size_bytes
        if not body and is_last:
            return ""
        if offset % token.part_bytes or (len(body) != token.part_bytes and not is_last):
            raise InvalidArgument(f"part {offset}+{len(body)} is not aligned to {token.part_bytes}")
        if not token.id:
            return ""
        digest = hashlib.sha1()
        for piece in [body] if isinstance(body, bytes) else body:
            digest.update(piece)
        try:
            receipt = self._sent(token, offset, body, digest)
        except (FailedCondition, _NotListed) as error:
            self._note_refused(token, offset, error)
            raise
        with self._lock:
            self._refused.get(token.id, Counter()).pop(offset, None)
        return receipt

    def _sent(self, token: SessionToken, offset: int, body: bytes | FileRange, digest: hashlib._Hash) -> str:
        """The receipt of a part, which is sent unless the session has it."""
        known = self._found(token).get(offset)
        if known is not None and known.is_of(offset, len(body), digest.hexdigest()):
            return known.receipt
        try:
            response = self._api.exchange(
                PART,
                token.upload_part,
                body=body,
                headers={
                    "Content-Type": "application/octet-stream",
                    "Content-Range": f"bytes {offset}-{offset + len(body) - 1}/{token.size_bytes}",
                    "Digest": digest_header(digest.digest()),
                },
                is_upload=True,
            )
            return self._receipt(token, response, offset, len(body), digest.hexdigest())
        except (Offline, ServerFault) as error:
            if not isinstance(error, Unreachable):
                self._doubt(token)  # it may be stored, whatever the reply says or does not say of it
            raise

    def _note_refused(self, token: SessionToken, offset: int, error: ServerFault) -> None:
        """SessionLost: the session has refused that part so often that another one is to be begun."""
        with self._lock:
            refused = self._refused.setdefault(token.id, Counter())
            refused[offset] += 1
            if refused[offset] < PART_TRIES:
                return
            del self._refused[token.id]
        raise SessionLost(f"the upload session does not take the part at {offset}: {error}") from error

    def _receipt(
        self, token: SessionToken, response: Response, offset: int, size_bytes: int, sha1: str
    ) -> str:
        if response.status in (200, 201):
            reply = object_in(response, PART)
            part = StoredPart.from_wire(reply.get("part", reply))
            if not part.is_of(offset, size_bytes, sha1):
                raise Corrupt(f"the service stored another part at {offset} than was sent")
            return part.receipt
        if response.status == 409 and code_of(response) == PART_OVERLAPS:
            self._doubt(token)
            found = self._found(token).get(offset)
            if found is None:
                raise _NotListed(f"{PART}: a part is there at {offset}, and not listed (yet)")
            if found.is_of(offset, size_bytes, sha1):
                return found.receipt
            raise SessionLost(f"the upload session holds other bytes at {offset}")
        error = from_response(response, PART)
        with self._lock:
            # One that somebody else opened may be for a file of another size.
            is_other = type(error) is Refused and token.id not in self._begun
        raise SessionLost(str(error)) if is_other or isinstance(error, NotFound) else error

    def _doubt(self, token: SessionToken) -> None:
        with self._lock:
            self._stored.pop(token.id, None)

    def _found(self, token: SessionToken) -> dict[int, StoredPart]:
        """What the session is known to hold beside the parts we were told about, by offset. SessionLost."""
        with self._lock:
            known = self._stored.get(token.id)
        if known is not None:
            return known
        found = {part.offset: part for part in self._listed(token)}
        with self._lock:
            self._stored[token.id] = found
        return found

    def _listed(self, token: SessionToken) -> list[StoredPart]:
        parts: list[StoredPart] = []
        known: set[int] = set()
        joint = "&" if "?" in token.list_parts else "?"
        for _ in range(_PAGES):
            url = f"{token.list_parts}{joint}offset={len(parts)}&limit={PAGE_PARTS}"
            try:
                page = self._api.object(LIST_PARTS, url)
            except NotFound as error:
                raise SessionLost(str(error)) from error
            entries = page.get("entries")
            if not isinstance(entries, list):
                raise ServerFault(f"{LIST_PARTS}: a page has no entries")
            parts += [StoredPart.from_wire(entry) for entry in entries]
            if entries and {part.offset for part in parts} == known:
                raise ServerFault(f"{LIST_PARTS}: the service lists the same parts again and again")
            known = {part.offset for part in parts}
            if not entries or len(parts) >= checked.count(page.get("total_count", 0), "total_count"):
                return parts
        raise ServerFault(f"{LIST_PARTS}: the listing has no end")


def digest_header(digest: bytes) -> str:
    """The ``Digest`` header of Box, which takes SHA-1 alone."""
    return f"sha={base64.b64encode(digest).decode()}"
