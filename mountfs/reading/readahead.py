"""How far to read ahead: pure, from where the last reads of a file got to.

A file may be read at several places at once, by several handles or by one program that goes back and forth
(a video and its sound, a database): each place is a *stream* with a window of its own. A stream goes forward,
or backward as `tac` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mountfs.model.blocksums import BLOCK_BYTES

KIB = 1024
MIB = 1024 * KIB

WHOLE_FILE_BYTES = MIB
"""Files up to this size are fetched whole: one round trip costs more than their bytes."""
FIRST_WINDOW_BYTES = 256 * KIB
BEGUN_WINDOW_BYTES = 2 * MIB - 2 * BLOCK_BYTES
"""The window of the first two reads of who begins a file with as much as the kernel asks for at once: `cp`,
`cat` and players read on, and 2 MiB are here after one round trip. Who looks at a header reads less. It is
larger where more is asked for before any has come and the link is known to be fast (``window.urged``)."""
HEADER_BYTES = 32 * KIB
"""Who has read no more than this, and from the beginning, may be done: a file manager or a viewer that wants
to know what a file is reads 4 or 8 KiB, of which the kernel makes 16. A second request for each file of a
folder would be for nothing; who reads on waits one round trip more."""
FREE_WINDOW_BYTES = 4 * MIB
"""A window grows up to here with each read in sequence; beyond it, once a read had to wait for what was asked
for ahead. Then it is as large as the link allows at once: each step would cost a round trip."""
GROWTH = 4
"""So much larger a window gets: from the first to FREE_WINDOW_BYTES it takes three reads."""
TIMES_READ = 4
"""And no larger than so many times what was read in sequence. Of a part of 200 KiB that a program reads of an
archive, the kernel makes four reads of up to 128 KiB; of small ones it makes 16, 32, 64 and 128 KiB."""
LOOK_BYTES = 3 * MIB // 2
"""So much is read in sequence before a window grows beyond FREE_WINDOW_BYTES: a picture, or a part of an
archive, is no more than a look at a large file. Who begins a file in large pieces has as much after one round
trip, so that his window opens no later."""
MOST_WINDOW_BYTES = 32 * MIB
"""Where bytes pass through the reader: so much memory is taken while all of it is under way."""
FAST_WINDOW_BYTES = 192 * MIB
"""Where they do not: what 1 GB/s deliver in 100 ms, and as much again, or the reader would have got through
what is here before more of it has come. Requests begun together end together, too: the next ones must be on
their way then, or nothing comes for a round trip. With 128 MiB 512 MiB took a tenth longer."""
PIECES = 8
"""So many requests a large window is made of; all of them are under way at once. Twelve took a twelfth more
of the network process's time: its threads have the interpreter to share."""
LEAST_PIECE_BYTES = 4 * MIB
MOST_PIECE_BYTES = 24 * MIB
"""Each request costs both processes 0.5 to 2 ms, and a round trip in which nothing comes. The reader waits
for all of one, so that larger ones would keep him waiting where the window is not larger as well."""
LONGER_BYTES = 4 * MIB
"""So much longer than the one before it is each piece of a large window that begins. They share the link from
the same moment on: of equal ones all end at once, the reader gets on by none until then, and nothing comes
for a round trip when they have ended. Twice as long each time, the last four would be as good as equal."""
LEAST_LAST_BYTES = 8 * MIB
"""Towards the end of the file. With shorter ones a fast link is idle: PIECES of them are less than what it
delivers in a round trip and while the next ones are asked for."""
RUN_BYTES = 2 * MIB
"""So far reads in sequence get without a plan: nearly all of a read's cost but the copy is the plan's."""
RUNS_OF_WINDOW = 8
"""And no further than this part of the window, or what is due would be asked for late."""
MOST_STREAMS = 32
"""Of one file. A web server reads a film at as many places as people watch it. Who has no stream has each of
his reads taken for a seek, which costs a request for each and calls off what others are about to read."""
MOST_ONCE = 8
"""Of places that were read once, a read may also go on nearby, and backward, from the last ones alone: each
read of a database looks through all of them, without end. From the others it goes on exactly where the one
before it ended, as those do that take turns."""

LIVE_READS = 2 * MOST_STREAMS
"""A place is read on as long as one of so many reads of the file was there; so is a file among others."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A place at which a file is read: [low, high) was read last. ``window_bytes``: how far ahead of it is
    worth fetching; 0 for a place that was read once. ``since``: where its first read began; of one that goes
    backward, where that ended. ``turn``: the last read here was the file's read of that number."""

    low: int = 0
    high: int = 0
    window_bytes: int = 0
    is_backward: bool = False
    since: int = 0
    turn: int = field(default=0, compare=False)

    @property
    def read_bytes(self) -> int:
        """How much was read in sequence."""
        return self.since - self.low if self.is_backward else self.high - self.since

    @property
    def is_look(self) -> bool:
        """Whether the program may be done after a look at this place."""
        return self.read_bytes <= LOOK_BYTES


