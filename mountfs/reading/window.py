"""How far ahead of a read is fetched at most, as the cache and other readers have it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from mountfs.model.entry import File
from mountfs.reading.blocks import Blocks
from mountfs.reading.contentkey import Key, key_of
from mountfs.reading.fetch import Fetch
from mountfs.reading.limits import LEAST_BYTES
from mountfs.reading.readahead import (
    BEGUN_WINDOW_BYTES,
    FAST_WINDOW_BYTES,
    FREE_WINDOW_BYTES,
    LIVE_READS,
    MOST_WINDOW_BYTES,
    Stream,
    places,
)

WINDOW_S = 1.0
"""What the link delivers in this time is fetched ahead at most: longer than the delay of any link that is fit
for work. More would keep what is wanted next waiting for what is wanted later, as they share the line."""
SLOWED = 4
"""A window that grew while the link was faster is cut to what comes in so many times that time. A rate goes
up and down, and a window that was cut too far has to grow again."""
URGED_S = 0.25
"""What it delivers in this time is fetched of a file of which more is asked for before its beginning has
come: as much as can be here before what is asked for then. Who stops after a MiB, as file(1) does, has no
more fetched for nothing; over a link of 8 MB/s it is nothing at all."""
PART_OF_CACHE = 8
"""A window takes no more than this part of the cache. Of a file that is larger than the cache all goes at
once, also what was fetched ahead and not read yet: with a half, 1.5 times the file's bytes were fetched."""
PART_TOGETHER = 4
"""Nor do all windows together take more than this one. Four files that were read side by side, with half of
the cache for each, were fetched twice and more; 20 places of one that was read in a cache of 64 MiB, with
FREE_WINDOW_BYTES for each, 26 times."""
PART_OF_SIBLING = 64
"""Of small files up to so many are fetched ahead of a program: one that is larger than this part of the cache
would make room for the next ones, and be fetched again."""


def least_ahead_bytes(blocks: Blocks, key: Key, readers: int) -> int:
    """However slow the link is, and however little the disk leaves of the cache; *readers* as below. Of what
    is pinned it is more: that is kept however small the cache is."""
    if blocks.may_keep(key, blocks.limit_bytes + 1):
        return FREE_WINDOW_BYTES
    return min(FREE_WINDOW_BYTES, min(blocks.limit_bytes, LEAST_BYTES) // PART_TOGETHER // readers)


def is_kept(blocks: Blocks, file: File) -> bool:
    """Whether a file that is fetched before anybody reads it is still there when somebody does."""
    return blocks.may_keep(key_of(file), PART_OF_SIBLING * file.size_bytes)


def most_ahead_bytes(blocks: Blocks, key: Key, readers: int, *, is_direct: bool) -> int:
    """For *key*, at one of *readers* places that are read ahead. *is_direct*: the bytes pass through nobody's
    memory."""
    is_short = blocks.is_short
    held_bytes = blocks.limit_bytes
    if is_short:
        held_bytes = min(held_bytes, max(LEAST_BYTES, blocks.used_bytes))
    most_bytes = FAST_WINDOW_BYTES if is_direct and not is_short else MOST_WINDOW_BYTES
    share_bytes = min(held_bytes // PART_OF_CACHE, held_bytes // PART_TOGETHER // readers)
    return max(least_ahead_bytes(blocks, key, readers), min(most_bytes, share_bytes))


def grown(most_bytes: int, link_bytes_s: float) -> int:
    """How large a window gets of who had to wait for it."""
    return max(min(FREE_WINDOW_BYTES, most_bytes), int(min(most_bytes, link_bytes_s * WINDOW_S)))


def urged(most_bytes: int, link_bytes_s: float) -> int:
    """How large the window is of who asks for more before the beginning has come."""
    return max(BEGUN_WINDOW_BYTES, int(min(most_bytes, link_bytes_s * URGED_S)))


def still(most_bytes: int, link_bytes_s: float) -> int:
    """How large a window stays that had grown before. A link that was not measured yet cuts none."""
    return grown(most_bytes, SLOWED * link_bytes_s) if link_bytes_s else most_bytes


class ReadAhead:
    """Which contents are read ahead side by side; guarded by the reader's lock."""

    def __init__(self) -> None:
        self._reads: OrderedDict[Key, tuple[int, int]] = OrderedDict()
        """By content, the number of the last read that something was ahead of, and at how many places the
        content is read; in the order of these numbers."""
        self._number = 0

    def read(self, key: Key, streams: Sequence[Stream]) -> None:
        """Something is to be fetched ahead of a read of *key*, whose *streams* these are."""
        self._number += 1
        self._reads[key] = self._number, places(streams)
        self._reads.move_to_end(key)
        while next(iter(self._reads.values()))[0] <= self._number - LIVE_READS:
            self._reads.popitem(last=False)

    def left(self, key: Key) -> None:
        """Nobody has it open any more, or it was read to its end."""
        self._reads.pop(key, None)

    def readers(self, key: Key, streams: Sequence[Stream], fetches: Mapping[Key, Sequence[Fetch]]) -> int:
        """How many places are read ahead: those of *key*, whose *streams* these are, and those of the other
        contents that were read a moment ago, or of which something is under way that was asked for ahead."""
        under_way = sum(each != key and of_it[0].is_ahead for each, of_it in fetches.items())
        others = sum(count for each, (_, count) in self._reads.items() if each != key)
        return places(streams) + max(under_way, others)
