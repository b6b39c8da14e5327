"""How far ahead a file is fetched."""

from __future__ import annotations

import random

import pytest

from mountfs.model.blocksums import BLOCK_BYTES
from mountfs.reading.readahead import (
    AT_THE_BEGINNING,
    BEGUN_WINDOW_BYTES,
    FAST_WINDOW_BYTES,
    FIRST_WINDOW_BYTES,
    FREE_WINDOW_BYTES,
    HEADER_BYTES,
    KIB,
    LEAST_LAST_BYTES,
    LEAST_PIECE_BYTES,
    LOOK_BYTES,
    MIB,
    MOST_PIECE_BYTES,
    MOST_STREAMS,
    MOST_WINDOW_BYTES,
    PIECES,
    RUN_BYTES,
    RUNS_OF_WINDOW,
    WHOLE_FILE_BYTES,
    Plan,
    Stream,
    alone,
    cut,
    piece_bytes,
    plan,
)

BIG = 1024 * MIB
HUGE = 10 * 1024 * MIB
ROUND_TRIP_BYTES = 50_000_000
"""What 1 GB/s deliver in 50 ms."""


def read_on(streams: tuple[Stream, ...], offsets: range, most_bytes: int = FREE_WINDOW_BYTES) -> list[Plan]:
    """Plans of reads of a block each."""
    plans: list[Plan] = []
    for at in offsets:
        plans.append(plan(streams, at, BLOCK_BYTES, BIG, most_bytes=most_bytes))
        streams = plans[-1].streams
    return plans


def test_a_small_file_is_fetched_whole() -> None:
    planned = plan(AT_THE_BEGINNING, 4096, 10, WHOLE_FILE_BYTES)
    assert (planned.start, planned.stop, planned.ahead_stop) == (0, WHOLE_FILE_BYTES, WHOLE_FILE_BYTES)


def test_a_small_read_of_a_large_file_fetches_one_block() -> None:
    planned = plan(AT_THE_BEGINNING, 500 * MIB + 5000, 4096, BIG)
    assert planned.start == 500 * MIB
    assert planned.stop == planned.ahead_stop == 500 * MIB + BLOCK_BYTES


def test_small_reads_here_and_there_never_fetch_more_than_two_blocks() -> None:
    streams = AT_THE_BEGINNING
    at_random = random.Random(7)
    for _ in range(500):
        offset = at_random.randrange(MIB, HUGE, 64 * MIB) + at_random.randrange(MIB)
        planned = plan(streams, offset, 4096, HUGE)
        streams = planned.streams
        if planned.is_seek:
            assert planned.ahead_stop == planned.ahead_start
            assert planned.stop - planned.start <= 2 * BLOCK_BYTES
    assert len(streams) <= MOST_STREAMS