@dataclass(frozen=True, slots=True)
class Plan:
    """What to fetch if it is missing: [start, stop) before answering, [ahead_start, ahead_stop) meanwhile.

    ``streams``: of the file from here on, the last one first. ``is_seek``: the read belongs to no stream, so
    what was asked for ahead and is not under way yet may not be wanted any more. ``is_settled``: after a seek
    the very next read went on from there, so the program has left the other places, as a player does.
    """

    streams: tuple[Stream, ...]
    start: int
    stop: int
    ahead_start: int
    ahead_stop: int
    is_seek: bool = False
    is_settled: bool = False

    def leaves_rest(self, size_bytes: int) -> bool:
        """Whether the end of what is ahead may wait: the reader does not come to it first, nor does the file
        of *size_bytes* end there."""
        return self.stop <= self.ahead_start and self.ahead_stop < size_bytes

    def narrowed(self, most_bytes: int) -> Plan:
        """The same with at most so much ahead, in whole blocks: what the read comes to first."""
        most_bytes = most_bytes // BLOCK_BYTES * BLOCK_BYTES
        if self.ahead_stop - self.ahead_start <= most_bytes:
            return self
        if self.ahead_stop <= self.start:
            return replace(self, ahead_start=self.ahead_stop - most_bytes)
        return replace(self, ahead_stop=self.ahead_start + most_bytes)

    @property
    def run_bytes(self) -> int:
        """So far beyond this read the next ones need no plan: they would belong to its stream, whose window
        they would not change. 0: the next read is to be planned, too."""
        if self.is_seek or not self.streams or self.streams[0].is_backward:
            return 0
        window_bytes = self.streams[0].window_bytes
        return min(RUN_BYTES, window_bytes // RUNS_OF_WINDOW) if window_bytes >= FREE_WINDOW_BYTES else 0


AT_THE_BEGINNING: tuple[Stream, ...] = (Stream(),)
"""Of a file that was not read yet: a read of its beginning is in sequence."""


def plan(
    streams: Sequence[Stream],
    offset: int,
    length: int,
    size_bytes: int,
    *,
    most_bytes: int = FREE_WINDOW_BYTES,
    begun_bytes: int = BEGUN_WINDOW_BYTES,
) -> Plan:
    """For a read of [offset, offset + length) of a file of *size_bytes*, which must hold *offset*.
    *most_bytes*: up to where a window may grow; more than FREE_WINDOW_BYTES once an earlier read waited for
    what was asked for ahead. *begun_bytes*: the window of who begins the file in large pieces.

    The kernel's own readahead sends reads side by side, so a read is in sequence when it begins within a
    window of where the last one ended; not within a large one, or each small read here and there of a program
    that once read on would have as much fetched as the link delivers in a second.
    """
    end = min(offset + length, size_bytes)
    if size_bytes <= WHOLE_FILE_BYTES:
        return Plan(tuple(streams), 0, size_bytes, size_bytes, size_bytes)
    start = offset // BLOCK_BYTES * BLOCK_BYTES
    stop = _rounded_up(end, size_bytes)
    turn = streams[0].turn + 1 if streams else 0
    before = _nearest(streams, offset, end)
    if before is None:
        read_on = [stream for stream in streams if stream.window_bytes]
        once = [stream for stream in streams if not stream.window_bytes]
        others = (read_on + once)[: MOST_STREAMS - 1]
        here = Stream(offset, end, since=offset, turn=turn)
        return Plan((here, *others), start, stop, stop, stop, is_seek=True)
    after = replace(_continued(before, offset, end, most_bytes, begun_bytes), turn=turn)
    is_settled = not before.window_bytes and before is streams[0] and len(streams) > 1
    kept = (after, *(stream for stream in streams if stream is not before))
    if after.is_backward:
        ahead_start = max(0, after.low - after.window_bytes) // BLOCK_BYTES * BLOCK_BYTES
        return Plan(kept, start, stop, min(ahead_start, start), start, is_settled=is_settled)
    ahead_stop = max(stop, _rounded_up(after.high + after.window_bytes, size_bytes))
    if 2 * (size_bytes - ahead_stop) <= after.window_bytes:
        ahead_stop = size_bytes  # or the last requests would be made when all others have ended
    return Plan(kept, start, stop, stop, ahead_stop, is_settled=is_settled)


def piece_bytes(window_bytes: int) -> int:
    """How much of a window one request fetches: whole blocks."""
    piece = window_bytes // PIECES // BLOCK_BYTES * BLOCK_BYTES
    return max(LEAST_PIECE_BYTES, min(piece, MOST_PIECE_BYTES))


def cut(
    ranges: Sequence[tuple[int, int]], first_bytes: int, most_bytes: int, size_bytes: int
) -> list[tuple[int, int]]:
    """*ranges* in pieces, each of which is longer than the one before, up to *most_bytes*. Side by side they
    share the link: so they come one after another, and not all at once. Towards the end of the file, of
    *size_bytes*, they are short again: what comes last is read while nothing else is left to do."""
    pieces: list[tuple[int, int]] = []
    for low, high in ranges:
        at = low
        while at < high:
            last_bytes = max(LEAST_LAST_BYTES, piece_bytes(size_bytes - at))
            pieces.append((at, min(at + min(first_bytes, last_bytes), high)))
            at = pieces[-1][1]
            first_bytes = min(first_bytes + LONGER_BYTES, most_bytes)
    return pieces


def places(streams: Sequence[Stream]) -> int:
    """At how many places a file is read on side by side; at one at least."""
    return max(1, sum(each.window_bytes > 0 and each.turn > streams[0].turn - LIVE_READS for each in streams))


def is_near(stream: Stream, start: int, stop: int) -> bool:
    """Whether a read that goes on from *stream* soon comes to [start, stop)."""
    return stop > stream.low - FREE_WINDOW_BYTES and start < stream.high + FREE_WINDOW_BYTES


def alone(offset: int, end: int, size_bytes: int) -> Plan:
    """For a read of [offset, end) that says nothing of others: the blocks that it touches."""
    start, stop = offset // BLOCK_BYTES * BLOCK_BYTES, _rounded_up(end, size_bytes)
    return Plan((), start, stop, stop, stop)


def _nearest(streams: Sequence[Stream], offset: int, end: int) -> Stream | None:
    """The stream that a read of [offset, end) belongs to."""
    found: Stream | None = None
    nearest = -1
    once = 0
    for stream in streams:
        if not stream.window_bytes and (once := once + 1) > MOST_ONCE:
            if stream.high == offset:
                return stream
            continue
        if offset > stream.high + FREE_WINDOW_BYTES or end < stream.low - FREE_WINDOW_BYTES:
            continue  # as most are
        slack = min(max(stream.window_bytes, BLOCK_BYTES), FREE_WINDOW_BYTES)
        distance = abs(end - stream.low) if stream.is_backward else abs(offset - stream.high)
        if not stream.window_bytes:
            distance = min(distance, abs(end - stream.low))  # it may yet go either way
        if distance <= slack and (found is None or distance < nearest):
            found, nearest = stream, distance
    return found


def _continued(stream: Stream, offset: int, end: int, most_bytes: int, begun_bytes: int) -> Stream:
    is_first = not stream.window_bytes
    is_backward = end <= stream.low + BLOCK_BYTES and offset < stream.low if is_first else stream.is_backward
    gets_on = offset < stream.low if is_backward else end > stream.high
    after = stream
    if gets_on and is_backward:
        since = stream.high if is_first else stream.since
        after = replace(stream, low=offset, high=max(end, offset), is_backward=True, since=since)
    elif gets_on:
        after = replace(stream, low=offset, high=end, is_backward=False)
    if is_first and offset == 0 and end <= HEADER_BYTES:
        return after
    return (
        replace(after, window_bytes=_window_bytes(stream, after, most_bytes, begun_bytes))
        if is_first or gets_on
        else after
    )


def _window_bytes(before: Stream, after: Stream, most_bytes: int, begun_bytes: int) -> int:
    """How far ahead is fetched of a stream whose place was *before*, and is *after*."""
    window_bytes = before.window_bytes
    if begins(after.low, after.high):
        return max(window_bytes, begun_bytes)
    if window_bytes > FIRST_WINDOW_BYTES and most_bytes > FREE_WINDOW_BYTES and not after.is_look:
        grown = most_bytes
    else:
        read_bytes = TIMES_READ * after.read_bytes
        grown = max(FIRST_WINDOW_BYTES, min(GROWTH * window_bytes, FREE_WINDOW_BYTES, read_bytes))
    return max(window_bytes, min(grown, most_bytes))


def begins(offset: int, end: int) -> bool:
    """Whether a read is the first or second of who reads the beginning of a file in large pieces."""
    return BLOCK_BYTES <= end <= 2 * BLOCK_BYTES and offset in (0, BLOCK_BYTES)


def _rounded_up(offset: int, size_bytes: int) -> int:
    return min(-(-offset // BLOCK_BYTES) * BLOCK_BYTES, size_bytes)
