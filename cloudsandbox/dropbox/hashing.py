"""The content hash: SHA-256 over the SHA-256 digests of the blocks of 4 MiB."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

BLOCK_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Block:
    """The digest of one block; only the last block of a file is shorter than BLOCK_BYTES."""

    length_bytes: int
    digest: bytes


def combined(digests: Iterable[bytes]) -> str:
    """The content hash of a file whose block digests are given in order, as lowercase hex."""
    whole = hashlib.sha256()
    for digest in digests:
        whole.update(digest)
    return whole.hexdigest()


class BlockHasher:
    """Hashes a stream block by block, keeping the digest of each block."""

    def __init__(self) -> None:
        self._done: list[Block] = []
        self._open = hashlib.sha256()
        self._open_bytes = 0

    def update(self, piece: bytes | memoryview) -> None:
        """Take the next bytes of the stream, however they are cut."""
        view = memoryview(piece)
        while view:
            part = view[: BLOCK_BYTES - self._open_bytes]
            self._open.update(part)
            self._open_bytes += len(part)
            view = view[len(part) :]
            if self._open_bytes == BLOCK_BYTES:
                self._done.append(Block(BLOCK_BYTES, self._open.digest()))
                self._open, self._open_bytes = hashlib.sha256(), 0

    def blocks(self) -> list[Block]:
        """The blocks so far, the unfinished one included."""
        if not self._open_bytes:
            return list(self._done)
        return [*self._done, Block(self._open_bytes, self._open.digest())]


def content_hash(data: bytes) -> str:
    """The content hash of bytes held in memory."""
    hasher = BlockHasher()
    hasher.update(data)
    return combined(block.digest for block in hasher.blocks())