@pytest.mark.parametrize(
    ("length", "window_bytes"),
    [(BLOCK_BYTES // 2, FIRST_WINDOW_BYTES), (BLOCK_BYTES, BEGUN_WINDOW_BYTES)],
)
def test_reading_from_the_beginning_looks_ahead_at_once(length: int, window_bytes: int) -> None:
    planned = plan(AT_THE_BEGINNING, 0, length, BIG)
    assert planned.ahead_start == BLOCK_BYTES
    assert BLOCK_BYTES + window_bytes - length <= planned.ahead_stop <= BLOCK_BYTES + window_bytes


def test_who_looks_at_a_header_has_nothing_fetched_ahead_until_he_reads_on() -> None:
    """A file manager reads 4 KiB of each file, of which the kernel makes 16, and then 32 for who reads on."""
    look = plan(AT_THE_BEGINNING, 0, HEADER_BYTES // 2, BIG)
    assert (look.start, look.stop, look.ahead_stop) == (0, BLOCK_BYTES, BLOCK_BYTES)
    assert not look.is_seek
    once_more = plan(look.streams, 0, 4096, BIG)
    assert once_more.ahead_stop == BLOCK_BYTES
    on = plan(once_more.streams, HEADER_BYTES // 2, HEADER_BYTES, BIG)
    assert on.streams[0].window_bytes == FIRST_WINDOW_BYTES


@pytest.mark.parametrize("start", [0, 500 * MIB])
def test_who_looks_at_a_mebibyte_has_no_more_fetched_than_what_costs_nothing(start: int) -> None:
    """As who unpacks a picture out of an archive, whatever the link allows."""
    plans = read_on(AT_THE_BEGINNING, range(start, start + MIB + 2 * BLOCK_BYTES, BLOCK_BYTES), 192 * MIB)
    assert max(each.streams[0].window_bytes for each in plans) == FREE_WINDOW_BYTES
    on = read_on(plans[-1].streams, range(start + LOOK_BYTES, start + 2 * MIB, BLOCK_BYTES), 192 * MIB)
    assert on[-1].streams[0].window_bytes == 192 * MIB


@pytest.mark.parametrize("start", [0, 500 * MIB])
def test_small_reads_have_no_more_fetched_than_a_few_times_what_they_read(start: int) -> None:
    """The kernel makes 16, 32, 64 and 128 KiB of reads of 4 KiB."""
    streams, at = AT_THE_BEGINNING, start
    for length in (16, 32, 64):
        planned = plan(streams, at, length * KIB, BIG, most_bytes=192 * MIB)
        streams, at = planned.streams, at + length * KIB
    assert planned.ahead_stop - start <= MIB // 2 + 2 * BLOCK_BYTES


def test_who_reads_backwards_has_the_whole_window_once_he_reads_on() -> None:
    plans = read_on(AT_THE_BEGINNING, range(500 * MIB, 497 * MIB, -BLOCK_BYTES), 192 * MIB)
    windows = [each.streams[0].window_bytes for each in plans]
    assert FREE_WINDOW_BYTES in windows
    assert windows[-1] == 192 * MIB


def test_the_window_grows_while_reads_follow_each_other() -> None:
    plans = read_on((Stream(MIB, MIB),), range(MIB, MIB + 4 * BLOCK_BYTES, BLOCK_BYTES))
    windows = [each.streams[0].window_bytes for each in plans]
    assert windows == [FIRST_WINDOW_BYTES, 4 * FIRST_WINDOW_BYTES, FREE_WINDOW_BYTES, FREE_WINDOW_BYTES]


def test_who_begins_with_large_reads_has_the_whole_window_before_he_is_through_the_first_one() -> None:
    """Each step of a window costs a round trip."""
    plans = read_on(AT_THE_BEGINNING, range(0, BEGUN_WINDOW_BYTES, BLOCK_BYTES), 64 * MIB)
    assert [each.streams[0].window_bytes for each in plans[:2]] == [BEGUN_WINDOW_BYTES] * 2
    assert plans[-1].streams[0].window_bytes == 64 * MIB


def test_a_window_grows_beyond_that_only_where_a_read_had_to_wait() -> None:
    steady = (Stream(8 * MIB, 9 * MIB, FREE_WINDOW_BYTES),)
    assert plan(steady, 9 * MIB, MIB, BIG).streams[0].window_bytes == FREE_WINDOW_BYTES
    grown = plan(steady, 9 * MIB, MIB, BIG, most_bytes=MOST_WINDOW_BYTES).streams
    assert grown[0].window_bytes == MOST_WINDOW_BYTES
    assert plan(grown, 10 * MIB, MIB, BIG).streams[0].window_bytes == MOST_WINDOW_BYTES


def test_two_reads_that_follow_each_other_fetch_little_whatever_the_link_allows() -> None:
    for start in (0, 500 * MIB):
        plans = read_on(AT_THE_BEGINNING, range(start, start + 2 * BLOCK_BYTES, BLOCK_BYTES), 64 * MIB)
        assert plans[-1].ahead_stop - start <= 2 * MIB


def test_who_reads_on_and_then_here_and_there_has_little_fetched() -> None:
    """As a program that makes small pictures of a film does: its header, and then a frame of each minute."""
    streams = read_on(AT_THE_BEGINNING, range(0, 2 * MIB, BLOCK_BYTES), 64 * MIB)[-1].streams
    assert streams[0].window_bytes == 64 * MIB
    for offset in range(40 * MIB, 400 * MIB, 40 * MIB):
        planned = plan(streams, offset, 4096, BIG)
        streams = planned.streams
        assert planned.ahead_stop - planned.start <= 2 * MIB


def test_the_end_of_a_file_is_asked_for_with_what_comes_before_it() -> None:
    steady = (Stream(8 * MIB, 9 * MIB, FREE_WINDOW_BYTES),)
    assert plan(steady, 9 * MIB, MIB, 16 * MIB).ahead_stop == 16 * MIB
    assert plan(steady, 9 * MIB, MIB, 17 * MIB).ahead_stop == 14 * MIB


def test_pieces_grow_up_to_what_one_request_may_have() -> None:
    lengths = [high - low for low, high in cut([(0, 20 * MIB), (30 * MIB, 31 * MIB)], MIB, 8 * MIB, BIG)]
    assert lengths == [MIB, 5 * MIB, 8 * MIB, 6 * MIB, MIB]
    assert cut([(MIB, 9 * MIB)], 4 * MIB, 4 * MIB, BIG) == [(MIB, 5 * MIB), (5 * MIB, 9 * MIB)]


def test_pieces_are_short_again_towards_the_end_of_the_file() -> None:
    pieces = cut([(BIG - 256 * MIB, BIG)], MOST_PIECE_BYTES, MOST_PIECE_BYTES, BIG)
    lengths = [high - low for low, high in pieces]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] == MOST_PIECE_BYTES
    assert all(each <= LEAST_LAST_BYTES for each in lengths[-PIECES:])
    assert sum(lengths) == 256 * MIB
    assert all(high % BLOCK_BYTES == 0 for _, high in pieces)


def test_the_last_pieces_keep_a_fast_link_busy_for_a_round_trip() -> None:
    pieces = cut([(BIG - 256 * MIB, BIG)], MOST_PIECE_BYTES, MOST_PIECE_BYTES, BIG)
    assert pieces[-1][1] - pieces[-PIECES - 1][1] > 1.25 * ROUND_TRIP_BYTES, "also while the next one begins"


def test_pieces_that_begin_together_end_one_after_another() -> None:
    pieces = cut([(0, FAST_WINDOW_BYTES)], MIB, MOST_PIECE_BYTES, BIG)[:PIECES]
    ends = ended_by([high - low for low, high in pieces])
    assert ends == sorted(ends), "in the order in which they are read"
    for at in range(len(ends)):
        together = [each for each in ends if ends[at] <= each < ends[at] + ROUND_TRIP_BYTES / 4]
        assert len(together) <= PIECES // 2


def ended_by(lengths: list[int]) -> list[int]:
    """How much of all has come when each has: they share the link, so the shortest is there first."""
    return [sum(min(each, length) for each in lengths) for length in lengths]


def test_a_seek_begins_a_stream_and_leaves_the_other() -> None:
    streams = plan((Stream(7 * MIB, 8 * MIB, MIB),), 8 * MIB, BLOCK_BYTES, BIG).streams
    planned = plan(streams, 700 * MIB, 4096, BIG)
    assert planned.is_seek
    assert planned.streams == (Stream(700 * MIB, 700 * MIB + 4096, since=700 * MIB), *streams)


def test_who_reads_on_right_after_a_seek_has_left_the_other_place() -> None:
    streams = (Stream(7 * MIB, 8 * MIB, MIB),)
    sought = plan(streams, 700 * MIB, BLOCK_BYTES, BIG)
    on = plan(sought.streams, 700 * MIB + BLOCK_BYTES, BLOCK_BYTES, BIG)
    assert (sought.is_settled, on.is_settled) == (False, True)
    assert not plan(on.streams, 700 * MIB + 2 * BLOCK_BYTES, BLOCK_BYTES, BIG).is_settled
    back = plan(sought.streams, 8 * MIB, BLOCK_BYTES, BIG)
    both = plan(back.streams, 700 * MIB + BLOCK_BYTES, BLOCK_BYTES, BIG)
    assert (back.is_settled, both.is_settled) == (False, False), "one reads here, another there"


def test_readers_at_two_places_have_a_window_each() -> None:
    streams = AT_THE_BEGINNING
    seeks = 0
    for step in range(8):
        for start in (0, 500 * MIB):
            planned = plan(streams, start + step * BLOCK_BYTES, BLOCK_BYTES, BIG)
            seeks += planned.is_seek
            streams = planned.streams
    assert seeks == 1
    assert [stream.window_bytes for stream in streams] == [FREE_WINDOW_BYTES] * 2


def test_as_many_as_watch_one_film_have_a_window_each() -> None:
    streams = AT_THE_BEGINNING
    places = [at * 40 * MIB for at in range(20)]
    for start in places:
        streams = read_on(streams, range(start, start + 2 * BLOCK_BYTES, BLOCK_BYTES))[-1].streams
    for step in range(2, 10):
        for start in places:
            planned = plan(streams, start + step * BLOCK_BYTES, BLOCK_BYTES, BIG)
            assert not planned.is_seek
            streams = planned.streams
    assert [stream.window_bytes for stream in streams] == [FREE_WINDOW_BYTES] * 20


def test_as_many_as_take_turns_from_their_first_read_on_have_a_window_each() -> None:
    streams = AT_THE_BEGINNING
    seeks = 0
    for step in range(10):
        for start in range(40 * MIB, 840 * MIB, 40 * MIB):
            planned = plan(streams, start + step * BLOCK_BYTES, BLOCK_BYTES, BIG)
            seeks += planned.is_seek
            streams = planned.streams
    assert seeks == 20
    assert [stream.window_bytes for stream in streams[:20]] == [FREE_WINDOW_BYTES] * 20


def test_a_read_near_one_of_many_places_of_a_database_is_a_seek() -> None:
    """Or something would be fetched ahead of many of them, for nothing."""
    streams = AT_THE_BEGINNING
    for number in range(MOST_STREAMS):
        streams = plan(streams, number * 10 * MIB, 4096, BIG).streams
    assert plan(streams, 200 * MIB + BLOCK_BYTES, 4096, BIG).is_seek
    assert not plan(streams, (MOST_STREAMS - 2) * 10 * MIB + BLOCK_BYTES, 4096, BIG).is_seek


def test_places_that_were_read_once_give_way_before_those_that_are_read_on() -> None:
    streams = read_on(AT_THE_BEGINNING, range(0, MIB, BLOCK_BYTES))[-1].streams
    for number in range(3 * MOST_STREAMS):
        streams = plan(streams, (100 + 10 * number) * MIB, 4096, BIG).streams
    planned = plan(streams, MIB, BLOCK_BYTES, BIG)
    assert not planned.is_seek
    assert planned.streams[0].window_bytes == FREE_WINDOW_BYTES


def test_reads_side_by_side_are_no_seek() -> None:
    late = plan((Stream(7 * MIB, 8 * MIB, MIB),), 8 * MIB - 2 * BLOCK_BYTES, BLOCK_BYTES, BIG)
    assert late.streams == (Stream(7 * MIB, 8 * MIB, MIB),)


def test_who_reads_backwards_has_what_comes_before_fetched() -> None:
    plans = read_on(AT_THE_BEGINNING, range(500 * MIB, 490 * MIB, -BLOCK_BYTES))
    assert plans[0].is_seek
    assert not any(each.is_seek for each in plans[1:])
    assert plans[1].ahead_stop == plans[1].start
    assert plans[1].start - plans[1].ahead_start == FIRST_WINDOW_BYTES
    assert plans[-1].start - plans[-1].ahead_start == FREE_WINDOW_BYTES


def test_nothing_is_planned_before_the_beginning_or_beyond_the_end() -> None:
    planned = plan((Stream(4 * MIB, 5 * MIB, 4 * MIB),), 5 * MIB, BLOCK_BYTES, 5 * MIB + 10)
    assert planned.stop == planned.ahead_stop == 5 * MIB + 10
    back = plan((Stream(MIB, 2 * MIB, 4 * MIB, True),), MIB - BLOCK_BYTES, BLOCK_BYTES, BIG)
    assert (back.ahead_start, back.ahead_stop) == (0, MIB - BLOCK_BYTES)


def test_reads_need_no_plan_for_a_part_of_a_window_that_is_grown() -> None:
    plans = read_on(AT_THE_BEGINNING, range(0, MIB, BLOCK_BYTES))
    windows = [each.streams[0].window_bytes for each in plans]
    assert [each.run_bytes for each in plans] == [
        window // RUNS_OF_WINDOW if window == FREE_WINDOW_BYTES else 0 for window in windows
    ]
    fast = plan((Stream(0, MIB, MOST_WINDOW_BYTES),), MIB, BLOCK_BYTES, BIG)
    assert fast.run_bytes == RUN_BYTES


def test_a_seek_and_a_read_backwards_begin_no_run() -> None:
    grown = (Stream(0, MIB, MOST_WINDOW_BYTES),)
    assert plan(grown, 500 * MIB, BLOCK_BYTES, BIG).run_bytes == 0
    backward = (Stream(8 * MIB, 9 * MIB, MOST_WINDOW_BYTES, is_backward=True),)
    assert plan(backward, 8 * MIB - BLOCK_BYTES, BLOCK_BYTES, BIG).run_bytes == 0
    assert alone(0, BLOCK_BYTES, BIG).run_bytes == 0


def test_a_large_window_is_cut_into_as_many_requests_as_run_side_by_side() -> None:
    for window_bytes in (FREE_WINDOW_BYTES, MOST_WINDOW_BYTES, 60_000_000, FAST_WINDOW_BYTES, BIG):
        piece = piece_bytes(window_bytes)
        assert LEAST_PIECE_BYTES <= piece <= MOST_PIECE_BYTES
        assert piece % BLOCK_BYTES == 0
        if PIECES * LEAST_PIECE_BYTES <= window_bytes <= FAST_WINDOW_BYTES:
            assert PIECES <= window_bytes / piece < PIECES + 1


def test_only_the_far_end_of_a_window_may_wait() -> None:
    forward = plan((Stream(0, MIB, MOST_WINDOW_BYTES),), MIB, BLOCK_BYTES, BIG)
    assert forward.leaves_rest(BIG)
    assert not forward.leaves_rest(forward.ahead_stop)
    backward = (Stream(800 * MIB, 801 * MIB, MOST_WINDOW_BYTES, is_backward=True),)
    assert not plan(backward, 800 * MIB - BLOCK_BYTES, BLOCK_BYTES, BIG).leaves_rest(BIG)
