"""What a part of an upload session leaves behind, so that a file is never read twice for its hash."""

from __future__ import annotations

from collections.abc import Sequence

from mountfs.model.hashing import BLOCK_BYTES, block_digests, from_block_digests
from mountfs.model.order import Part

_DIGEST_CHARS = 64


def receipt_of(body: bytes) -> str:
    """The hex SHA-256 digests of the 4 MiB blocks of *body*, one after the other."""
    return "".join(block_digests(body))


def hash_of_receipt(receipt: str) -> str:
    """The Dropbox content hash of the part alone that left *receipt*."""
    return from_block_digests(_digests(receipt))


def hash_of_parts(parts: Sequence[Part]) -> str | None:
    """The Dropbox content hash of the file whose parts left these receipts.

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
    return from_block_digests(digests)


def _digests(receipt: str) -> list[str]:
    return [receipt[at : at + _DIGEST_CHARS] for at in range(0, len(receipt), _DIGEST_CHARS)]
