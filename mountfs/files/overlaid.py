"""Reads and writes a spool file with gaps, which bytes of a revision fill, as one file."""

from __future__ import annotations

import threading
from contextlib import suppress

from mountfs.errors import NoSpace
from mountfs.files.services import Services
from mountfs.model.entry import File
from mountfs.model.ranges import RangeSet
from mountfs.spool.spoolfile import SpoolFile
from mountfs.tree.content import Content
from mountfs.tree.label import GAPPED, NOBODYS, label_of
from mountfs.tree.node import State
from mountfs.tree.overlay import Overlay

PAGE_BYTES = 4096
"""The least that a file takes of the disk. posix_fallocate(3) writes one byte of each."""

Piece = bytes | tuple[int, int]
"""Bytes of the spool file, or a range [start, stop) to be read from the revision."""


def pieces(spool_file: SpoolFile, overlay: Overlay, offset: int, length: int) -> list[Piece]:
    """A range of the file as pieces, in order. ``joined`` makes bytes of them, without a lock: it may take
    requests."""
    found: list[Piece] = []
    stop = offset + length
    with overlay.lock:
        for low, high in overlay.missing.within(offset, stop):
            if offset < low:
                found.append(spool_file.pread(offset, low - offset))
            found.append((low, high))
            offset = high
        if offset < stop:
            found.append(spool_file.pread(offset, stop - offset))
    return found


def present(overlay: Overlay | None, size_bytes: int) -> RangeSet:
    """Which of the first *size_bytes* are in the spool file; *overlay*: None: all."""
    return RangeSet([(0, size_bytes)] if overlay is None else overlay.missing.gaps(0, size_bytes))


def joined(services: Services, file: File, found: list[Piece]) -> bytes:
    """The bytes of the pieces *found*; ranges are read from the revision *file*. Errors of the reader."""
    read = services.reader.read
    return b"".join(
        each if isinstance(each, bytes) else read(file, each[0], each[1] - each[0]) for each in found
    )


def new_bytes(
    lock: threading.RLock, written: RangeSet, overlay: Overlay | None, size_bytes: int, at: int, length: int
) -> int:
    """How much of the disk a write of *length* bytes *at* an offset of a file of *size_bytes* takes that no
    room is kept for: the pages that have nothing yet. *lock*: guards *written*."""
    low, high = at // PAGE_BYTES, -(-(at + length) // PAGE_BYTES)
    if at >= size_bytes:  # as nearly all do
        return max(0, high - max(low, -(-size_bytes // PAGE_BYTES))) * PAGE_BYTES
    with lock:
        holes = written.gaps(low * PAGE_BYTES, high * PAGE_BYTES)
        if overlay is not None:
            with overlay.lock:
                holes = [hole for each in holes for hole in overlay.missing.gaps(*each)]
    return sum(max(0, stop // PAGE_BYTES - -(-start // PAGE_BYTES)) for start, stop in holes) * PAGE_BYTES


def write(
    services: Services,
    content: Content | None,
    spool_file: SpoolFile,
    overlay: Overlay | None,
    at: int,
    data: bytes,
    size_bytes: int,
) -> None:
    """Writes *data* at the offset *at*, and takes that range out of the gaps. *content*: has the gaps' rows;
    None: the node is gone, and there are no rows. *overlay*: None: the spool file has no gaps. *size_bytes*:
    of the file before; where this fails, nothing lies behind."""
    try:
        if overlay is None:
            spool_file.pwrite(at, data)
            return
        stop = at + len(data)
        with overlay.lock:
            if content is not None:
                services.gaps.save(content)
            spool_file.pwrite(at, data)
            if content is not None:
                services.gaps.written(content, at, stop)
            else:
                overlay.apply(overlay.written(at, stop))
    except BaseException:
        # `dd` goes on behind a block that a full disk took in part: what is between reads as zeros.
        with suppress(OSError, NoSpace):
            spool_file.truncate(size_bytes)
        # Before the end, some of it may be written over what is up already.
        if content is not None:
            services.uploads.truncated(content.id, at)
        raise


def truncate(
    services: Services,
    content: Content | None,
    spool_file: SpoolFile,
    overlay: Overlay | None,
    size_bytes: int,
) -> None:
    """Cuts or extends the file to *size_bytes*; arguments as ``write``."""
    if overlay is None:
        spool_file.truncate(size_bytes)
        return
    with overlay.lock:
        if content is not None and size_bytes > spool_file.size_bytes:
            services.gaps.save(content)
        spool_file.truncate(size_bytes)
        if content is not None:
            services.gaps.cut(content, size_bytes)
        else:
            overlay.apply(overlay.cut(size_bytes))


def label(state: State | None, overlay: Overlay | None) -> str:
    """The label of a spool file that is being written, whose node has *state*; None: the node is gone."""
    if state is None or state.parent is None:
        return NOBODYS
    return label_of(state.parent, state.name, state.kept) if overlay is None else GAPPED
