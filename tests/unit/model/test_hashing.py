"""Content hashes, with the vectors that were verified against the services' own description."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mountfs.model.hashing import (
    BLOCK_BYTES,
    DropboxHasher,
    HashKind,
    block_digests,
    content_hash,
    from_block_digests,
    hasher,
)

MIB = 1024 * 1024

VECTORS = [
    pytest.param(b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", id="empty"),
    pytest.param(b"a", "bf5d3affb73efd2ec6c36ad3112dd933efed63c4e1cbffcfa88e2759c144f2d8", id="a"),
    pytest.param(
        b"hello world\n", "f83e4b6bba3efac41f1ff56ee97adf7454680fee778924cb5ba06311d136ad1c", id="hello"
    ),
    pytest.param(
        bytes(BLOCK_BYTES - 1), "839e2d868a885f260431d186466f0f3c189ee0eee5cc444b54e717740ad7f1c3", id="less"
    ),
    pytest.param(
        bytes(BLOCK_BYTES), "c7e946d101855255d919ef0c70718633adf77d3dfb3adeeecf5d0cb4e951be58", id="a block"
    ),
    pytest.param(
        bytes(BLOCK_BYTES + 1), "14a4d47f23a30177885d9820122f17d2d3a55fe63f7f5c27b95f689e0b2accd6", id="more"
    ),
    pytest.param(
        bytes(2 * BLOCK_BYTES), "03ae066c707c588592d9e27aa2444ca98423e0999024f1ceaa11a153790b37de", id="two"
    ),
    pytest.param(
        b"a" * (10 * MIB), "576f896dca27a476b9c9429b4cc02588f94d59603c16dfce30ae58066da2ad55", id="10 MiB"
    ),
    pytest.param(
        (bytes(range(251)) * 39841)[:10_000_000],
        "adcedd7b0933aef0bdf54a73c43b77526b6ff90b1a303d2cd235f44161b65177",
        id="pattern",
    ),
]


@pytest.mark.parametrize(("data", "expected"), VECTORS)
def test_the_dropbox_hash_of_known_bytes(data: bytes, expected: str) -> None:
    assert content_hash(HashKind.DROPBOX, data) == expected
    assert from_block_digests(block_digests(data)) == expected


def test_box_states_plain_sha1() -> None:
    assert content_hash(HashKind.SHA1, b"abc") == hashlib.sha1(b"abc", usedforsecurity=False).hexdigest()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3 * BLOCK_BYTES), max_size=5))
def test_the_cuts_of_a_stream_do_not_show(cuts: list[int]) -> None:
    data = memoryview(bytes(range(256)) * (10 * MIB // 256))
    edges = [0, *sorted(cuts), len(data)]
    for kind in HashKind:
        state = hasher(kind)
        for start, stop in pairwise(edges):
            state.update(data[start:stop])
        assert state.hexdigest() == content_hash(kind, data)


def test_asking_half_way_changes_nothing() -> None:
    state = DropboxHasher()
    state.update(b"hello ")
    assert state.hexdigest() == content_hash(HashKind.DROPBOX, b"hello ")
    state.update(b"world\n")
    assert state.hexdigest() == state.hexdigest() == content_hash(HashKind.DROPBOX, b"hello world\n")


def test_blocks_are_of_four_mib_and_the_last_may_be_short() -> None:
    assert block_digests(b"") == []
    assert len(block_digests(bytes(2 * BLOCK_BYTES))) == 2
    assert block_digests(bytes(BLOCK_BYTES) + b"a")[1] == hashlib.sha256(b"a").hexdigest()
