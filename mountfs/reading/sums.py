"""What proves the blocks of a large cache file to the next process: a digest for each, in a file beside it.

The bytes of a block are written first, its digest after them. A process that is killed in between leaves a
block without a digest, which counts as absent; power that fails may leave a digest without its bytes, which
do not match it. So a block is right, or it is not there, and no write needs a sync.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from mountfs.model.blocksums import BLOCK_BYTES, DIGEST_BYTES, digest

SUFFIX = ".sums"
_ABSENT = bytes(DIGEST_BYTES)
LACKS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Why a file may not be opened that is as good as before: the process may have no further one open."""


class Sums:
    """The digests of one cache file, of a content of *size_bytes*. No method raises OSError: what cannot be
    written or read is absent. ``unproven``: blocks that count as cached, and have to prove themselves.
    ``refuted``: those that did not, and that nobody here has fetched since; both guarded by the cache's
    lock."""

    __slots__ = ("_path", "refuted", "size_bytes", "unproven")

    def __init__(self, cache_file: Path, size_bytes: int) -> None:
        self._path = cache_file.with_name(cache_file.name + SUFFIX)
        self.size_bytes = size_bytes
        self.unproven: set[int] = set()
        self.refuted: set[int] = set()

    @property
    def uncut_bytes(self) -> int:
        """How long the cache file is, unless somebody cut it."""
        return self.size_bytes + 1

    def span(self, number: int) -> tuple[int, int]:
        """Where a block begins and ends."""
        return number * BLOCK_BYTES, min((number + 1) * BLOCK_BYTES, self.size_bytes)

    def whole_in(self, start: int, stop: int) -> range:
        """The blocks that lie within [start, stop) as a whole."""
        last = -(-stop // BLOCK_BYTES) if stop == self.size_bytes else stop // BLOCK_BYTES
        return range(-(-start // BLOCK_BYTES), last)

    def touching(self, start: int, stop: int) -> range:
        """The blocks that [start, stop) touches."""
        return range(start // BLOCK_BYTES, -(-stop // BLOCK_BYTES))

    def begin(self) -> bool:
        """Has the cache file be one whose blocks count each for itself, before there are any; whether it
        could."""
        try:
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError:
            return False
        return True

    def write(self, offset: int, data: bytes) -> range:
        """Keeps the digests of the blocks that *data*, which is at *offset*, has as a whole; these blocks."""
        view = memoryview(data)
        digests = bytearray()
        for number in self.whole_in(offset, offset + len(data)):
            start, stop = self.span(number)
            digests += digest(view[start - offset : stop - offset])
        return self.note(offset, len(data), digests)

    def note(self, offset: int, length: int, digests: bytes | bytearray) -> range:
        """Keeps the digests of the blocks that [offset, offset + length) has as a whole; these blocks. The
        bytes of the blocks are in the cache file already."""
        blocks = self.whole_in(offset, offset + length)
        if len(digests) != len(blocks) * DIGEST_BYTES:
            return range(0)
        if digests:
            try:
                fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    os.pwrite(fd, digests, blocks.start * DIGEST_BYTES)
                finally:
                    os.close(fd)
            except OSError:
                return range(0)
        return blocks

    def present(self, among: range | None = None) -> list[int]:
        """The blocks that have a digest; *among*: of these blocks alone."""
        most = -(-self.size_bytes // BLOCK_BYTES)
        first, stop = (0, most) if among is None else (among.start, min(among.stop, most))
        try:
            with self._path.open("rb", buffering=0) as file:
                digests = os.pread(file.fileno(), (stop - first) * DIGEST_BYTES, first * DIGEST_BYTES)
        except OSError:
            return []
        return [
            first + at
            for at in range(len(digests) // DIGEST_BYTES)
            if digests[at * DIGEST_BYTES : (at + 1) * DIGEST_BYTES] != _ABSENT
        ]

    def prove(self, number: int, cache_fd: int) -> bool | None:
        """Whether the bytes of a block in the cache file are those of its digest; None: it cannot be told."""
        start, stop = self.span(number)
        try:
            data = os.pread(cache_fd, stop - start, start)
            with self._path.open("rb", buffering=0) as file:
                kept = os.pread(file.fileno(), DIGEST_BYTES, number * DIGEST_BYTES)
        except OSError as error:
            return None if error.errno in LACKS else False
        return len(data) == stop - start and kept == digest(data)

    def remove(self) -> None:
        remove(self._path)


def remove(path: Path) -> None:
    """What cannot be removed stays: the next process may find it again, and has it prove itself."""
    try:
        path.unlink()
    except OSError:
        return
