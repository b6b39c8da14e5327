"""How long calls take, counted where the kernel's calls come in."""

from __future__ import annotations

import pytest

from mountfs.fuse.operations import Operations
from mountfs.fuse.timing import BOUNDS_S, Timing
from tests.doubles.world import World


def test_each_call_is_counted_with_its_time_also_one_that_fails(world: World) -> None:
    now_s = [0.0]

    def clock() -> float:
        now_s[0] += 0.002
        return now_s[0]

    timing = Timing(clock)
    operations = Operations(world.fs, timing=timing)
    operations("getattr", "/")
    with pytest.raises(FileNotFoundError):
        operations("getattr", "/none")
    operations("statfs", "/")
    told = timing.told()
    assert set(told) == {"getattr", "statfs"}
    counts, sum_s = told["getattr"]
    assert counts[BOUNDS_S.index(0.0025)] == sum(counts) == 2
    assert sum_s == pytest.approx(0.004)


def test_what_takes_longer_than_all_bounds_is_counted_too() -> None:
    timing = Timing(lambda: 0.0)
    timing.took("read", 1000.0)
    timing.took("read", 0.0005)
    counts, _ = timing.told()["read"]
    assert (counts[0], counts[-1], len(counts)) == (1, 1, len(BOUNDS_S) + 1)
