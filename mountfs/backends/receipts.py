"""What a part of an upload session leaves behind, so that a file is never read twice for its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from mountfs.model.hashing import BLOCK_BYTES, block_digests, from_block_digests
from mountfs.model.order import Part
from mountfs.model.source import Source

_DIGEST_CHARS = 64


def receipt_of(body: bytes) -> str:
    """The hex SHA-256 digests of the 4 MiB blocks of *body*, one after the other."""
    return "".join(block_digests(body))


def receipt_of_pieces(pieces: Iterable[bytes]) -> str:
    """The same of what comes in pieces; each block ends with one of them."""
    digests: list[str] = []
    block, block_bytes = hashlib.sha256(), 0
    for piece in pieces:
        block.update(piece)
        block_bytes += len(piece)
        if block_bytes >= BLOCK_BYTES:
            digests.append(block.hexdigest())
            block, block_bytes = hashlib.sha256(), 0
    if block_bytes:
        digests.append(block.hexdigest())
    return "".join(digests)


def hash_of_receipt(receipt: str) -> str:
    """The Dropbox content hash of the part alone that left *receipt*."""
    return from_block_digests(_digests(receipt))


def hash_of_parts(parts: Sequence[Part], size_bytes: int) -> str | None:
    """The Dropbox content hash of the file of *size_bytes* whose parts left these receipts.

    None when that cannot be told from them: a part that is not the last has no whole number of
    blocks, or the parts leave a gap.
    """
    digests: list[str] = []
    expected_offset = 0
    for part in sorted(parts, key=lambda part: (part.offset, part.length)):
        if part.offset != expected_offset or part.offset % BLOCK_BYTES:
            return None
        expected_offset += part.length
        digests += _digests(part.receipt)
    return from_block_digests(digests) if expected_offset == size_bytes else None


def holds(source: Source, size_bytes: int, parts: Sequence[Part]) -> bool:
    """Whether a file of *size_bytes* still has the bytes that left the receipts of *parts*. Unreadable,
    DiskTrouble."""
    return all(_has_part(source, size_bytes, part) for part in parts)


def _has_part(source: Source, size_bytes: int, part: Part) -> bool:
    end = part.offset + part.length
    if end > size_bytes:
        return False
    blocks = (source.exactly(at, min(BLOCK_BYTES, end - at)) for at in range(part.offset, end, BLOCK_BYTES))
    return "".join(map(receipt_of, blocks)) == part.receipt


def _digests(receipt: str) -> list[str]:
    return [receipt[at : at + _DIGEST_CHARS] for at in range(0, len(receipt), _DIGEST_CHARS)]
