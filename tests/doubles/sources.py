"""Pending files of tests that have no spool: files of a directory that goes with the test's process."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mountfs.errors import MountfsError
from mountfs.model.hashing import content_hash
from mountfs.model.order import Part
from mountfs.model.pendingbytes import read_pending
from mountfs.model.source import Source
from mountfs.ports import Backend, Piece


def source_of(body: bytes) -> Source:
    """A file that holds *body*, on the disk, where another process finds it too."""
    path = _directory() / hashlib.sha256(body).hexdigest()
    if not path.exists():
        # Several threads may want the same one: it is there as a whole, or not at all.
        draft = path.with_suffix(f".{threading.get_ident()}")
        draft.write_bytes(body)
        draft.replace(path)
    return source_at(path)


def source_at(path: Path) -> Source:
    """The file at *path*, whatever is there when it is read."""
    return Source(str(path), lambda offset, length: read_pending(_read, str(path), offset, length))


def piece_of(body: bytes, session: str = "") -> Piece:
    """A small file of its own."""
    return Piece(source_of(body), len(body), session)


def _read(path: str, offset: int, length: int) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return os.pread(file.fileno(), length, offset)


@cache
def _directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="sources-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def append_part(
    backend: Backend,
    session: str,
    offset: int,
    body: bytes,
    *,
    closing: bool,
    size_bytes: int | None,
    whole: bytes | None = None,
) -> str:
    """The part *body* of the file *whole*, or of one that has nothing but zeros before it."""
    source = source_of(bytes(offset) + body if whole is None else whole)
    return backend.append(session, source, offset, len(body), closing=closing, size_bytes=size_bytes)


def upload_whole(backend: Backend, body: bytes) -> str:
    """The session of a small file that holds *body*, whose hash was told."""
    stored = backend.upload_whole(piece_of(body))
    assert stored.content_hash == content_hash(backend.limits.hash_kind, body)
    return stored.session


def append_pack(backend: Backend, pieces: Sequence[Piece]) -> list[MountfsError | None]:
    """What is wrong with each; the hashes of the others were told."""
    results = backend.append_pack(pieces)
    assert len(results) == len(pieces)
    for each, right in zip(results, backend.content_hashes(pieces), strict=True):
        assert each == right or isinstance(each, MountfsError)
    return [each if isinstance(each, MountfsError) else None for each in results]


def whole_hash(backend: Backend, session: str, body: bytes, parts: Sequence[Part]) -> str:
    return backend.whole_hash(session, source_of(body), len(body), parts)
