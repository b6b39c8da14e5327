"""Which bytes of a spool file are still to come from the revision that it was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock

from mountfs.model.entry import File
from mountfs.model.ranges import RangeSet

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of an overlay: in one of its two sets the ranges ``old`` become ``new``. ``is_written``: the
    set is ``unsynced``, else it is ``missing``.

    A write of [4, 8) into a file that lacks [0, 100) makes two: in ``missing`` [0, 100) becomes [0, 4) and
    [8, 100); in ``unsynced`` nothing becomes [4, 8).
    """

    is_written: bool
    old: tuple[Range, ...]
    new: tuple[Range, ...]


class Overlay:
    """The gaps of a spool file that was begun from the revision *file*.

    ``missing``: in these ranges the spool file has a hole, and the bytes are those of the revision.
    ``unsynced``: these ranges were missing; a program has written them since, or the filler has fetched them.
    They survive the process, but perhaps no power loss: after one they count as missing again. Ranges behind
    the end of the revision are in neither set: `echo x >> log` adds to none.

    ``lock`` is held from the write of some bytes until their range has left ``missing``. So the filler never
    writes fetched bytes over what a program has just written. The account's lock may be taken inside it.
    ``apply`` needs both locks; to read the sets either one is enough.

    ``unsaved``: edits of a cut that the sets have and the rows do not, since the store failed. Guarded by the
    account's lock.
    """

    __slots__ = ("file", "lock", "missing", "missing_bytes", "unsaved", "unsynced")

    def __init__(self, file: File, missing: Iterable[Range] = (), unsynced: Iterable[Range] = ()) -> None:
        self.file = file
        self.lock = Lock()
        self.missing = RangeSet(missing)
        self.unsynced = RangeSet(unsynced)
        self.missing_bytes = self.missing.total_bytes
        self.unsaved: list[Edit] = []

    # Edits, for the store first and then for ``apply``

    def written(self, start: int, stop: int) -> list[Edit]:
        """The edits once the bytes [start, stop) are in the spool file; none if none of them was missing."""
        pieces = self.missing.within(start, stop)
        if not pieces:
            return []

        def add(ranges: RangeSet) -> None:
            for low, high in pieces:
                ranges.add(low, high)

        span = pieces[0][0], pieces[-1][1]
        return [
            _edit(False, self.missing, span, lambda ranges: ranges.remove(*span)),
            _edit(True, self.unsynced, span, add),
        ]

    def cut(self, size_bytes: int) -> list[Edit]:
        """The edits once the file was cut or extended to *size_bytes*. What lies behind that is the
        revision's no more: cut to 0 and extended again, a file has zeros."""
        end = max(self.file.size_bytes, size_bytes)
        sets = ((False, self.missing), (True, self.unsynced))
        edits = [
            _edit(is_written, ranges, (size_bytes, end), lambda part: part.truncate(size_bytes))
            for is_written, ranges in sets
        ]
        return [edit for edit in edits if edit.old != edit.new]

    def synced(self, ranges: Iterable[Range]) -> list[Edit]:
        """The edits once *ranges* survive power loss. Those may have become one since, by what was written
        between them, which does not survive yet: so it is one edit."""
        synced = RangeSet(ranges)
        span = next(iter(synced), (0, 0))[0], max((stop for _, stop in synced), default=0)

        def remove(part: RangeSet) -> None:
            for low, high in synced:
                part.remove(low, high)

        return [_edit(True, self.unsynced, span, remove)]

    def lost(self) -> list[Edit]:
        """The edits after a power loss: what was unsynced is missing again."""
        unsynced = list(self.unsynced)
        if not unsynced:
            return []
        both = RangeSet([*self.missing, *unsynced])
        return [Edit(True, tuple(unsynced), ()), Edit(False, tuple(self.missing), tuple(both))]

    def apply(self, edits: Iterable[Edit]) -> None:
        """Changes the sets. The store has *edits* already; both locks are held."""
        for edit in edits:
            ranges = self.unsynced if edit.is_written else self.missing
            for start, stop in edit.old:
                ranges.remove(start, stop)
            for start, stop in edit.new:
                ranges.add(start, stop)
            if not edit.is_written:
                self.missing_bytes += _bytes(edit.new) - _bytes(edit.old)

    # Copies

    def first(self, size_bytes: int) -> Overlay:
        """The overlay of a copy of the first *size_bytes* of this one's spool file."""
        return Overlay(self.file, self.missing.within(0, size_bytes))


def _edit(is_written: bool, ranges: RangeSet, span: Range, change: Callable[[RangeSet], None]) -> Edit:
    """What *change* does to *ranges*, as an edit; *change* touches nothing outside of *span*."""
    old = ranges.touching(*span)
    part = RangeSet(old)
    change(part)
    return Edit(is_written, tuple(old), tuple(part))


def _bytes(ranges: Iterable[Range]) -> int:
    return sum(stop - start for start, stop in ranges)
