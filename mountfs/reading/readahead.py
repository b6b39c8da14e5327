"""How far to read ahead: pure, from where the last reads of a file ended."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB

WHOLE_FILE_BYTES = MIB
"""Files up to this size are fetched whole: one round trip costs more than their bytes."""
BLOCK_BYTES = 128 * KIB
"""The largest read the kernel sends through libfuse 2; a fetch begins and ends on its multiples."""
FIRST_WINDOW_BYTES = 256 * KIB
MOST_WINDOW_BYTES = 16 * MIB
"""A tenth of a second, a usual round trip, at about 150 MB/s."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Where the reads of one file got to, and how far ahead of them is worth fetching."""

    next_offset: int = 0
    window_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to fetch if it is missing: [start, stop) before answering, [stop, ahead_stop) meanwhile."""

    stream: Stream
    start: int
    stop: int
    ahead_stop: int


def plan(stream: Stream, offset: int, length: int, size_bytes: int) -> Plan:
    """For a read of [offset, offset + length) of a file of *size_bytes*, which must hold *offset*.

    The window doubles while reads follow each other and closes on a seek. The kernel's own readahead
    sends reads side by side, so a read is in sequence when it begins within a window of the last end.
    """
    end = min(offset + length, size_bytes)
    if size_bytes <= WHOLE_FILE_BYTES:
        return Plan(Stream(end, 0), 0, size_bytes, size_bytes)
    start = offset // BLOCK_BYTES * BLOCK_BYTES
    slack_bytes = max(stream.window_bytes, BLOCK_BYTES)
    if not stream.next_offset - slack_bytes <= offset <= stream.next_offset + slack_bytes:
        stop = _rounded_up(end, size_bytes)
        return Plan(Stream(end, 0), start, stop, stop)
    reached = max(end, stream.next_offset)
    window_bytes = stream.window_bytes
    if end > stream.next_offset or not window_bytes:
        window_bytes = min(max(2 * window_bytes, FIRST_WINDOW_BYTES), MOST_WINDOW_BYTES)
    stop = _rounded_up(end, size_bytes)
    ahead_stop = _rounded_up(reached + window_bytes, size_bytes)
    return Plan(Stream(reached, window_bytes), start, stop, max(stop, ahead_stop))


def _rounded_up(offset: int, size_bytes: int) -> int:
    return min(-(-offset // BLOCK_BYTES) * BLOCK_BYTES, size_bytes)
