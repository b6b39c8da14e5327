"""Bodies of replies: as much as was asked for, and held once."""

from __future__ import annotations

import tracemalloc
from itertools import repeat

import pytest

from mountfs.backends.receiving import receive
from mountfs.backends.wire import Request, Window
from mountfs.errors import ServerFault
from tests.fakes.clock import FakeClock

MIB = 1024 * 1024


class Scripted:
    """A body that comes in pieces of 64 KiB."""

    def __init__(self, pieces: int) -> None:
        self._pieces = repeat(bytes(64 * 1024), pieces)

    def read1(self, amt: int, decode_content: bool) -> bytes:
        return next(self._pieces, b"")


def test_a_range_is_in_memory_once() -> None:
    request = Request("GET", "https://x/y", "y", window=Window(0, 4 * MIB))
    tracemalloc.start()
    body = receive(Scripted(64), 206, request, FakeClock(), 60.0)[0]
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(body) == 4 * MIB
    assert peak_bytes < 5 * MIB


def test_a_range_that_ends_early_is_as_long_as_what_came() -> None:
    request = Request("GET", "https://x/y", "y", window=Window(0, 4 * MIB))
    assert len(receive(Scripted(3), 206, request, FakeClock(), 60.0)[0]) == 3 * 64 * 1024
    assert receive(Scripted(0), 206, request, FakeClock(), 60.0)[0] == b""


def test_of_a_whole_file_that_is_counted_nothing_is_taken_before_it_is_the_file() -> None:
    taken: list[bytes] = []
    window = Window(100, MIB)
    request = Request("GET", "https://x/y", "y", window=window, take=lambda piece: taken.append(bytes(piece)))
    for pieces in (47, 49):
        with pytest.raises(ServerFault, match="a file of 3145728 bytes"):
            receive(Scripted(pieces), 200, request, FakeClock(), 60.0, whole_bytes=3 * MIB)
    assert not taken
    assert receive(Scripted(48), 200, request, FakeClock(), 60.0, whole_bytes=3 * MIB) == (b"", MIB)
    assert b"".join(taken) == bytes(MIB)


def test_what_is_counted_behind_the_window_may_take_its_time() -> None:
    clock = FakeClock(tick_s=5.0)
    request = Request("GET", "https://x/y", "y", window=Window(0, 20))
    assert receive(Scripted(48), 200, request, clock, 60.0, whole_bytes=3 * MIB)[0] == bytes(20)
