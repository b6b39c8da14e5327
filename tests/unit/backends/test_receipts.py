"""Whole-file hashes from what the parts left behind."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from mountfs.backends.filerange import FileRange
from mountfs.backends.receipts import hash_of_parts, hash_of_receipt, receipt_of, receipt_of_pieces
from mountfs.backends.wire import Pieces
from mountfs.model.hashing import BLOCK_BYTES, HashKind, content_hash
from mountfs.model.order import Part
from tests.doubles.sources import source_of


def parts_of(body: bytes, step: int) -> list[Part]:
    return [
        Part(at, len(body[at : at + step]), receipt_of(body[at : at + step]))
        for at in range(0, len(body), step)
    ]


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES])
def test_a_range_that_is_read_in_pieces_leaves_the_same(size: int) -> None:
    body = random.Random(size).randbytes(size + 10)
    part = FileRange(source_of(body), 7, size)
    assert receipt_of_pieces(part) == receipt_of(body[7 : 7 + size])
    assert b"".join(part) == body[7 : 7 + size]
    assert len(part) == size


def test_a_part_of_a_file_is_never_in_memory_as_a_whole() -> None:
    part = FileRange(source_of(bytes(2 * BLOCK_BYTES)), 0, 2 * BLOCK_BYTES)
    tracemalloc.start()
    receipt_of_pieces(part)
    assert sum(map(len, Pieces(part))) == 2 * BLOCK_BYTES
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < BLOCK_BYTES // 4


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
