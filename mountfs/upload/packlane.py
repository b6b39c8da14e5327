"""Small files: packed together, one by one where packs are refused, or with their commit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from mountfs.errors import BatchRefused, MountfsError, NotSignedIn, Refused, RequestTooBig, SessionLost
from mountfs.model.hashing import content_hash
from mountfs.model.pacing import Pacer
from mountfs.ports import Piece
from mountfs.tree.content import Content
from mountfs.upload.context import Unreadable, UploadContext, Work
from mountfs.upload.packing import PackSize, fitting, send_at_s
from mountfs.upload.sessionpool import SessionPool

SINGLES_FOR_S = 3600.0
"""How long packs are not tried after the account refused one: it may be given the right meanwhile."""

HASHED_AT_ONCE = 100
"""Files taken by one worker where small files travel with their commit."""


@dataclass(slots=True)
class _Waiting:
    """A small whole file, waiting since it was closed."""

    content_id: int
    size_bytes: int
    since_s: float
    pacer: Pacer = field(default_factory=Pacer)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A small file with its hash, and its bytes in memory if they are sent from here."""

    content: Content
    hexdigest: str
    body: bytes = b""


class PackLane:
    """Sends the whole contents that are not large."""

    def __init__(self, context: UploadContext) -> None:
        limits = context.limits
        self._context = context
        self._waiting: dict[int, _Waiting] = {}
        self._flying: dict[int, _Waiting] = {}
        self._newest_s = -math.inf
        self._pacer = Pacer()
        self._pool = SessionPool()
        self._size = PackSize(limits.pack_entries or HASHED_AT_ONCE)
        # A pack is in memory as a whole: it takes no more than a part of a large file.
        self._most_bytes = min(limits.pack_bytes or limits.chunk_bytes, limits.chunk_bytes)
        self._singles_until_s = -math.inf
        self._unannounced = 0
        self._unannounced_bytes = 0
        self._waiting_bytes = 0
        self._put_off = 0
        """How many of those waiting failed before: they have times of their own."""

    @property
    def trouble(self) -> MountfsError | None:
        """What went wrong last, while it does."""
        return self._pacer.error

    @property
    def has_any(self) -> bool:
        """Whether small files are on their way up, or about to be: they will be ready to be named soon."""
        return bool(self._waiting or self._flying)

    def add_locked(self, content: Content) -> bool:
        """A small file is whole; whether a worker should look."""
        if content.id in self._waiting or content.id in self._flying:
            return False
        now_s = self._context.clock.now_s()
        # Those that were put off may be due much later than this one.
        is_first = self._put_off == len(self._waiting) or not self._waiting
        self._wait(_Waiting(content.id, content.size_bytes, now_s))
        self._newest_s = now_s
        self._unannounced += 1
        self._unannounced_bytes += content.size_bytes
        is_pack = self._unannounced >= self._entries(now_s) or self._unannounced_bytes >= self._most_bytes
        if is_pack or is_first or self._context.urgency.is_pressing:
            self._unannounced = self._unannounced_bytes = 0
            return True
        return False

    def remove_locked(self, content_id: int) -> None:
        """The content does not wait for its bytes to go up any more."""
        waiting = self._waiting.pop(content_id, None)
        if waiting is not None:
            self._waiting_bytes -= waiting.size_bytes
            self._put_off -= bool(waiting.pacer.failures)

    def claim_locked(self, now_s: float) -> Work | None:
        if self._send_at_s(now_s) > now_s:
            return None
        ready = self._ready(now_s)
        count, _ = fitting((waiting.size_bytes for waiting in ready), self._entries(now_s), self._most_bytes)
        batch = [self._claim(waiting) for waiting in ready[: max(1, count)]]
        contents = [content for content in batch if content is not None]
        return lambda: self._run(contents)

    def due_locked(self, now_s: float) -> float:
        return self._send_at_s(now_s)

    # When, and how many

    def _entries(self, now_s: float) -> int:
        return 1 if now_s < self._singles_until_s else self._size.entries

    def _ready(self, now_s: float) -> list[_Waiting]:
        """Those that may be sent, oldest first; a few more than fit, to see whether a pack is full."""
        most = self._entries(now_s) + 1
        found: list[_Waiting] = []
        for waiting in self._waiting.values():
            if waiting.pacer.ready_s <= now_s:
                found.append(waiting)
                if len(found) == most:
                    break
        return found

    def _send_at_s(self, now_s: float) -> float:
        if not self._waiting:
            return math.inf
        if self._put_off:
            ready = self._ready(now_s)
            if not ready:
                return min(waiting.pacer.ready_s for waiting in self._waiting.values())
            oldest = ready[0]
            sizes = (waiting.size_bytes for waiting in ready)
            _, is_full = fitting(sizes, self._entries(now_s), self._most_bytes)
        else:
            # Asked after each file that is closed: no look at those that wait.
            oldest = next(iter(self._waiting.values()))
            is_full = len(self._waiting) >= self._entries(now_s) or self._waiting_bytes >= self._most_bytes
        if not self._context.limits.pack_entries:
            return -math.inf
        at_s = send_at_s(
            oldest_s=oldest.since_s,
            newest_s=self._newest_s,
            is_full=is_full,
            is_hurried=self._context.urgency.is_pressing,
        )
        return max(at_s, self._pacer.ready_s)

    def _wait(self, waiting: _Waiting) -> None:
        self._waiting[waiting.content_id] = waiting
        self._waiting_bytes += waiting.size_bytes
        self._put_off += bool(waiting.pacer.failures)

    def _claim(self, waiting: _Waiting) -> Content | None:
        self.remove_locked(waiting.content_id)
        found = self._context.sealed_locked(waiting.content_id)
        if found is None:
            return None
        self._flying[waiting.content_id] = waiting
        return found[1]

    # Sending

    def _run(self, contents: list[Content]) -> None:
        started_s = self._context.clock.now_s()
        try:
            loaded = self._load(contents)
            try:
                results = self._send(loaded) if loaded else []
            except MountfsError as error:
                with self._context.tree.lock:
                    self._note_failure(error, contents, started_s)
                return
            self._book(loaded, results, started_s)
        finally:
            # Whatever happened, also to the local disk: what still has to go up waits again.
            with self._context.tree.lock:
                self._put_back(contents)

    def _book(
        self, loaded: list[_Loaded], results: Sequence[str | MountfsError | None], started_s: float
    ) -> None:
        with self._context.tree.transaction():
            for file, result in zip(loaded, results, strict=True):
                self._settle(file, result, started_s)
            is_asked = self._context.limits.pack_entries > 0
            if is_asked and not all(isinstance(result, MountfsError) for result in results):
                self._pacer.succeeded(started_s)
                self._context.account_pacer.succeeded(started_s)

    def _load(self, contents: list[Content]) -> list[_Loaded]:
        loaded: list[_Loaded] = []
        for content in contents:
            try:
                loaded.append(self._load_one(content))
            except Unreadable as error:
                with self._context.tree.lock:
                    self._context.refuse_locked(content.id, error)
        return loaded

    def _load_one(self, content: Content) -> _Loaded:
        if not self._context.limits.pack_entries:
            return _Loaded(content, self._context.hash(content))
        body = self._context.read(content, 0, content.size_bytes)
        return _Loaded(content, content_hash(self._context.limits.hash_kind, body), body)

    def _send(self, loaded: list[_Loaded]) -> Sequence[str | MountfsError | None]:
        """For each file its session, why it was not sent, or None where it needs no sending."""
        if not self._context.limits.pack_entries:
            return [None] * len(loaded)
        if len(loaded) == 1:
            return [self._context.backend.upload_whole(loaded[0].body)]
        tokens = self._sessions(len(loaded))
        pieces = [Piece(token, file.body) for token, file in zip(tokens, loaded, strict=True)]
        errors = self._context.backend.append_pack(pieces)
        with self._context.tree.lock:
            self._size.accepted(len(pieces))
        return [error or token for token, error in zip(tokens, errors, strict=True)]

    def _sessions(self, count: int) -> list[str]:
        now_s = self._context.clock.now_s()
        with self._context.tree.lock:
            tokens = self._pool.take(count, now_s)
            missing = count - len(tokens)
            ask = self._pool.to_ask(missing) if missing else 0
        if ask:
            fresh = self._context.backend.new_sessions(ask)
            with self._context.tree.lock:
                self._pool.add(fresh[missing:], now_s)
            tokens += fresh[:missing]
        return tokens

    # What came of it

    def _note_failure(self, error: MountfsError, contents: list[Content], started_s: float) -> None:
        """The request as a whole failed."""
        count = len(contents)
        for content in contents:
            node = self._context.tree.contents.get(content.id)
            if node is not None:
                self._context.tree.note_error(node, str(error))
        if isinstance(error, BatchRefused) and count > 1:
            self._singles_until_s = self._context.clock.now_s() + SINGLES_FOR_S
        elif isinstance(error, Refused | RequestTooBig | BatchRefused) and not isinstance(error, NotSignedIn):
            if count > 1:
                # Too big, or one file in it poisons the rest: smaller packs show which.
                self._size.too_big(count)
            else:
                self._context.refuse_locked(contents[0].id, error)
        else:
            self._context.failed_locked(self._pacer, error, started_s)

    def _settle(self, file: _Loaded, result: str | MountfsError | None, started_s: float) -> None:
        content = file.content
        if not isinstance(result, MountfsError):
            self._context.uploaded_locked(content, file.hexdigest, result)
        elif isinstance(result, Refused) and not isinstance(result, NotSignedIn):
            self._context.refuse_locked(content.id, result)
        else:
            if isinstance(result, SessionLost):
                self._pool.clear()
            self._context.failed_locked(self._flying[content.id].pacer, result, started_s)

    def _put_back(self, contents: list[Content]) -> None:
        """Files that still have to go up wait again; the others are done with."""
        for claimed in contents:
            waiting = self._flying.pop(claimed.id, None)
            found = self._context.sealed_locked(claimed.id)
            if waiting is not None and found is not None:
                waiting.size_bytes = found[1].size_bytes
                self._wait(waiting)
