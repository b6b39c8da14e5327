"""Sends small files: in packs; one by one where the account refuses packs. Where a small file travels with
its commit (Box), it is only hashed here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

from mountfs.errors import (
    BatchRefused,
    DiskTrouble,
    Internal,
    MountfsError,
    NotPassedOn,
    Refused,
    RequestTooBig,
    SessionLost,
)
from mountfs.model.loggedpacer import LoggedPacer
from mountfs.model.pacing import ALONE, Pacer, is_account_wide
from mountfs.model.pausing import is_full, is_passing
from mountfs.model.pendingbytes import Unreadable
from mountfs.ports import Piece, Stored
from mountfs.tree.content import Content
from mountfs.tree.tree import Edit
from mountfs.upload.context import UploadContext, Work
from mountfs.upload.packing import PackSize, send_at_s
from mountfs.upload.packqueue import UNTRIED, PackQueue, Waiting
from mountfs.upload.sessionpool import SessionPool
from mountfs.upload.twinfinder import TwinFinder

SINGLES_FOR_S = 3600.0
"""After the account refused a pack, files go one by one for so long. Then a pack is tried again: the account
may have been given the right meanwhile."""

HASHED_AT_ONCE = 100
"""Files that one worker hashes at a time, where small files travel with their commit."""


_Result = Stored | MountfsError
"""Of one small file: its hash and its session ("": it has none), or why its bytes are not up."""


class PackSender:
    """Sends contents that are whole and below ``session_min_bytes``."""

    def __init__(self, context: UploadContext, twins: TwinFinder) -> None:
        limits = context.limits
        self.on_all_sent: Callable[[], None] = lambda: None
        """Called, under the lock, when ``has_any`` has become false."""
        self._context = context
        self._twins = twins
        self._queue = PackQueue()
        self._flying: dict[int, Waiting] = {}
        self._tried: int | None = None
        """The id of the parked content that was tried last. While it is in ``_flying``, no other is tried."""
        self._newest_s = -math.inf
        self._pacer = LoggedPacer("uploads of small files")
        self._pool = SessionPool()
        self._size = PackSize(limits.pack_entries or HASHED_AT_ONCE)
        # A pack is in memory as a whole: it takes no more than a part of a large file.
        self._most_bytes = min(limits.pack_bytes or limits.chunk_bytes, limits.chunk_bytes)
        self._singles_until_s = -math.inf
        self._unannounced = 0
        self._unannounced_bytes = 0

    @property
    def trouble(self) -> MountfsError | None:
        """What the last request failed by; None once a request has succeeded and no file is parked."""
        parked = self._queue.trouble
        return self._pacer.error or (parked.pacer.error if parked is not None else None)

    @property
    def has_any(self) -> bool:
        """Whether small files that do not fail alone are waiting or being sent: their nodes will be ready for
        a commit soon."""
        return bool(self._queue) or any(not each.is_parked for each in self._flying.values())

    def under_way(self, most: int) -> list[int]:
        """The contents of some files that are being sent."""
        return list(islice(self._flying, most))

    def add_locked(self, content: Content) -> bool:
        """Queues a small file that is whole. True: wake a worker, because it is the first, a pack is full, or
        somebody waits for commits."""
        if content.id in self._queue or content.id in self._flying:
            return False
        now_s = self._context.clock.now_s()
        # Those that were put off may be due much later than this one.
        is_first = not self._queue.has_fresh
        self._queue.add(Waiting(content.id, content.size_bytes, now_s))
        self._newest_s = now_s
        self._unannounced += 1
        self._unannounced_bytes += content.size_bytes
        is_pack = self._unannounced >= self._entries(now_s) or self._unannounced_bytes >= self._most_bytes
        if is_pack or is_first or self._context.urgency.is_pressing:
            self._unannounced = self._unannounced_bytes = 0
            return True
        return False

    def remove_locked(self, content_id: int) -> None:
        """Takes the content out of the queue, if it is there."""
        self._queue.remove(content_id)

    def claim_locked(self, now_s: float) -> Work | None:
        parked = self._queue.next_parked()
        if parked is not None and self._parked_s() <= now_s:
            self._tried = parked.content_id
            return self._claim([parked])
        if self._send_at_s(now_s) > now_s:
            return None
        return self._claim(self._queue.next_pack(now_s, self._entries(now_s), self._most_bytes))

    def due_locked(self, now_s: float) -> float:
        return min(self._parked_s(), self._send_at_s(now_s))

    # When, and how many

    def _parked_s(self) -> float:
        """When a parked file may be tried; ``math.inf``: none is parked, or one is being tried."""
        return math.inf if self._tried in self._flying else self._queue.parked_s()

    def _entries(self, now_s: float) -> int:
        return 1 if now_s < self._singles_until_s else self._size.entries

    def _send_at_s(self, now_s: float) -> float:
        """When the next pack goes; ``math.inf``: no file waits but parked ones."""
        if not self._queue:
            return math.inf
        oldest, is_full = self._queue.oldest(now_s, self._entries(now_s), self._most_bytes)
        if oldest is None:
            return self._queue.ready_s()
        # What is only hashed here is hashed long before its name has settled, though a few are gathered.
        is_only_hashed = not self._context.limits.pack_entries
        at_s = send_at_s(
            oldest_s=oldest.since_s,
            newest_s=self._newest_s,
            is_full=is_full,
            is_hurried=is_only_hashed or self._context.urgency.is_pressing,
        )
        return max(at_s, self._pacer.ready_s)

    def _claim(self, pack: list[Waiting]) -> Work:
        contents: list[Content] = []
        for waiting in pack:
            found = self._context.sealed_locked(waiting.content_id)
            self._queue.remove(waiting.content_id)
            if found is not None:
                contents.append(found[1])
                self._flying[waiting.content_id] = waiting
        return lambda: self._run(contents)

    # Sending

    def _run(self, claimed: list[Content]) -> None:
        started_s, contents = -math.inf, claimed
        try:
            started_s = self._context.clock.now_s()
            if self._context.limits.pack_entries:  # else they are hashed anyway
                contents = self._twins.note_found(claimed)
            try:
                results = self._send(contents) if contents else []
            except MountfsError as error:
                with self._context.tree.lock:
                    self._note_failure(error, contents, started_s)
                return
            self._book(contents, results, started_s)
        except BaseException as error:
            with self._context.tree.lock:
                self._failed_together(Internal.of(error), contents, started_s)
            raise
        finally:
            # Also after an error of the local disk: a file that is left out of the queue is never sent.
            with self._context.tree.lock:
                self._put_back(claimed)

    def _book(self, contents: list[Content], results: Sequence[_Result], started_s: float) -> None:
        with self._context.tree.transaction():
            edits = [
                self._settle(content, result, started_s)
                for content, result in zip(contents, results, strict=True)
            ]
            self._context.tree.change_bytes(*(edit for edit in edits if edit is not None))
        # Only after the commit of the transaction: on a full disk it raises, and counts as a failure.
        with self._context.tree.lock:
            done = [
                content.id
                for content, result in zip(contents, results, strict=True)
                if not isinstance(result, MountfsError)
            ]
            for content_id in done:
                self._flying[content_id].pacer.succeeded()
            if self._context.limits.pack_entries:
                self._context.meter.sent(sum(self._flying[each].size_bytes for each in done))
            if done:
                self._pacer.succeeded(started_s)
            if done and self._context.limits.pack_entries:
                self._queue.succeeded()
                self._context.account_pacer.succeeded(started_s)

    def _send(self, contents: list[Content]) -> list[_Result]:
        """The result of each content. MountfsError: the request failed as a whole."""
        backend = self._context.backend
        pieces = [Piece(self._context.source(content), content.size_bytes) for content in contents]
        if not self._context.limits.pack_entries:
            try:
                hashes = backend.content_hashes(pieces)
            except MountfsError as error:  # nobody was asked: it says nothing of the service
                raise Internal(str(error)) from error
            return [each if isinstance(each, MountfsError) else Stored("", each) for each in hashes]
        if len(pieces) == 1:
            try:
                with self._context.timed(contents[0].size_bytes):
                    return [backend.upload_whole(pieces[0])]
            except (Unreadable, DiskTrouble) as error:
                return [error]
        tokens = self._sessions(len(pieces))
        pieces = [replace(piece, session=token) for piece, token in zip(pieces, tokens, strict=True)]
        with self._context.timed(sum(content.size_bytes for content in contents)):
            hashes = backend.append_pack(pieces)
        with self._context.tree.lock:
            self._size.accepted(len(pieces))
        return [
            each if isinstance(each, MountfsError) else Stored(token, each)
            for token, each in zip(tokens, hashes, strict=True)
        ]

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
        """The request failed as a whole: decides how its files are sent again, or refuses a single one."""
        count = len(contents)
        if isinstance(error, BatchRefused) and count > 1:
            self._tell(contents, error)
            self._singles_until_s = self._context.clock.now_s() + SINGLES_FOR_S
        elif isinstance(error, NotPassedOn) and count > 1:
            self._split(contents, error)
        elif isinstance(error, Refused | RequestTooBig | BatchRefused) and not is_passing(error):
            if count > 1:
                self._split(contents, error)
            else:
                self._context.refuse_locked(contents[0].id, error)
        elif is_account_wide(error) or is_full(error):
            self._tell(contents, error)
            smallest = min((content.size_bytes for content in contents), default=0)
            self._context.failed_locked(self._pacer, error, started_s, smallest)
        else:
            self._failed_together(error, contents, started_s)

    def _split(self, contents: list[Content], error: MountfsError) -> None:
        """The pack is too big, or the service refuses one of its files. Smaller packs show which."""
        self._tell(contents, error)
        self._size.too_big(len(contents))

    def _failed_together(self, error: MountfsError, contents: list[Content], started_s: float) -> None:
        """One of the files may make the whole request fail. They go on in packs of half the size; a file that
        was alone in its pack is parked."""
        flying = [self._flying[content.id] for content in contents if content.id in self._flying]
        is_news = not all(waiting.is_parked for waiting in flying)
        for waiting in flying:
            waiting.most_in_pack = max(1, len(flying) // 2)
        if is_news:
            self._context.failed_locked(self._pacer, error, started_s)
        if len(flying) == 1:
            [waiting] = flying
            if not waiting.is_parked:
                waiting.pacer = self._context.pacer_locked(waiting.content_id, ALONE)
            self._context.failed_locked(waiting.pacer, error, started_s)
            clock = self._context.clock
            self._queue.parked_failed(
                waiting, error, started_s=started_s, now_s=clock.now_s(), jitter=clock.jitter()
            )
        self._tell(contents, error)

    def _tell(self, contents: list[Content], error: MountfsError) -> None:
        for content in contents:
            self._context.tell_locked(content.id, error)

    def _put_off(self, content: Content, error: MountfsError, started_s: float) -> None:
        """Has one file of a pack wait: the service took the others."""
        self._context.tell_locked(content.id, error)
        waiting = self._flying[content.id]
        if waiting.pacer is UNTRIED:
            waiting.pacer = Pacer()
        self._context.failed_locked(waiting.pacer, error, started_s, content.size_bytes)

    def _settle(self, content: Content, result: _Result, started_s: float) -> Edit | None:
        """Returns what is to be changed for one whose bytes arrived, together with the others'."""
        if not isinstance(result, MountfsError):
            if result.session:
                return self._context.arrival_locked(content, result.content_hash, result.session)
            # At once: how many copies of a file there will be decides whether the next one is one, too.
            twin = self._twins.find_locked(content, result.content_hash)
            self._context.uploaded_locked(content, result.content_hash, None, twin)
        elif isinstance(result, Refused) and not is_passing(result):
            self._context.refuse_locked(content.id, result)
        else:
            if isinstance(result, SessionLost):
                self._pool.clear()
            self._put_off(content, result, started_s)
        return None

    def _put_back(self, contents: list[Content]) -> None:
        """Ends the flight of *contents*; those that still have to go up are queued again."""
        for claimed in contents:
            waiting = self._flying.pop(claimed.id, None)
            found = self._context.sealed_locked(claimed.id)
            if waiting is not None and found is not None:
                waiting.size_bytes = found[1].size_bytes
                self._queue.add(waiting)
        if not self.has_any:
            if self._queue.trouble is None:
                self._pacer.succeeded()  # what failed has gone up, is gone, or need not go up any more
            self.on_all_sent()
