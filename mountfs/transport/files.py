"""Pending files as the network process reads them: by path, with an open(2) for each read."""

from __future__ import annotations

import os
from functools import partial

from mountfs.model.pendingbytes import read_pending
from mountfs.model.source import Source


def source_at(path: str) -> Source:
    """The file that stands at *path* when it is read; "": none."""
    return Source(path, partial(read_pending, _read, path))


def _read(path: str, offset: int, length: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        body = os.pread(fd, length, offset)
        if len(body) == length or not body:
            return body
        # pread(2) returns at most 2 GiB, and may return less; only at the end of the file it returns nothing.
        pieces = [body]
        while (missing := length - sum(map(len, pieces))) and (
            piece := os.pread(fd, missing, offset + length - missing)
        ):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)
