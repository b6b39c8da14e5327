"""The requests of a reader that are planned or under way: who reads the same bytes waits for the same one."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterable, Sequence

from cachetools import LRUCache

from mountfs.errors import Offline
from mountfs.model.entry import File
from mountfs.model.linkrate import LinkRate
from mountfs.ports import Clock
from mountfs.reading.blocks import Blocks
from mountfs.reading.contentkey import Key, key_of
from mountfs.reading.delivery import Delivery
from mountfs.reading.fetch import Fetch
from mountfs.reading.readahead import WHOLE_FILE_BYTES, Stream, is_near

SILENT_KEPT = 1024
"""So many revisions whose requests had no answer are remembered at most."""
SILENCE_S = 5.0
"""A request that had no answer for so long was waited for."""
SILENCE_KEPT_S = 1.0
"""How long its failure stands for the same revision. The kernel asks a second time, page by page, for what it
could not read ahead: a program would wait twice for a service that is silent."""
MOST_UNKEPT = 16
"""So many answers of up to WHOLE_FILE_BYTES are held in memory where the cache does not take them: it may
hold nothing, or the disk be full. The kernel reads a file in pieces of 128 KiB, and for each of them all of a
small one would be requested again."""
REFUSED_S = 30.0
"""After the disk took no bytes nothing is fetched ahead for so long: it would be fetched again, with each
read of 128 KiB a whole window of it."""


class Fetches:
    """By content, each request from when it is planned until its bytes are kept, or it failed or was called
    off; what was called off may still be on its way. Guarded by the reader's lock, which is not held while a
    request is made."""

    def __init__(
        self, blocks: Blocks, delivery: Delivery, clock: Clock, lock: threading.Lock, rate: LinkRate
    ) -> None:
        self.by_key: dict[Key, list[Fetch]] = {}
        """Only contents of which there are some."""
        self.unkept: deque[tuple[Key, Fetch]] = deque(maxlen=MOST_UNKEPT)
        """Small requests that are over, and whose bytes the cache did not take; the oldest first."""
        self.rate = rate
        self._blocks = blocks
        self._delivery = delivery
        self._clock = clock
        self._lock = lock
        self._refused_until_s = -math.inf
        self._silences: LRUCache[Key, tuple[float, str]] = LRUCache(SILENT_KEPT)
        """When a revision could not be read because the service was silent, and why."""

    def of_locked(self, file: File) -> list[Fetch]:
        return self.by_key.get(key_of(file), [])

    def is_refused_locked(self) -> bool:
        """Whether the disk took no bytes a moment ago, so that nothing can be fetched ahead."""
        return self._clock.now_s() < self._refused_until_s

    def find_locked(self, file: File, at: int) -> Fetch | None:
        """The request for the byte at *at*, or what one has brought that the cache did not take."""
        key = key_of(file)
        known = (*self.of_locked(file), *(one for each, one in self.unkept if each == key))
        return next((one for one in known if one.start <= at < one.stop), None)

    def check_heard_locked(self, file: File) -> None:
        """Offline: the service was silent to the last request for this revision, a moment ago."""
        failed_s, reason = self._silences.get(key_of(file), (-math.inf, ""))
        if self._clock.now_s() < failed_s + SILENCE_KEPT_S:
            raise Offline(reason)

    def missing_locked(self, file: File, start: int, stop: int) -> list[tuple[int, int]]:
        """The parts of [start, stop) that are neither here nor under way, ascending."""
        missing = self._blocks.gaps(file, start, stop)
        for fetch in self.of_locked(file):
            missing = [
                (low, high)
                for gap_low, gap_high in missing
                for low, high in ((gap_low, min(gap_high, fetch.start)), (max(gap_low, fetch.stop), gap_high))
                if low < high
            ]
        return missing

    def begin_locked(self, file: File, at: int, low: int, high: int) -> Fetch:
        """A request for what is missing of [low, high) around *at*, to be made by the caller."""
        start, stop = next(
            ((start, stop) for start, stop in self.missing_locked(file, low, high) if start <= at < stop),
            (at, high),
        )
        fetch = Fetch(start, stop)
        self.by_key.setdefault(key_of(file), []).append(fetch)
        return fetch

    def plan_locked(self, file: File, pieces: Iterable[tuple[int, int]]) -> list[Fetch]:
        """Requests for *pieces*, none of which is here or under way: whoever has a thread makes them."""
        fetches = [Fetch(low, high, is_ahead=True) for low, high in pieces]
        self.by_key.setdefault(key_of(file), []).extend(fetches)
        return fetches

    def call_off_locked(self, file: File) -> None:
        """What of *file* was asked for ahead and is not begun is not wanted any more. Should somebody want
        it after all, his next read asks for it again."""
        for fetch in [one for one in self.of_locked(file) if one.is_ahead and not one.is_begun]:
            fetch.is_begun = True
            self._end_locked(file, fetch)
            fetch.body.cancel()

    def forget_locked(self, file: File) -> None:
        """Nobody has *file* open any more."""
        if self.unkept:
            left = [each for each in self.unkept if each[0] != key_of(file)]
            self.unkept = deque(left, maxlen=MOST_UNKEPT)

    def abandon_locked(self, file: File, streams: Sequence[Stream]) -> None:
        """What was asked for ahead of *file* is not wanted any more, but near these *streams*; also what is
        on its way, unless a read waits for it. On a slow link it would keep others waiting for long."""
        for fetch in [one for one in self.of_locked(file) if one.is_ahead and not one.waiting]:
            if not any(is_near(stream, fetch.start, fetch.stop) for stream in streams):
                self._end_locked(file, fetch)
                if fetch.is_begun:
                    fetch.call_off.set()
                else:
                    fetch.is_begun = True
                    fetch.body.cancel()

    def run(self, file: File, fetch: Fetch) -> None:
        """Makes the request unless somebody does; its outcome is in ``fetch.body`` for all who wait."""
        with self._lock:
            if fetch.is_begun:
                return
            fetch.is_begun = True
            started_s = self._clock.now_s()
            self.rate.began(started_s)
        try:
            body = self._delivery.of(file, fetch)
        except BaseException as error:
            ended_s = self._clock.now_s()
            with self._lock:
                self.rate.ended(started_s, ended_s, 0)
                if isinstance(error, Offline) and ended_s - started_s >= SILENCE_S:
                    self._silences[key_of(file)] = ended_s, str(error)
                self._end_locked(file, fetch)
            fetch.body.set_exception(error)
            return
        with self._lock:
            self.rate.ended(started_s, self._clock.now_s(), fetch.stop - fetch.start)
        is_refused = False
        try:
            is_refused = body is not None and not self._blocks.put(file, fetch.start, body)
        finally:
            with self._lock:
                if is_refused:
                    self._refused_until_s = self._clock.now_s() + REFUSED_S
                self._end_locked(file, fetch)
                if body is not None and self._is_unkept(file, fetch):
                    self.unkept.append((key_of(file), fetch))
            fetch.body.set_result(body)

    def _is_unkept(self, file: File, fetch: Fetch) -> bool:
        is_small = fetch.stop - fetch.start <= WHOLE_FILE_BYTES
        return is_small and bool(self._blocks.gaps(file, fetch.start, fetch.stop))

    def _end_locked(self, file: File, fetch: Fetch) -> None:
        under_way = self.of_locked(file)
        if fetch not in under_way:
            return  # it was called off
        under_way.remove(fetch)
        if not under_way:
            self.by_key.pop(key_of(file), None)
