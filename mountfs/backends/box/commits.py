"""The commit of an upload session: sent, and sent again unchanged until the service is done with it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from threading import Lock

from mountfs.backends.box.api import BoxApi, Json, object_in
from mountfs.backends.box.entries import Revision, entry_of, file_of, time_stamp
from mountfs.backends.box.errors import (
    NAME_IN_USE,
    PARTS_MISMATCH,
    FailedCondition,
    RequestTooLarge,
    code_of,
    from_response,
)
from mountfs.backends.box.items import Items
from mountfs.backends.box.newfiles import NewFiles
from mountfs.backends.box.places import Places
from mountfs.backends.box.sessionparts import digest_header
from mountfs.backends.box.sessiontoken import SessionToken, whole_file
from mountfs.backends.box.smallfiles import (
    SmallFiles,
    base_of,
    done_already,
    sha1_of,
    unchanged_etag,
    written,
)
from mountfs.backends.box.uploads import BoxUploads
from mountfs.backends.effects import after_an_effect
from mountfs.backends.wire import Response
from mountfs.errors import (
    Conflict,
    NotFound,
    NotPassedOn,
    Offline,
    Refused,
    ServerFault,
    SessionLost,
    Unreachable,
)
from mountfs.model.entry import File
from mountfs.model.order import Put
from mountfs.model.pacing import Pace, grown_s
from mountfs.model.path import fold
from mountfs.ports import Done, Launch, Running

COMMIT = "POST files/upload_sessions/:id/commit"
JOB = "commit:"
MISMATCHES = 8
"""So often the service may claim, right after the last part, that parts are missing; some 70 s in all."""
MISMATCH_PAUSES = Pace(first_s=1.0, longest_s=15.0)
LOOK_EVERY = 10
"""A version whose bytes did not change may be answered 202 for ever: the file itself tells."""
DIRECT_TRIES = 5
"""So often a large file is sent in one request that breaks off, which takes all of its bytes each time."""
DIRECT_REST_S = 3600.0
"""After that it is not for so long: what made them break off may have been a trouble of the service."""
_TRIES = 2


class UnknownJob(SessionLost):
    """The order has no such commit under way."""


class Commits:
    """Turns sessions into files. What is remembered between two questions may be lost: a restart begins
    to count anew."""

    def __init__(
        self, api: BoxApi, items: Items, places: Places, small_files: SmallFiles, uploads: BoxUploads
    ) -> None:
        self._api = api
        self._items = items
        self._places = places
        self._small_files = small_files
        self._uploads = uploads
        self._new_files = NewFiles(api)
        self._lock = Lock()
        self._mismatches: Counter[str] = Counter()
        self._rounds: Counter[str] = Counter()
        self._direct_tries: Counter[str] = Counter()

    def commit(self, order: Put) -> Launch:
        """Raises what keeps the file from being made. SessionLost also when the session is gone, be it by a
        commit whose reply was lost: only the target tells."""
        token = SessionToken.parse(order.session or "")
        if not token.id:
            return Done((self._standing(order, token) or self._direct(order, token),))
        base = base_of(order)
        self._check_target(order, token, base)
        digest = bytes.fromhex(sha1_of(order))
        etag = base.etag if base is not None and token.file_id else None
        for _ in range(_TRIES):
            try:
                response = self._send(order, token, digest, etag)
            except FailedCondition as error:
                if self._is_hopeless(token):
                    raise SessionLost(f"the upload session of {order.place}: {error}") from error
                raise
            if response.status != 412 or base is None:
                return self._launched(order, token, response)
            standing = self._after_mismatch(order, base, etag)
            if isinstance(standing, File):
                return self._done_before(token, standing)
            etag = standing
        raise Conflict(f"somebody else keeps changing {order.place}")

    def _standing(self, order: Put, token: SessionToken) -> File | None:
        """The file that has the name already, with our bytes. Conflict: with others, which are spared an
        upload that would be refused; None when the name is not known to be taken."""
        if (
            not token.is_taken
            or order.base_revision is not None
            or fold(token.name) != order.place.path.name_key
        ):
            return None
        try:
            standing = entry_of(self._places.item(order.place))
        except NotFound:
            return None
        if isinstance(standing, File) and standing.content_hash == sha1_of(order):
            return standing
        raise Conflict(f"something stands at {order.place}")

    def _direct(self, order: Put, token: SessionToken) -> File:
        """SessionLost: a large file needs a session after all."""
        if not token.is_direct:
            return self._small_files.put(order)
        with self._lock:
            is_hopeless = self._direct_tries[token.text] >= DIRECT_TRIES
        if is_hopeless:
            self._forget_tries(token)
            self._uploads.note_too_large(token, DIRECT_REST_S)
            raise SessionLost(f"{order.place}: does not get through in one request")
        try:
            file = self._small_files.put(order, is_large_too=True)
        except (RequestTooLarge, NotPassedOn) as error:
            self._uploads.note_too_large(token, math.inf)
            raise SessionLost(str(error)) from error
        except (Offline, ServerFault) as error:
            if not isinstance(error, Unreachable):
                with self._lock:
                    self._direct_tries[token.text] += 1
            raise
        self._forget_tries(token)
        return file

    def _forget_tries(self, token: SessionToken) -> None:
        with self._lock:
            self._direct_tries.pop(token.text, None)

    def poll(self, job: str, order: Put) -> Launch:
        """The identical commit again. UnknownJob: not the job of *order*."""
        try:
            token = SessionToken.parse(order.session or "")
        except SessionLost as error:
            raise UnknownJob(f"no such job: {job}") from error
        if not token.id or job != _job(token):
            raise UnknownJob(f"no such job: {job}")
        return self.commit(order)

    def _check_target(self, order: Put, token: SessionToken, base: Revision | None) -> None:
        """A session is bound to its place: for another one the bytes go up again."""
        if token.file_id:
            is_for_order = base is not None and base.file_id == token.file_id
        else:
            try:
                folder_id = self._places.folder_of(order.place)
            except NotFound as error:
                raise SessionLost(str(error)) from error
            is_for_place = (token.folder_id, token.name) == (folder_id, order.place.name)
            # A file that still stands there is replaced by a version of it, not by another file.
            is_for_order = is_for_place and (base is None or not self._stands(base, order))
        if not is_for_order:
            raise SessionLost(f"the upload session was begun for another file than {order.place}")
        if token.size_bytes != order.size_bytes:
            raise SessionLost(f"the upload session is for {token.size_bytes} bytes, not {order.size_bytes}")

    def _stands(self, base: Revision, order: Put) -> bool:
        item = self._items.get(base.file_id, is_folder=False)
        return item is not None and self._places.holds(order.place, item)

    def _send(self, order: Put, token: SessionToken, digest: bytes, etag: str | None) -> Response:
        arg: Json = {
            "parts": [part.wire for part in whole_file(order.parts, token.size_bytes)],
            "attributes": {
                "content_modified_at": time_stamp(order.mtime_ns),
                **(self._api.of_new_files if order.base_revision is None else {}),
            },
        }
        headers = {"Digest": digest_header(digest)}
        if etag is not None:
            headers["If-Match"] = etag
        return self._api.exchange(COMMIT, token.commit, arg=arg, headers=headers)

    def _launched(self, order: Put, token: SessionToken, response: Response) -> Launch:
        match response.status:
            case 200 | 201:
                reply, sha1 = object_in(response, COMMIT), sha1_of(order)
                file = written(reply, self._places, order.place, sha1, token.file_id, may_have_moved=True)
                is_new = order.base_revision is None
                return self._done(token, self._new_files.tagged(file, order.place) if is_new else file)
            case 202:
                return self._still_running(order, token, response)
            case 404 | 410:
                self._forget(token)
                raise SessionLost(f"the upload session of {order.place} is gone")
        code = code_of(response)
        if code == PARTS_MISMATCH:
            return self._parts_missing(token, order)
        if code == NAME_IN_USE:
            return self._done_before(token, done_already(self._items, response, order.place, sha1_of(order)))
        error = from_response(response, str(order.place))
        with self._lock:
            was_accepted = self._rounds[token.id] > 0
        may_be_accepted = was_accepted or self._uploads.is_of_former(token.id)
        if response.status == 400 and type(error) is Refused and may_be_accepted:
            # It takes the commit that it accepted alone, and by now the file may have another time.
            self._forget(token)
            raise SessionLost(f"the upload session takes no other commit: {error}")
        raise error

    def _still_running(self, order: Put, token: SessionToken, response: Response) -> Launch:
        with self._lock:
            self._rounds[token.id] += 1
            is_due = token.file_id and self._rounds[token.id] % LOOK_EVERY == 0
        if is_due:
            with after_an_effect():
                item = self._items.get(token.file_id, is_folder=False)
            if item is not None and item.get("sha1") == sha1_of(order):
                return self._done_before(token, file_of(item))
        return Running(_job(token), response.retry_after_s)

    def _parts_missing(self, token: SessionToken, order: Put) -> Launch:
        """The service may need a moment to see the last part."""
        if self._is_hopeless(token):
            raise SessionLost(f"the upload session of {order.place} lacks parts that it took")
        with self._lock:
            return Running(_job(token), grown_s(self._mismatches[token.id], MISMATCH_PAUSES))

    def _is_hopeless(self, token: SessionToken) -> bool:
        """Counts a claim of the service that contradicts what it said of the session before, or what we said;
        True: there were so many of them that the session is given up."""
        with self._lock:
            self._mismatches[token.id] += 1
            is_hopeless = self._mismatches[token.id] > MISMATCHES
        if is_hopeless:
            self._forget(token)
        return is_hopeless

    def _after_mismatch(self, order: Put, base: Revision, stated: str | None) -> File | str:
        """What came of it when the etag is not the one we knew: our file, or the etag to go on with."""
        item = self._items.get(base.file_id, is_folder=False)
        if item is None or not self._places.holds(order.place, item):
            self._uploads.note_strayed(base.file_id)
            raise SessionLost(f"the file that was to be replaced is not at {order.place} any more")
        if item.get("sha1") == sha1_of(order):
            return file_of(item)
        return unchanged_etag(item, base, order.place, stated)

    def _done(self, token: SessionToken, file: File) -> Done:
        self._forget(token)
        return Done((file,))

    def _done_before(self, token: SessionToken, file: File) -> Done:
        """By somebody else, or by an earlier commit: the session may still be open."""
        return replace(self._done(token, file), unused_sessions=(token.text,))

    def _forget(self, token: SessionToken) -> None:
        self._uploads.let_go(token.id)
        with self._lock:
            self._mismatches.pop(token.id, None)
            self._rounds.pop(token.id, None)


def _job(token: SessionToken) -> str:
    return f"{JOB}{token.id}"
