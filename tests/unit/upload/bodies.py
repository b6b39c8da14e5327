"""Bytes to send, and what they must have become."""

from __future__ import annotations

from dataclasses import replace

from mountfs.model.hashing import content_hash
from mountfs.tree.content import Content
from tests.doubles.memory_account import MEMORY_LIMITS
from tests.doubles.world import World

SMALL_LIMITS = replace(MEMORY_LIMITS, chunk_bytes=16, session_min_bytes=32, pack_bytes=64, pack_entries=10)
"""A service whose parts are 16 bytes, so that a large file has 32."""


def body_of(size: int, seed: int = 0) -> bytes:
    return bytes((index * 7 + seed) % 251 for index in range(size))


def draft_of(world: World, path: str) -> Content:
    """The bytes that are being written at *path*."""
    draft = world.state(path).draft
    assert draft is not None
    return draft


def content_of(world: World, path: str) -> Content:
    """The whole bytes at *path* that the service does not have as a file yet."""
    content = world.state(path).content
    assert content is not None
    return content


def assert_uploaded(world: World, path: str, body: bytes) -> None:
    content = content_of(world, path)
    assert world.word(path) == "uploaded"
    assert content.content_hash == content_hash(world.backend.limits.hash_kind, body)
    assert content.session is not None
    assert world.account.sessions[content.session].body() == body


def words(world: World) -> set[str]:
    """How far everything is that is not through."""
    return {word for _, word in world.pending()}


def uploader_steps(world: World, count: int) -> None:
    """With the clock standing still."""
    for _ in range(count):
        world.core.uploader.step(world.clock.now_s())
