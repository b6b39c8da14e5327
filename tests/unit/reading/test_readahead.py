"""How far ahead a file is fetched."""

from __future__ import annotations

from mountfs.reading.readahead import (
    BLOCK_BYTES,
    FIRST_WINDOW_BYTES,
    MIB,
    MOST_WINDOW_BYTES,
    WHOLE_FILE_BYTES,
    Stream,
    plan,
)

BIG = 1024 * MIB


def test_a_small_file_is_fetched_whole() -> None:
    planned = plan(Stream(), 4096, 10, WHOLE_FILE_BYTES)
    assert (planned.start, planned.stop, planned.ahead_stop) == (0, WHOLE_FILE_BYTES, WHOLE_FILE_BYTES)


def test_a_small_read_of_a_large_file_fetches_one_block() -> None:
    planned = plan(Stream(), 500 * MIB + 5000, 4096, BIG)
    assert planned.start == 500 * MIB
    assert planned.stop == planned.ahead_stop == 500 * MIB + BLOCK_BYTES


def test_reading_from_the_beginning_looks_ahead_at_once() -> None:
    planned = plan(Stream(), 0, BLOCK_BYTES, BIG)
    assert planned.ahead_stop == BLOCK_BYTES + FIRST_WINDOW_BYTES


def test_the_window_doubles_while_reads_follow_each_other_up_to_its_limit() -> None:
    stream, windows = Stream(), []
    for at in range(0, 12 * BLOCK_BYTES, BLOCK_BYTES):
        stream = plan(stream, at, BLOCK_BYTES, BIG).stream
        windows.append(stream.window_bytes)
    assert windows[:3] == [FIRST_WINDOW_BYTES, 2 * FIRST_WINDOW_BYTES, 4 * FIRST_WINDOW_BYTES]
    assert windows[-1] == MOST_WINDOW_BYTES


def test_a_seek_closes_the_window() -> None:
    stream = plan(Stream(8 * MIB, MIB), 8 * MIB, BLOCK_BYTES, BIG).stream
    assert stream.window_bytes == 2 * MIB
    assert plan(stream, 700 * MIB, 4096, BIG).stream == Stream(700 * MIB + 4096, 0)


def test_reads_side_by_side_are_no_seek() -> None:
    late = plan(Stream(8 * MIB, MIB), 8 * MIB - 2 * BLOCK_BYTES, BLOCK_BYTES, BIG)
    assert late.stream == Stream(8 * MIB, MIB)


def test_nothing_is_planned_beyond_the_end() -> None:
    planned = plan(Stream(5 * MIB, 4 * MIB), 5 * MIB, BLOCK_BYTES, 5 * MIB + 10)
    assert planned.stop == planned.ahead_stop == 5 * MIB + 10
