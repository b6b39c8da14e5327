"""The services' content hashes, streaming and by blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

BLOCK_BYTES = 4 * 1024 * 1024
"""Dropbox hashes a file in blocks of 4 MiB (content-hash reference)."""


class HashKind(StrEnum):
    """Which algorithm a service states for whole files."""

    DROPBOX = "dropbox"
    SHA1 = "sha1"

    @property
    def comes_from_parts(self) -> bool:
        """Whether a file's hash can be put together from hashes of its parts, in whatever order those
        were sent."""
        return self is HashKind.DROPBOX

    @classmethod
    def of(cls, content_hash: str) -> HashKind:
        """Whose algorithm a hash is in, by its length: SHA-1 has 40 hex digits, Dropbox's SHA-256 64."""
        return cls.SHA1 if len(content_hash) == 40 else cls.DROPBOX


class Hasher(Protocol):
    """Takes a file's bytes in order; gives lowercase hex, at any time and repeatedly."""

    def update(self, data: bytes | memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...


class DropboxHasher:
    """The SHA-256 of the concatenated SHA-256 digests of the file's 4 MiB blocks."""

    __slots__ = ("_block", "_room_bytes", "_whole")

    def __init__(self) -> None:
        self._whole = hashlib.sha256()
        self._block = hashlib.sha256()
        self._room_bytes = BLOCK_BYTES

    def update(self, data: bytes | memoryview, /) -> None:
        view = memoryview(data)
        while view:
            piece = view[: self._room_bytes]
            self._block.update(piece)
            self._room_bytes -= len(piece)
            if not self._room_bytes:
                self._whole.update(self._block.digest())
                self._block = hashlib.sha256()
                self._room_bytes = BLOCK_BYTES
            view = view[len(piece) :]

    def hexdigest(self) -> str:
        whole = self._whole.copy()
        if self._room_bytes < BLOCK_BYTES:
            whole.update(self._block.digest())
        return whole.hexdigest()


def hasher(kind: HashKind) -> Hasher:
    """A fresh hasher of the service's algorithm."""
    return DropboxHasher() if kind is HashKind.DROPBOX else hashlib.sha1(usedforsecurity=False)


def content_hash(kind: HashKind, data: bytes | memoryview) -> str:
    """The whole-file hash of *data*, lowercase hex."""
    state = hasher(kind)
    state.update(data)
    return state.hexdigest()


def block_digests(data: bytes | memoryview) -> list[str]:
    """The hex SHA-256 of each 4 MiB block of *data*, the last one possibly short."""
    view = memoryview(data)
    return [
        hashlib.sha256(view[at : at + BLOCK_BYTES]).hexdigest() for at in range(0, len(view), BLOCK_BYTES)
    ]


def from_block_digests(digests: Iterable[str]) -> str:
    """The Dropbox content hash of a file whose blocks have these hex digests, in order."""
    return hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in digests)).hexdigest()
