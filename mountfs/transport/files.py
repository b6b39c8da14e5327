"""Pending files as the network process reads them: by their paths, each read with an open of its own."""

from __future__ import annotations

import os
from functools import partial

from mountfs.model.pendingbytes import read_pending
from mountfs.model.source import Source


def source_at(path: str) -> Source:
    """The file at *path*, whatever is there when it is read; "": no file."""
    return Source(path, partial(read_pending, _read, path))


def _read(path: str, offset: int, length: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        body = os.pread(fd, length, offset)
        if len(body) == length or not body:
            return body
        # One pread(2) gives at most 2 GiB, and may give less; the end of the file is where it gives nothing.
        pieces = [body]
        while (missing := length - sum(map(len, pieces))) and (
            piece := os.pread(fd, missing, offset + length - missing)
        ):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)
