"""Small files: packed together, one by one where packs are refused, or with their commit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from mountfs.errors import BatchRefused, MountfsError, NotSignedIn, Refused, RequestTooBig, SessionLost
from mountfs.model.change import Change, ChangeKind, ChangeState
from mountfs.model.hashing import content_hash
from mountfs.model.names import is_local_only
from mountfs.model.pacing import Pacer
from mountfs.ports import Piece
from mountfs.upload.means import Means, Unreadable, Work
from mountfs.upload.packing import PackSize, fitting, send_at_s
from mountfs.upload.sessionpool import SessionPool

SINGLES_FOR_S = 3600.0
"""How long packs are not tried after the account refused one: it may be given the right meanwhile."""

HASHED_AT_ONCE = 100
"""Files taken by one worker where small files travel with their commit."""


@dataclass(slots=True)
class _Waiting:
    """A small sealed file, waiting since it was sealed."""

    change_id: int
    size_bytes: int
    since_s: float
    pacer: Pacer = field(default_factory=Pacer)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A small file with its hash, and its bytes in memory if they are sent from here."""

    change: Change
    hexdigest: str
    body: bytes = b""


class PackLane:
    """Sends small files; its own rows are those SEALED that are no large files."""

    def __init__(self, means: Means) -> None:
        limits = means.limits
        self._means = means
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

    @property
    def trouble(self) -> MountfsError | None:
        """What went wrong last, while it does."""
        return self._pacer.error

    def add_locked(self, change: Change) -> bool:
        """A small file was sealed or renamed; whether a worker should look."""
        if change.id in self._waiting or change.id in self._flying:
            return False
        now_s = self._means.clock.now_s()
        # Those that were put off may be due much later than this one.
        is_first = all(waiting.pacer.ready_s > now_s for waiting in self._waiting.values())
        self._waiting[change.id] = _Waiting(change.id, change.size_bytes, now_s)
        self._newest_s = now_s
        self._unannounced += 1
        self._unannounced_bytes += change.size_bytes
        is_pack = self._unannounced >= self._entries(now_s) or self._unannounced_bytes >= self._most_bytes
        if is_pack or is_first or self._means.urgency.is_pressing:
            self._unannounced = self._unannounced_bytes = 0
            return True
        return False

    def remove_locked(self, change_id: int) -> None:
        """The change does not wait for its bytes to go up any more."""
        self._waiting.pop(change_id, None)

    def claim_locked(self, now_s: float) -> Work | None:
        if self._send_at_s(now_s) > now_s:
            return None
        ready = self._ready(now_s)
        count, _ = fitting((waiting.size_bytes for waiting in ready), self._entries(now_s), self._most_bytes)
        batch = [self._claim(waiting) for waiting in ready[: max(1, count)]]
        changes = [change for change in batch if change is not None]
        return lambda: self._run(changes)

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
        ready = self._ready(now_s)
        if not ready:
            return min(waiting.pacer.ready_s for waiting in self._waiting.values())
        if not self._means.limits.pack_entries:
            return -math.inf
        _, is_full = fitting(
            (waiting.size_bytes for waiting in ready), self._entries(now_s), self._most_bytes
        )
        at_s = send_at_s(
            oldest_s=ready[0].since_s,
            newest_s=self._newest_s,
            is_full=is_full,
            is_hurried=self._means.urgency.is_pressing,
        )
        return max(at_s, self._pacer.ready_s)

    def _claim(self, waiting: _Waiting) -> Change | None:
        del self._waiting[waiting.change_id]
        change = self._means.journal.get(waiting.change_id)
        if change is None or change.state is not ChangeState.SEALED:
            return None
        self._flying[waiting.change_id] = waiting
        return change

    # Sending

    def _run(self, changes: list[Change]) -> None:
        started_s = self._means.clock.now_s()
        results: Sequence[str | MountfsError | None]
        try:
            loaded = self._load(changes)
            results = self._send(loaded) if loaded else []
        except BaseException as error:
            with self._means.journal.lock:
                if isinstance(error, MountfsError):
                    self._note_failure(error, len(changes), changes, started_s)
                self._put_back(changes)
            if not isinstance(error, MountfsError):
                raise
            return
        with self._means.journal.lock:
            with self._means.journal.transaction():
                for file, result in zip(loaded, results, strict=True):
                    self._settle(file, result, started_s)
            is_asked = self._means.limits.pack_entries > 0
            if is_asked and not all(isinstance(result, MountfsError) for result in results):
                self._pacer.succeeded(started_s)
                self._means.account.succeeded(started_s)
            self._put_back(changes)

    def _load(self, changes: list[Change]) -> list[_Loaded]:
        loaded: list[_Loaded] = []
        for change in changes:
            try:
                loaded.append(self._load_one(change))
            except Unreadable as error:
                with self._means.journal.lock:
                    self._means.refuse_locked(change.id, error)
        return loaded

    def _load_one(self, change: Change) -> _Loaded:
        if not self._means.limits.pack_entries:
            return _Loaded(change, self._means.hash(change))
        body = self._means.read(change, 0, change.size_bytes)
        return _Loaded(change, content_hash(self._means.limits.hash_kind, body), body)

    def _send(self, loaded: list[_Loaded]) -> Sequence[str | MountfsError | None]:
        """For each file its session, why it was not sent, or None where it needs no sending."""
        if not self._means.limits.pack_entries:
            return [None] * len(loaded)
        if len(loaded) == 1:
            return [self._means.backend.upload_whole(loaded[0].body)]
        tokens = self._sessions(len(loaded))
        pieces = [Piece(token, file.body) for token, file in zip(tokens, loaded, strict=True)]
        errors = self._means.backend.append_pack(pieces)
        with self._means.journal.lock:
            self._size.accepted(len(pieces))
        return [error or token for token, error in zip(tokens, errors, strict=True)]

    def _sessions(self, count: int) -> list[str]:
        now_s = self._means.clock.now_s()
        with self._means.journal.lock:
            tokens = self._pool.take(count, now_s)
            missing = count - len(tokens)
            ask = self._pool.to_ask(missing) if missing else 0
        if ask:
            fresh = self._means.backend.new_sessions(ask)
            with self._means.journal.lock:
                self._pool.add(fresh[missing:], now_s)
            tokens += fresh[:missing]
        return tokens

    # What came of it

    def _note_failure(self, error: MountfsError, count: int, changes: list[Change], started_s: float) -> None:
        """The request as a whole failed."""
        if isinstance(error, BatchRefused) and count > 1:
            self._singles_until_s = self._means.clock.now_s() + SINGLES_FOR_S
        elif isinstance(error, Refused | RequestTooBig | BatchRefused) and not isinstance(error, NotSignedIn):
            if count > 1:
                # Too big, or one file in it poisons the rest: smaller packs show which.
                self._size.too_big(count)
            else:
                self._means.refuse_locked(changes[0].id, error)
        else:
            self._means.failed_locked(self._pacer, error, started_s)

    def _settle(self, file: _Loaded, result: str | MountfsError | None, started_s: float) -> None:
        change = file.change
        if not isinstance(result, MountfsError):
            self._means.uploaded_locked(change, file.hexdigest, result)
        elif isinstance(result, Refused) and not isinstance(result, NotSignedIn):
            self._means.refuse_locked(change.id, result)
        else:
            if isinstance(result, SessionLost):
                self._pool.clear()
            self._means.failed_locked(self._flying[change.id].pacer, result, started_s)

    def _put_back(self, changes: list[Change]) -> None:
        """Files that are still SEALED wait again; the others are done with."""
        for claimed in changes:
            waiting = self._flying.pop(claimed.id)
            change = self._means.journal.get(claimed.id)
            if change is not None and _is_ours(change):
                waiting.size_bytes = change.size_bytes
                self._waiting[claimed.id] = waiting


def _is_ours(change: Change) -> bool:
    return (
        change.state is ChangeState.SEALED
        and change.kind is ChangeKind.PUT
        and not is_local_only(change.path)
    )
