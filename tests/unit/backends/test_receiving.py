"""Bodies of replies: as much as was asked for, and held once."""

from __future__ import annotations

import tracemalloc
from itertools import repeat

from mountfs.backends.receiving import receive
from mountfs.backends.wire import Request, Window
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
