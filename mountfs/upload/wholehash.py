"""The hash of a whole file, from the bytes that are read for its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock

from mountfs.model.hashing import HashKind, hasher
from mountfs.model.ranges import RangeSet

READ_BYTES = 1024 * 1024
"""Bytes in memory at once of what no part brings."""

Read = Callable[[int, int], bytes]
"""(offset, length) -> exactly those bytes of the file."""


class WholeHash:
    """Of one upload session. Any thread; who finds another one hashing leaves its bytes there and goes on.

    Bytes that come early wait for those before them, until their part is through: what then still waits
    leaves memory and is read when its turn comes, as is *sent*, which a former process sent.
    """

    def __init__(self, kind: HashKind, read: Read, sent: Iterable[tuple[int, int]] = ()) -> None:
        self._read = read
        self._state = hasher(kind)
        self._lock = Lock()
        self._next = 0
        """Where the bytes that were not taken to be hashed begin."""
        self._early: dict[int, bytes] = {}
        self._unfed = RangeSet(sent)
        self._is_hashing = False

    def feed(self, offset: int, body: bytes) -> None:
        """The file's bytes from *offset* on, about to be sent. What *read* raises."""
        with self._lock:
            if body and offset >= self._next:
                self._early[offset] = body
                self._unfed.remove(offset, offset + len(body))
        self.catch_up()

    def let_go(self, offset: int) -> None:
        """The part at *offset* is through, or failed: its bytes are kept no longer."""
        with self._lock:
            body = self._early.pop(offset, b"")
            self._unfed.add(offset, offset + len(body))

    def catch_up(self) -> None:
        """Hashes all that can be hashed by now, unless somebody is at it. What *read* raises."""
        is_mine = False
        while True:
            with self._lock:
                if self._is_hashing and not is_mine:
                    return
                start = self._next
                body = self._early.pop(start, None)
                stop = start + len(body) if body is not None else self._unfed_until(start)
                self._is_hashing = is_mine = stop > start
                if not is_mine:
                    return
                self._next = stop
                self._unfed.remove(start, stop)
            try:
                self._state.update(self._read(start, stop - start) if body is None else body)
            except BaseException:
                with self._lock:
                    self._next = start
                    self._unfed.add(start, stop)
                    self._is_hashing = False
                raise

    def hexdigest(self, size_bytes: int) -> str:
        """Of all *size_bytes*, once every part is through. What *read* raises."""
        with self._lock:
            self._unfed.add(self._next, size_bytes)
        self.catch_up()
        return self._state.hexdigest()

    def _unfed_until(self, start: int) -> int:
        """Where the piece ends that is to be read at *start*; *start*: a part is to bring what is there."""
        stop = start
        for low, high in self._unfed:
            if low <= start < high:
                stop = min(high, start + READ_BYTES)
                break
        return min([stop, *(offset for offset in self._early if offset > start)])
