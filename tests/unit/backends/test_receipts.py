"""Whole-file hashes from what the parts left behind."""

from __future__ import annotations

import random

import pytest

from mountfs.backends.receipts import hash_of_parts, hash_of_receipt, receipt_of
from mountfs.model.hashing import BLOCK_BYTES, HashKind, content_hash
from mountfs.model.order import Part


def parts_of(body: bytes, step: int) -> list[Part]:
    return [
        Part(at, len(body[at : at + step]), receipt_of(body[at : at + step]))
        for at in range(0, len(body), step)
    ]


@pytest.mark.parametrize("blocks", [1, 2, 3])
@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 7])
def test_parts_of_whole_blocks_give_the_hash_of_the_file(blocks: int, size: int) -> None:
    body = random.Random(size).randbytes(size)
    parts = parts_of(body, blocks * BLOCK_BYTES)
    random.Random(1).shuffle(parts)
    assert hash_of_parts(parts, len(body)) == content_hash(HashKind.DROPBOX, body)


def test_an_empty_closing_part_changes_nothing() -> None:
    body = bytes(BLOCK_BYTES)
    parts = [*parts_of(body, BLOCK_BYTES), Part(BLOCK_BYTES, 0, receipt_of(b""))]
    assert hash_of_parts(parts, len(body)) == content_hash(HashKind.DROPBOX, body)


def test_a_gap_or_a_short_part_in_the_middle_has_no_hash() -> None:
    body = bytes(3 * BLOCK_BYTES)
    parts = parts_of(body, BLOCK_BYTES)
    assert hash_of_parts([parts[0], parts[2]], len(body)) is None
    assert hash_of_parts(parts[:-1], len(body)) is None
    assert hash_of_parts([Part(0, 5, receipt_of(b"short")), Part(5, 3, receipt_of(b"end"))], 8) is None


def test_a_receipt_gives_the_hash_of_its_own_part() -> None:
    body = bytes(BLOCK_BYTES + 3)
    assert hash_of_receipt(receipt_of(body)) == content_hash(HashKind.DROPBOX, body)
