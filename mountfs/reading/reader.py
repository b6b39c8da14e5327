"""Reads ranges of one revision: from the cache, from a fetch under way, or from the service."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Protocol

from cachetools import LRUCache

from mountfs.errors import Offline, Transient
from mountfs.model.entry import File
from mountfs.model.linkrate import Link
from mountfs.model.waits import PATIENCE_S, SHORTEST_WAIT_S, Ending
from mountfs.ports import Clock
from mountfs.reading.beginnings import Beginnings
from mountfs.reading.blocks import Blocks
from mountfs.reading.cachefile import Stored
from mountfs.reading.contentkey import Key, key_of
from mountfs.reading.delivery import Delivery
from mountfs.reading.fetch import Source
from mountfs.reading.fetches import Fetches
from mountfs.reading.readahead import (
    AT_THE_BEGINNING,
    BEGUN_WINDOW_BYTES,
    FREE_WINDOW_BYTES,
    MIB,
    PIECES,
    RUN_BYTES,
    WHOLE_FILE_BYTES,
    Plan,
    Stream,
    alone,
    begins,
    cut,
    piece_bytes,
    plan,
)
from mountfs.reading.runs import Runs
from mountfs.reading.served import Served, ServedCounter
from mountfs.reading.window import (
    ReadAhead,
    grown,
    is_kept,
    least_ahead_bytes,
    most_ahead_bytes,
    still,
    urged,
)

FIRST_PIECE_BYTES = MIB
"""Of a large window that begins: the reader gets on, and asks for more, before all of it has come."""
AHEAD_THREADS = PIECES
"""Requests ahead that run side by side: a whole window."""
SIBLING_THREADS = 24
"""Small files fetched side by side: at 50 ms a request, 480 of them a second."""
SMALL_BYTES = WHOLE_FILE_BYTES
"""So much is one request, also where it is not needed at once."""
STREAMS_KEPT = 1024
COPY_BYTES = MIB


class Target(Protocol):
    """Where ``copy_into`` writes: a spool file."""

    def pwrite(self, offset: int, data: bytes) -> None: ...


class Reader:
    """Answers reads of revisions; thread-safe, holds no lock across the network.

    Concurrent readers of the same bytes cause one request. While a file is read in sequence its next
    bytes are fetched ahead on a few threads of its own; ``close`` ends them. A read waits by itself where
    the service says when to ask again; what is fetched ahead does not, so it keeps no thread from others.
    """

    def __init__(
        self,
        source: Source,
        blocks: Blocks,
        clock: Clock,
        ending: Ending | None = None,
        small_bytes: int = SMALL_BYTES,
        link: Link | None = None,
    ) -> None:
        """*small_bytes*: what a first write into a file fetches at once. *link*: as it is known so far;
        the reader goes on with it."""
        self.link = link or Link()
        self._delivery = Delivery(source, blocks, clock)
        self._blocks = blocks
        self._clock = clock
        self._ending = ending or threading.Event()
        self._small_bytes = small_bytes
        self._lock = threading.Lock()
        self._fetches = Fetches(blocks, self._delivery, clock, self._lock, self.link.down)
        self._streams: LRUCache[Key, tuple[Stream, ...]] = LRUCache(STREAMS_KEPT)
        self._waited: LRUCache[Key, bool] = LRUCache(STREAMS_KEPT)
        """Revisions of which a read waited for what was asked for ahead."""
        self._read_ahead = ReadAhead()
        self._runs = Runs(blocks)
        self._ahead = ThreadPoolExecutor(AHEAD_THREADS, "read-ahead")
        self._siblings = ThreadPoolExecutor(SIBLING_THREADS, "read-siblings")
        self._is_closed = False
        self._served = ServedCounter()
        self._beginnings = Beginnings()

    @property
    def served(self) -> Served:
        """Counts since the reader was made. A read that the kernel answers from its own cache is not among
        them."""
        return self._served.read()

    def read(self, file: File, offset: int, length: int, *, ahead: bool = True) -> bytes:
        """Bytes of exactly this revision, fewer only at its end. *ahead*: False fetches no more than the
        blocks that are read. Offline, NotFound..., Corrupt; any other Transient only without a time, or when
        that is more than PATIENCE_S after the call."""
        room = memoryview(bytearray(max(0, min(length, file.size_bytes - offset))))
        return bytes(room[: self.read_into(file, offset, room, ahead=ahead)])

    def read_into(self, file: File, offset: int, room: memoryview, *, ahead: bool = True) -> int:
        """As ``read``, as many bytes as *room* has; how many these are."""
        stored = self._runs.find(file, offset, len(room))
        if stored is not None and stored.read_into(offset, room) == len(room):
            self._served.count(len(room), 0)
            return len(room)
        deadline_s = self._clock.now_s() + PATIENCE_S
        end = min(offset + len(room), file.size_bytes)
        if offset >= end:
            return 0
        self._blocks.recall(file)
        if not (ahead and begins(offset, end)):
            return self._read_on(file, offset, room, deadline_s, ahead=ahead)
        is_urged = self._beginnings.began(key_of(file))
        try:
            return self._read_on(file, offset, room, deadline_s, is_urged=is_urged)
        finally:
            self._beginnings.answered(key_of(file))

    def lend(self, file: File, offset: int, length: int) -> Stored | None:
        """The open cache file with these bytes, at the same offset, if they are in a run."""
        stored = self._runs.find(file, offset, length)
        if stored is None or not stored.is_uncut(offset + length):
            return None
        self._served.count(length, 0)
        return stored

    def _read_on(
        self,
        file: File,
        offset: int,
        room: memoryview,
        deadline_s: float,
        *,
        ahead: bool = True,
        is_urged: bool = False,
    ) -> int:
        """A read that no run answers. *is_urged*: more was asked for before the file's beginning has come."""
        start, end = offset, min(offset + len(room), file.size_bytes)
        if ahead:
            planned = self._planned(file, offset, end, is_urged=is_urged)
        else:
            planned = alone(offset, end, file.size_bytes)
        if planned.ahead_stop > planned.ahead_start:
            self._run_ahead(file, planned)
        missed_bytes = 0
        while offset < end:
            rest = room[offset - start : end - start]
            came = self._blocks.peek_into(file, offset, rest)
            if not came:
                try:
                    piece = self._piece(file, offset, end, planned.start, planned.stop)
                except Transient as error:
                    self._wait_out(error, deadline_s)
                    continue
                came = len(piece)
                rest[:came] = piece
                missed_bytes += came
            offset += came
        self._served.count(end - start, missed_bytes)
        if planned.run_bytes and key_of(file) not in self._waited:  # else the next plan has the window grow
            self._runs.begin(file, start, end + planned.run_bytes)
        return end - start

    def _planned(self, file: File, offset: int, end: int, *, is_urged: bool = False) -> Plan:
        key = key_of(file)
        grown_bytes, begun_bytes = FREE_WINDOW_BYTES, BEGUN_WINDOW_BYTES
        if is_urged:
            begun_bytes = urged(self._most_ahead_bytes(key), self.link.supposed_bytes_s)
        if key in self._waited:
            grown_bytes = grown(self._most_ahead_bytes(key), self._fetches.rate.bytes_s)
        with self._lock:
            streams = self._runs.continued(file, offset, self._streams.get(key, AT_THE_BEGINNING))
            planned = plan(
                streams,
                offset,
                end - offset,
                file.size_bytes,
                most_bytes=grown_bytes,
                begun_bytes=begun_bytes,
            )
            self._streams[key] = planned.streams
            if planned.is_seek or not planned.streams[0].is_look:
                self._waited.pop(key, None)
            if planned.is_seek:
                self._fetches.call_off_locked(file)
            elif planned.is_settled:
                self._fetches.abandon_locked(file, planned.streams[:1])
            ahead_bytes = planned.ahead_stop - planned.ahead_start
            if end + RUN_BYTES >= file.size_bytes:  # the next read may be its last one, and need no plan
                self._read_ahead.left(key)
            elif ahead_bytes:
                self._read_ahead.read(key, planned.streams)
            if not ahead_bytes:
                return planned
            readers = self._read_ahead.readers(key, planned.streams, self._fetches.by_key)
        if ahead_bytes > least_ahead_bytes(self._blocks, key, readers):
            planned = planned.narrowed(still(self._most_ahead_bytes(key), self._fetches.rate.told_bytes_s))
        return planned

    def _most_ahead_bytes(self, key: Key) -> int:
        with self._lock:
            readers = self._read_ahead.readers(key, self._streams.get(key, ()), self._fetches.by_key)
        return most_ahead_bytes(self._blocks, key, readers, is_direct=self._delivery.is_direct)

    def left(self, file: File) -> None:
        """Nobody has *file* open any more. What was asked for not far ahead still comes: it may be opened
        again, to be read on."""
        self._runs.end(file)
        with self._lock:
            self._read_ahead.left(key_of(file))
            self._fetches.forget_locked(file)
            if key_of(file) in self._fetches.by_key:
                self._fetches.abandon_locked(file, self._streams.get(key_of(file), ()))

    def is_small(self, length: int) -> bool:
        """Whether so many bytes are fetched rather than left for later."""
        return length <= self._small_bytes

    def fetch(self, file: File, offset: int, length: int) -> bytes:
        """Exactly the bytes asked for, which this revision must have. What is cached is used, and no more is
        requested, nor kept: for who stores them. Errors as ``read``, but that it never waits."""
        end = offset + length
        self._blocks.recall(file)
        pieces: list[bytes] = []
        while offset < end:
            piece = self._blocks.peek(file, offset, end - offset)
            if not piece:
                gaps = self._blocks.gaps(file, offset, end)
                stop = gaps[0][1] if gaps and gaps[0][0] == offset else end
                piece = self._delivery.whole(file, offset, stop - offset)
            pieces.append(piece)
            offset += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def prefetch(self, file: File, failed: Callable[[BaseException], None]) -> None:
        """Has all of *file* cached soon, on a thread of its own; *failed* is called with what failed. Who
        reads it before its turn makes the request, and who reads it meanwhile waits for the same one."""
        with contextlib.suppress(RuntimeError):  # closed
            self._siblings.submit(self._prefetch, file, failed)

    def aside(self, call: Callable[[], None]) -> None:
        """Makes a call soon, on one of the threads that fetch files ahead."""
        with contextlib.suppress(RuntimeError):  # closed
            self._siblings.submit(call)

    def copy_into(self, file: File, target: Target, length: int | None = None) -> None:
        """Writes the first *length* bytes of the revision (None: all) into *target*, from its beginning."""
        stop = file.size_bytes if length is None else min(length, file.size_bytes)
        for offset in range(0, stop, COPY_BYTES):
            target.pwrite(offset, self.read(file, offset, min(COPY_BYTES, stop - offset)))

    def end_waits(self) -> None:
        """No read waits for a busy service from here on: it fails with what the service said."""
        self._ending.set()

    def close(self) -> None:
        """Ends the threads that read ahead; reading still works."""
        with self._lock:
            self._is_closed = True
        self._ahead.shutdown(wait=True, cancel_futures=True)
        self._siblings.shutdown(wait=True, cancel_futures=True)

    def _wait_out(self, error: Transient, deadline_s: float) -> None:
        """Returns when the service may be asked again; raises *error* when that is too late, or not told."""
        if isinstance(error, Offline) or error.retry_after_s is None:
            raise error
        wait_s = max(error.retry_after_s, SHORTEST_WAIT_S)
        if self._clock.now_s() + wait_s > deadline_s or self._ending.wait(wait_s):
            raise error

    def _piece(self, file: File, at: int, end: int, low: int, high: int) -> bytes:
        """At least one byte from *at* on, none from *end* on; a request may span [low, high)."""
        has_come = has_landed = False
        while True:
            cached = self._blocks.peek(file, at, end - at)
            if cached:
                return cached
            with self._lock:
                self._fetches.check_heard_locked(file)
                fetch = self._fetches.find_locked(file, at)
                if fetch is None:
                    if not has_come and not self._blocks.gaps(file, at, at + 1):
                        has_come = True  # between the two looks
                        continue
                    fetch = self._fetches.begin_locked(file, at, low, high)
                elif fetch.is_ahead:
                    self._waited[key_of(file)] = True
                fetch.waiting += 1
            # One that still queues for a thread is made here: who waits must not wait for others' files.
            self._fetches.run(file, fetch)
            with contextlib.suppress(CancelledError):  # it was called off before it began
                body = fetch.body.result()
                if body is not None:
                    return body[at - fetch.start : end - fetch.start]
                if has_landed:  # twice, and was evicted at once: the cache is too small for what is read
                    return self._delivery.whole(file, at, end - at)
                has_landed = True

    def _run_ahead(self, file: File, planned: Plan) -> None:
        """Starts to fetch what is planned ahead and neither here nor under way, once much of it is due."""
        with self._lock:
            start, stop = planned.ahead_start, planned.ahead_stop
            missing = self._fetches.missing_locked(file, start, stop)
            due_bytes = sum(high - low for low, high in missing)
            # A trickle of small requests would cost a round trip for each: wait for half a window.
            most_bytes = piece_bytes(stop - start)
            if self._is_closed or self._fetches.is_refused_locked():
                return
            if 2 * due_bytes < min(stop - start, 2 * most_bytes):
                return
            # Where hardly anything of a large window is here yet, the first pieces are small.
            is_dry = stop - start > FREE_WINDOW_BYTES and 4 * due_bytes > 3 * (stop - start)
            pieces = cut(missing, FIRST_PIECE_BYTES if is_dry else most_bytes, most_bytes, file.size_bytes)
            low, high = pieces[-1]
            if len(pieces) > 1 and 2 * (high - low) < most_bytes and planned.leaves_rest(file.size_bytes):
                pieces.pop()  # it will be a part of what is due next
            fetches = self._fetches.plan_locked(file, pieces)
            # Under the lock, so that ``close`` has not ended the threads in between. Without a thread whoever
            # reads as far makes the request.
            with contextlib.suppress(RuntimeError):
                for fetch in fetches:
                    self._ahead.submit(self._fetches.run, file, fetch)

    def _prefetch(self, file: File, failed: Callable[[BaseException], None]) -> None:
        self._blocks.recall(file)
        with self._lock:
            missing = self._fetches.missing_locked(file, 0, file.size_bytes)
            if self._is_closed or self._fetches.is_refused_locked():
                return
            if not missing or not is_kept(self._blocks, file):
                return
            fetch = self._fetches.begin_locked(file, missing[0][0], 0, file.size_bytes)
        self._fetches.run(file, fetch)
        if (error := fetch.body.exception()) is not None:
            failed(error)
