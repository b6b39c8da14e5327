"""The hash of a whole file, made of the bytes that are read to send its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock

from cachetools import LRUCache

from mountfs.model.hashing import HashKind, hasher
from mountfs.model.order import Part
from mountfs.model.ranges import RangeSet
from mountfs.model.source import Source

READ_BYTES = 1024 * 1024
"""Bytes in memory at once while bytes are read that no part brought."""

SESSIONS_KEPT = 64
"""More than there are large files on their way at a time. Of one that is forgotten the file is read again."""

Read = Callable[[int, int], bytes]
"""(offset, length) -> exactly those bytes of the file."""


class WholeHash:
    """Of one upload session. Any thread; one thread hashes at a time, and others leave their part in
    ``_early``.

    Parts that come early wait for the bytes before them, until ``let_go``: then their bytes leave memory, and
    are read again when it is their turn. So are *sent*, the ranges that a former process sent.
    """

    def __init__(self, kind: HashKind, read: Read, sent: Iterable[tuple[int, int]] = ()) -> None:
        self._read = read
        self._state = hasher(kind)
        self._lock = Lock()
        self._next = 0
        """Everything before this offset was hashed, or is just being hashed."""
        self._early: dict[int, bytes] = {}
        self._unfed = RangeSet(sent)
        self._is_hashing = False

    def feed(self, offset: int, body: bytes) -> None:
        """*body*, the file's bytes from *offset* on, is about to be sent. Raises what *read* raises."""
        with self._lock:
            if body and offset >= self._next:
                self._early[offset] = body
                self._unfed.remove(offset, offset + len(body))
        self.catch_up()

    def pass_by(self, offset: int, length: int) -> None:
        """The file's bytes from *offset* on are about to be sent, and too many to be in memory: they are read
        when it is their turn. Raises what *read* raises."""
        with self._lock:
            if length and offset >= self._next:
                self._unfed.add(offset, offset + length)
        self.catch_up()

    def let_go(self, offset: int) -> None:
        """The part at *offset* was sent, or failed: its bytes do not stay in memory."""
        with self._lock:
            body = self._early.pop(offset, b"")
            self._unfed.add(offset, offset + len(body))

    def catch_up(self) -> None:
        """Hashes everything that can be hashed by now, unless another thread does. Raises what *read*
        raises."""
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
        """Of all *size_bytes*, once every part was sent. Raises what *read* raises."""
        with self._lock:
            self._unfed.add(self._next, size_bytes)
        self.catch_up()
        return self._state.hexdigest()

    def _unfed_until(self, start: int) -> int:
        """Where the bytes that are to be read at *start* end; *start* itself: a part is still to bring
        them."""
        stop = start
        for low, high in self._unfed:
            if low <= start < high:
                stop = min(high, start + READ_BYTES)
                break
        return min([stop, *(offset for offset in self._early if offset > start)])


class WholeHashes:
    """The hashes of the files that are on their way up, by session. Any thread."""

    def __init__(self, kind: HashKind) -> None:
        self._kind = kind
        self._lock = Lock()
        self._files: LRUCache[str, WholeHash] = LRUCache(SESSIONS_KEPT)

    def resume(self, session: str, source: Source, parts: Iterable[Part]) -> None:
        """A former process sent *parts*: of these, all that can be hashed by now is read. What
        ``Source.exactly`` raises."""
        sent = ((part.offset, part.offset + part.length) for part in parts)
        whole = WholeHash(self._kind, source.exactly, sent)
        with self._lock:
            self._files[session] = whole
        whole.catch_up()

    @contextmanager
    def fed(self, session: str, source: Source, offset: int, body: bytes) -> Iterator[None]:
        """The part *body* is hashed before the block, in which it is sent. What ``Source.exactly`` raises."""
        whole = self._of(session, source)
        try:
            whole.feed(offset, body)
            yield
        finally:
            whole.let_go(offset)

    def pass_by(self, session: str, source: Source, offset: int, length: int) -> None:
        """A part that is too long to be in memory is about to be sent. What ``Source.exactly`` raises."""
        self._of(session, source).pass_by(offset, length)

    def hexdigest(self, session: str, source: Source, size_bytes: int) -> str:
        """Once every part is through. What ``Source.exactly`` raises."""
        with self._lock:
            whole = self._files.get(session)
        return (whole or WholeHash(self._kind, source.exactly)).hexdigest(size_bytes)

    def _of(self, session: str, source: Source) -> WholeHash:
        with self._lock:
            whole = self._files.get(session)
            if whole is None:
                whole = self._files[session] = WholeHash(self._kind, source.exactly)
            return whole

    def forget(self, session: str) -> None:
        """The session is over."""
        with self._lock:
            self._files.pop(session, None)


def file_hash(kind: HashKind, source: Source, size_bytes: int) -> str:
    """Of all bytes of a file, in one pass over them. Unreadable, DiskTrouble."""
    return WholeHash(kind, source.exactly).hexdigest(size_bytes)
