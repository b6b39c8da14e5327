"""Cached bytes that reads in sequence come to next."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from mountfs.model.entry import File
from mountfs.reading.blocks import Blocks
from mountfs.reading.cachefile import Stored
from mountfs.reading.contentkey import Key, key_of
from mountfs.reading.readahead import Stream

MOST_RUNS = 1024
"""Of revisions that nobody has open any more: such a run costs nothing but its few bytes."""


class Run(NamedTuple):
    """[low, high) of one revision is cached, and a read within it needs neither a plan nor a look at the
    cache. ``stored``: the open cache file; None once it is evicted, since a run does not keep it open."""

    low: int
    high: int
    stored: Callable[[], Stored | None]


class Runs:
    """Of each revision the run that was begun last. Thread-safe without a lock: a run never changes."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._runs: dict[Key, Run] = {}

    def find(self, file: File, offset: int, length: int) -> Stored | None:
        """The open cache file, where all bytes of [offset, offset + length) are in a run of *file*."""
        run = self._runs.get(key_of(file))
        if run is None or not run.low <= offset <= run.high - length:
            return None
        stored = run.stored()
        return None if stored is None or stored.evicted else stored

    def continued(self, file: File, offset: int, streams: Sequence[Stream]) -> Sequence[Stream]:
        """*streams* of *file* for the plan of a read at *offset*: what was read in the run counts as read, if
        this is where it leads to. Else a stream of somebody who read on there before may be nearer."""
        run = self._runs.get(key_of(file))
        if run is None or not streams or streams[0].low != run.low or not run.low < offset <= run.high:
            return streams
        return (replace(streams[0], high=max(streams[0].high, offset)), *streams[1:])

    def begin(self, file: File, low: int, high: int) -> None:
        """The next run is what of [low, high) is cached without a gap from *low* on."""
        stored, length = self._blocks.stored(file, low, high - low)
        if stored is None:
            return
        if len(self._runs) >= MOST_RUNS:
            self._runs.clear()
        self._runs[key_of(file)] = Run(low, low + length, weakref.ref(stored))

    def end(self, file: File) -> None:
        """Nobody has *file* open any more."""
        self._runs.pop(key_of(file), None)
