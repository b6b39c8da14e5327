"""Box's upload sessions: opened for a size and a place, and ended; also where another one is in the way."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from threading import Lock
from typing import Any

from cachetools import LRUCache

from mountfs.backends import checked
from mountfs.backends.box.api import BoxApi, Json, object_in, quoted
from mountfs.backends.box.entries import Revision
from mountfs.backends.box.errors import (
    NAME_IN_USE,
    SESSION_CONFLICT,
    TOO_SMALL,
    FailedCondition,
    code_of,
    from_response,
    is_held_by_link,
)
from mountfs.backends.box.intheway import InTheWay, Target, Way, part_bytes_of, parts_of, session_in
from mountfs.backends.box.items import Items
from mountfs.backends.box.limits import BOX_LIMITS
from mountfs.backends.box.places import Places, folder_gone
from mountfs.backends.box.sessionparts import SessionParts
from mountfs.backends.box.sessiontoken import SessionToken
from mountfs.backends.box.smallfiles import DIRECT_BYTES
from mountfs.backends.wire import Response
from mountfs.errors import (
    Busy,
    InvalidArgument,
    NotFound,
    Offline,
    Refused,
    ServerFault,
    SessionLost,
    Unreachable,
)
from mountfs.model.entry import Place
from mountfs.ports import Clock

OPEN = "POST files/upload_sessions"
OPEN_VERSION = "POST files/:id/upload_sessions"
ABORT = "DELETE files/upload_sessions/:id"
OPENING_TRIES = 10
"""So often another session may be in the way of a file that needs none: one that the service does not end
would hold it up for a week."""
TARGETS_KEPT = 1000
"""Of places that the service takes no large file for in one request: one that is renamed is asked about no
more."""
ENDING_TRIES = 20
"""So often a session may refuse its end by a condition that nobody stated; some 8 min in all."""


class BoxUploads:
    """Opens and ends sessions; what is sent to them in between is for ``SessionParts``. Any thread."""

    def __init__(self, api: BoxApi, items: Items, places: Places, parts: SessionParts, clock: Clock) -> None:
        self._api = api
        self._items = items
        self._places = places
        self._parts = parts
        self._lock = Lock()
        self._opened_here: set[str] = set()
        """The sessions that this process has opened, while they are open."""
        self._unheard: dict[Target, set[int]] = {}
        """The sizes for which a session may have been opened without our being told its id."""
        self._blocked: Counter[Target] = Counter()
        """By target: how often another session was in the way, in a row."""
        self._clock = clock
        self._in_the_way = InTheWay(clock)
        self._too_large_until_s: LRUCache[Target, float] = LRUCache(TARGETS_KEPT)
        """What the service does not take without a session, and until when it is not asked to."""
        self._unended: Counter[str] = Counter()
        """By session: how often it refused its end by a condition that nobody stated."""
        self._strayed: set[str] = set()
        """Ids of files that a commit found away from the place where they were to get a new version."""

    def open(self, place: Place, size_bytes: int | None, base_revision: str | None) -> str:
        """The token of a session; of none at all where the commit alone can tell what is to be done:
        the name is taken by something that is not to be replaced, or the file is too small.

        NotFound: the folder is gone.
        """
        if size_bytes is None:
            raise InvalidArgument(f"the size of {place} must be known before its upload begins")
        base = Revision.parse(base_revision)
        if base is not None and not self._has_strayed(base.file_id, place):
            url = self._api.upload_url(f"files/{quoted(base.file_id)}/upload_sessions")
            target = SessionToken("", size_bytes, BOX_LIMITS.chunk_bytes, file_id=base.file_id)
            try:
                return self._opened(OPEN_VERSION, url, {"file_size": size_bytes}, target, place)
            except NotFound:
                pass  # the file is gone: a new one takes its place
        folder_id = self._places.folder_of(place)
        arg = {"folder_id": folder_id, "file_size": size_bytes, "file_name": place.name}
        target = SessionToken("", size_bytes, BOX_LIMITS.chunk_bytes, folder_id=folder_id, name=place.name)
        try:
            return self._opened(OPEN, self._api.upload_url("files/upload_sessions"), arg, target, place)
        except NotFound:
            raise folder_gone(place) from None

    def note_strayed(self, file_id: str) -> None:
        """Others moved the file away: a session for it is of no use at the place it had."""
        with self._lock:
            self._strayed.add(file_id)

    def note_too_large(self, token: SessionToken, lasts_s: float) -> None:
        """The service does not take the file without a session, and is not asked to for so long."""
        with self._lock:
            self._too_large_until_s[_key(token)] = self._clock.now_s() + lasts_s

    def let_go(self, session_id: str) -> None:
        """The session is over: what was known of it is of no more use."""
        self._parts.let_go(session_id)
        with self._lock:
            self._opened_here.discard(session_id)

    def is_of_former(self, session_id: str) -> bool:
        """Whether it is a former process that has opened the session: what it did with it is not known."""
        with self._lock:
            return session_id not in self._opened_here

    def abandon(self, session: str) -> None:
        """As the port says; what is no token of ours, or one of no session, is over already. Refused: the
        session does not take its end, however often."""
        try:
            token = SessionToken.parse(session)
        except SessionLost:
            return
        self.let_go(token.id)
        if not token.id:
            return
        try:
            self._end(token.abort)
        except FailedCondition as error:
            with self._lock:
                self._unended[token.id] += 1
                if self._unended[token.id] < ENDING_TRIES:
                    raise
                del self._unended[token.id]
            raise Refused(f"the upload session does not end: {error}") from error
        with self._lock:
            self._unended.pop(token.id, None)

    def _has_strayed(self, file_id: str, place: Place) -> bool:
        """Whether the file was found away from its place, and is not at *place* now."""
        with self._lock:
            if file_id not in self._strayed:
                return False
        item = self._items.get(file_id, is_folder=False)
        if item is None or not self._places.holds(place, item):
            return True
        with self._lock:
            self._strayed.discard(file_id)
        return False

    def _opened(self, route: str, url: str, arg: Json, target: SessionToken, place: Place) -> str:
        """NotFound: the folder or the file is gone. Busy: another session for this file is open. Where that
        does not end, a file that can travel with its commit is given the token of none."""
        try:
            response = self._api.exchange(route, url, arg=arg, is_upload=True)
        except Offline as error:
            if not isinstance(error, Unreachable):
                self._note_unheard(target)
            raise
        code = code_of(response)
        if code == SESSION_CONFLICT:
            with suppress(ServerFault, Refused):  # it stays in the way, as one of somebody else's does
                self._end_unheard(target, response)
            return self._blocked_by_another(target, response, place)
        if response.status < 500 and response.status != 429:  # else it tells nothing of what is in the way
            with self._lock:
                self._blocked.pop(_key(target), None)
            self._in_the_way.over(_key(target))
        if response.status < 500:
            self._unheard.pop(_key(target), None)
        else:
            self._note_unheard(target)
        if response.status in (200, 201):
            try:
                return self._begun(object_in(response, route), target)
            except ServerFault:
                self._note_unheard(target)  # it is open, and nobody can tell where
                raise
        if code == NAME_IN_USE and not is_held_by_link(response):
            return replace(target, is_taken=True).text
        if code == TOO_SMALL:
            return target.text
        raise from_response(response, str(place))

    def _blocked_by_another(self, target: SessionToken, response: Response, place: Place) -> str:
        """The token of no session, where the file needs none, or none can be had; of that one, where nobody
        fills it. Busy."""
        key = _key(target)
        with self._lock:
            self._blocked[key] += 1
            is_stuck = self._blocked[key] >= OPENING_TRIES
            is_too_large = self._clock.now_s() < self._too_large_until_s.get(key, -math.inf)
        if is_stuck and target.size_bytes <= DIRECT_BYTES:
            return target.text
        way = self._in_the_way.way(key, target.size_bytes, response)
        if way is Way.AROUND and not is_too_large:
            return replace(target, is_direct=True).text
        with suppress(ServerFault, Refused):
            if way is Way.GO_ON:
                session = self._begun(session_in(response), target)
                self.let_go(SessionToken.parse(session).id)  # what it has is to be listed first
                return session
            if way is Way.END:
                self._end(self._endpoint(session_in(response), "abort"))
        raise Busy(f"{place}: another upload session is in the way", response.retry_after_s)

    def _note_unheard(self, target: SessionToken) -> None:
        self._unheard.setdefault(_key(target), set()).add(target.size_bytes)

    def _end_unheard(self, target: SessionToken, response: Response) -> None:
        """Ends the session in the way if it is one whose opening we never heard the end of: for the same
        file, with as many parts, none of them sent. Any other may be at work for somebody else."""
        sizes = self._unheard.get(_key(target))
        if not sizes:
            return
        try:
            session = session_in(response)
            sent, total = parts_of(session)
            part_bytes, abort = part_bytes_of(session), self._endpoint(session, "abort")
        except ServerFault:
            return
        is_ours = not sent and any(-(-size // part_bytes) == total for size in sizes)
        if is_ours:
            self._end(abort)
        self._unheard.pop(_key(target), None)

    def _begun(self, session: Json, target: SessionToken) -> str:
        upload_part, list_parts, commit, abort = (
            self._endpoint(session, name) for name in ("upload_part", "list_parts", "commit", "abort")
        )
        token = replace(
            target,
            id=checked.token(session.get("id"), "the upload session's id"),
            part_bytes=part_bytes_of(session),
            upload_part=upload_part,
            list_parts=list_parts,
            commit=commit,
            abort=abort,
        )
        self._parts.began(token.id)
        with self._lock:
            self._opened_here.add(token.id)
        return token.text

    def _endpoint(self, session: Mapping[str, Any], name: str) -> str:
        """One of the session's own addresses, to which our token may go. ServerFault."""
        endpoints = checked.obj(session.get("session_endpoints"), "session_endpoints")
        return self._api.hosts.check(checked.token(endpoints.get(name), name), f"an upload session's {name}")

    def _end(self, url: str) -> None:
        """By its own address. Any error leaves it open."""
        response = self._api.exchange(ABORT, url)
        if response.status in (404, 410) or 200 <= response.status < 300:
            return
        error = from_response(response, ABORT)
        if not isinstance(error, SessionLost | NotFound):
            raise error


def _key(target: SessionToken) -> Target:
    return target.file_id, target.folder_id, target.name
