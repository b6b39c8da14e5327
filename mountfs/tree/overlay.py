"""Bytes of ours over a revision of the service: which of a spool file's bytes are not in it yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock

from mountfs.model.entry import File
from mountfs.model.ranges import RangeSet

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Edit:
    """How one of the two sets of an overlay changes in one place: the ranges *old* become *new*.
    ``is_written``: of ``unsynced``, else of ``missing``."""

    is_written: bool
    old: tuple[Range, ...]
    new: tuple[Range, ...]


class Overlay:
    """What a spool file lacks of the revision *file*, which its bytes lie over.

    ``missing``: these bytes are those of the revision; the spool file has a hole there. ``unsynced``: these
    were missing and are in the spool file by now, written by a program or fetched. They survive the
    process, but perhaps no power loss, after which they count as missing again. Bytes from the end of the
    revision on are never in either: `echo x >> log` makes none.

    ``lock`` is held while bytes are written together with their ranges, so that what is fetched never covers
    what a program has just written. The account's lock may be taken inside it. Both are held for ``apply``;
    either is enough to look.
    """

    __slots__ = ("file", "lock", "missing", "missing_bytes", "unsynced")

    def __init__(self, file: File, missing: Iterable[Range] = (), unsynced: Iterable[Range] = ()) -> None:
        self.file = file
        self.lock = Lock()
        self.missing = RangeSet(missing)
        self.unsynced = RangeSet(unsynced)
        self.missing_bytes = self.missing.total_bytes

    # What is to change, and the change

    def written(self, start: int, stop: int) -> list[Edit]:
        """The bytes [start, stop) are in the spool file; nothing if none of them was missing."""
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
        """The file ends at *size_bytes*; what it is given behind that is not the revision's."""
        end = max(self.file.size_bytes, size_bytes)
        sets = ((False, self.missing), (True, self.unsynced))
        edits = [
            _edit(is_written, ranges, (size_bytes, end), lambda part: part.truncate(size_bytes))
            for is_written, ranges in sets
        ]
        return [edit for edit in edits if edit.old != edit.new]

    def synced(self, ranges: Iterable[Range]) -> list[Edit]:
        """What of *ranges* was unsynced survives power loss."""
        return [
            _edit(True, self.unsynced, each, lambda part, each=each: part.remove(*each))  # type: ignore[misc]
            for each in ranges
        ]

    def lost(self) -> list[Edit]:
        """A power loss may have taken what is unsynced."""
        unsynced = list(self.unsynced)
        if not unsynced:
            return []
        both = RangeSet([*self.missing, *unsynced])
        return [Edit(True, tuple(unsynced), ()), Edit(False, tuple(self.missing), tuple(both))]

    def apply(self, edits: Iterable[Edit]) -> None:
        """Both locks are held, and the store has them."""
        for edit in edits:
            ranges = self.unsynced if edit.is_written else self.missing
            for start, stop in edit.old:
                ranges.remove(start, stop)
            for start, stop in edit.new:
                ranges.add(start, stop)
            if not edit.is_written:
                self.missing_bytes += _bytes(edit.new) - _bytes(edit.old)

    # Others over the same revision

    def first(self, size_bytes: int) -> Overlay:
        """Of a spool file that has what this one has of the first *size_bytes*."""
        return Overlay(self.file, self.missing.within(0, size_bytes))


def _edit(is_written: bool, ranges: RangeSet, span: Range, change: Callable[[RangeSet], None]) -> Edit:
    """What *change* does to *ranges*, which is only at *span*."""
    old = ranges.touching(*span)
    part = RangeSet(old)
    change(part)
    return Edit(is_written, tuple(old), tuple(part))


def _bytes(ranges: Iterable[Range]) -> int:
    return sum(stop - start for start, stop in ranges)
