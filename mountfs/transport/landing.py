"""Downloaded bytes on their way into a cache file of the mount, written by the network process itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import Self

from mountfs.errors import CalledOff, Corrupt, DiskTrouble
from mountfs.model.blocksums import Digests


class Landing:
    """Writes bytes that come in order into the file at *path*, from *offset* on; DiskTrouble.

    A piece is written and its checksum taken while it is in the processor's cache: so it is passed through
    memory once, and not five times as from one process to the other. The mount made the file, and may have
    removed it: nothing stands at *path* then, and nothing is made.
    """

    def __init__(self, path: str, offset: int, is_called_off: Callable[[], bool] = lambda: False) -> None:
        """*is_called_off*: is asked with each piece; CalledOff once it says so, and the connection is cut."""
        self._at = offset
        self._is_called_off = is_called_off
        self._digests = Digests()
        self._check()
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DiskTrouble(f"the cache file cannot be opened: {error.strerror}") from error

    def take(self, piece: bytes | memoryview) -> None:
        self._check()
        view = memoryview(piece)
        while view:
            try:
                written = os.pwrite(self._fd, view, self._at)
            except OSError as error:
                raise DiskTrouble(f"the cache file cannot be written: {error.strerror}") from error
            view, self._at = view[written:], self._at + written
        self._digests.update(piece)

    def _check(self) -> None:
        if self._is_called_off():
            raise CalledOff("nobody reads on from here")

    @property
    def length(self) -> int:
        """Of the bytes that came."""
        return self._digests.length

    def digests(self, length: int) -> bytes:
        """Of the blocks that were written; Corrupt: these were not *length* bytes."""
        if self._digests.length != length:
            raise Corrupt(f"{self._digests.length} bytes came, not {length} as asked")
        return self._digests.all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
