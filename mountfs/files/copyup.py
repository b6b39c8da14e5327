"""Room for what is written, and the copy that the first write to a version begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mountfs.errors import TooLarge, Transient
from mountfs.files import overlaid
from mountfs.files.services import Services
from mountfs.model.entry import File
from mountfs.spool.spoolfile import SpoolFile
from mountfs.tree.content import Content
from mountfs.tree.label import NOBODYS
from mountfs.tree.node import Node
from mountfs.tree.overlay import Overlay

COPY_BYTES = 4 * 1024 * 1024
"""Read and written at once, where a copy is made by reading."""

EXTENDED_FROM_BYTES = 1024 * 1024
"""A smaller pending file is copied when something is added to it: that costs less than a second name."""


def check_size(services: Services, size_bytes: int) -> None:
    """TooLarge: the service takes no file of *size_bytes*."""
    most_bytes = services.limits.max_file_bytes
    if size_bytes > most_bytes:
        raise TooLarge(f"the service takes files up to {most_bytes} bytes")


def admit(services: Services, growth_bytes: int, written_bytes: int | None = None) -> None:
    """Lets a file grow by *growth_bytes*, where *written_bytes* are written to what the local disk has not
    got of it yet; None: all of it. Waits while the local disk fills up. NoSpace: the account or the disk has
    no room."""
    services.room.take(growth_bytes)
    wait_s = services.spool.admit(growth_bytes if written_bytes is None else written_bytes)
    if wait_s > 0:
        services.pause(wait_s)


def begun_from_revision(services: Services, file: File, kept_bytes: int) -> tuple[SpoolFile, Overlay | None]:
    """A new spool file for the first *kept_bytes* of the revision *file*, and its overlay.

    `dd conv=notrunc of=big` writes 4 KiB into a large file: its spool file begins as one hole, and the
    overlay says that the bytes of the revision belong there. The filler fetches them later. So few bytes that
    one request has them are fetched at once (no overlay), unless the service does not answer.
    """
    if services.reader.is_small(kept_bytes):
        try:
            return _fetched(services, file, kept_bytes), None
        except Transient:
            pass
    return _laid_over(services, Overlay(file, [(0, kept_bytes)]), kept_bytes)


def begun_from_pending(
    services: Services, spool_file: SpoolFile, overlay: Overlay | None, kept_bytes: int
) -> tuple[SpoolFile, Overlay | None]:
    """A new spool file with a copy of the first *kept_bytes* of *spool_file*. Where *spool_file* still has
    gaps over a revision, the copy has the same ones."""
    if overlay is not None:
        with overlay.lock:
            overlay = overlay.first(kept_bytes)
    if overlay is None or not overlay.missing:
        return _copied(services, spool_file, kept_bytes), None
    copy, overlay = _laid_over(services, overlay, kept_bytes)
    with discarded_on_errors(services, copy):
        spool_file.copy_ranges_into(copy, overlay.missing.gaps(0, kept_bytes))
    return copy, overlay


def begun_behind(
    services: Services,
    node: Node,
    content: Content | None,
    spool_file: SpoolFile,
    overlay: Overlay | None,
    size_bytes: int,
) -> SpoolFile | None:
    """*spool_file* with its *size_bytes*, the bytes of *content*, under another name, for a version of *node*
    that adds bytes behind them and changes none; None: it has to be copied."""
    is_whole = overlay is None or not overlay.missing
    label = overlaid.label(node.state, None)
    if content is None or not is_whole or size_bytes < EXTENDED_FROM_BYTES or label == NOBODYS:
        return None
    # First its row, then the label: until the second name has a row, a start takes it for what the label says
    # was closed, shows that beside the file, and cuts both to its size.
    if not services.changes.is_newest(content):
        return None
    if not spool_file.label(label) and services.spool.label_of(spool_file.name) is not None:
        return None
    try:
        return services.spool.extend(spool_file, size_bytes)
    except FileNotFoundError:
        return None


def keep_synced(services: Services, copy: SpoolFile) -> None:
    """*copy* takes the place of bytes that may be synced: it is, too, before those go. Discards it on
    errors."""
    with discarded_on_errors(services, copy):
        services.spool.fdatasync(copy.name)
        services.spool.sync_directory()


def begun_for_nobody(
    services: Services, spool_file: SpoolFile, overlay: Overlay | None, size_bytes: int
) -> tuple[SpoolFile, Overlay | None]:
    """As ``begun_from_pending``, where a crash takes the copy away until it has a name."""
    services.room.take(size_bytes)
    copy, overlay = begun_from_pending(services, spool_file, overlay, size_bytes)
    copy.label(NOBODYS)
    return copy, overlay


def completed(
    services: Services, begun: tuple[SpoolFile, Overlay | None] | None, file: File | None, size_bytes: int
) -> tuple[SpoolFile, int]:
    """A new spool file with *size_bytes*, and how many there were: of the copy *begun*, or else of the
    revision *file*. Takes requests."""
    if begun is None:
        assert file is not None
        return _begun_by_reading(services, file, size_bytes)
    copy, overlay = begun
    if overlay is not None:
        _fill(services, copy, overlay)
    return copy, size_bytes


def _begun_by_reading(services: Services, file: File, size_bytes: int) -> tuple[SpoolFile, int]:
    """A new spool file with the first *size_bytes* of the revision *file*, and how many there were."""
    services.room.take(size_bytes)
    with _begun(services) as copy:
        return copy, _read_into(services, file, copy, 0, size_bytes)


def _fill(services: Services, copy: SpoolFile, overlay: Overlay) -> None:
    """Fetches what *copy*, which has no rows yet, lacks of the revision. Discards it on errors."""
    with discarded_on_errors(services, copy):
        for start, stop in overlay.missing:
            _read_into(services, overlay.file, copy, start, stop)


def _read_into(services: Services, file: File, copy: SpoolFile, start: int, stop: int) -> int:
    at = start
    while piece := services.reader.read(file, at, min(COPY_BYTES, stop - at)):
        services.spool.admit(len(piece))
        copy.pwrite(at, piece)
        at += len(piece)
    return at


def _fetched(services: Services, file: File, kept_bytes: int) -> SpoolFile:
    admit(services, kept_bytes)
    with _begun(services) as copy:
        services.reader.copy_into(file, copy, kept_bytes)
    return copy


def _laid_over(services: Services, overlay: Overlay, size_bytes: int) -> tuple[SpoolFile, Overlay]:
    services.room.take(size_bytes)
    services.spool.reserve(size_bytes)
    with _begun(services) as spool_file:
        spool_file.truncate(size_bytes)
    return spool_file, overlay


def _copied(services: Services, spool_file: SpoolFile, kept_bytes: int) -> SpoolFile:
    try:
        return services.spool.copy(spool_file.name, kept_bytes, NOBODYS)
    except FileNotFoundError:
        pass  # committed meanwhile, and moved into the cache: the open descriptor still reads the bytes
    services.room.take(kept_bytes)
    with _begun(services) as copy:
        spool_file.copy_into(copy, kept_bytes, services.spool.admit)
    return copy


@contextmanager
def _begun(services: Services) -> Iterator[SpoolFile]:
    """A new spool file, which is gone if what is done with it fails. A crash takes it away, too, until a file
    has it: by its first write, by a name, or by rows."""
    copy = services.spool.create()
    with discarded_on_errors(services, copy):
        copy.label(NOBODYS)
        yield copy


@contextmanager
def discarded_on_errors(services: Services, spool_file: SpoolFile) -> Iterator[None]:
    """Around what *spool_file*, which no row names, is made for."""
    try:
        yield
    except BaseException:
        discard(services, spool_file)
        raise


def discard(services: Services, spool_file: SpoolFile) -> None:
    """Removes a spool file that no row names."""
    spool_file.close()
    services.spool.remove(spool_file.name)
