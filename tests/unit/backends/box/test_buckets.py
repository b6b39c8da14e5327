"""The account's pace."""

from __future__ import annotations

import pytest

from mountfs.backends.box.buckets import TokenBucket


def test_a_burst_leaves_at_once_and_the_rest_at_the_steady_rate() -> None:
    bucket = TokenBucket(per_minute=240, burst_s=2.0)
    assert [bucket.take(0.0) for _ in range(11)] == [0.0] * 8 + [0.25, 0.5, 0.75]


def test_a_pause_earns_no_more_than_a_burst() -> None:
    bucket = TokenBucket(per_minute=240, burst_s=2.0)
    bucket.take(0.0)
    assert [bucket.take(1000.0) for _ in range(9)] == [0.0] * 8 + [0.25]


@pytest.mark.parametrize("burst_s", [0.0, 2.0, 15.0, 60.0])
@pytest.mark.parametrize("pause_s", [0.0, 0.01, 0.2, 30.0])
def test_no_minute_sees_more_than_the_limit_however_often_somebody_asks(
    burst_s: float, pause_s: float
) -> None:
    bucket = TokenBucket(per_minute=240, burst_s=burst_s)
    leaves_s: list[float] = []
    now_s = 0.0
    for number in range(2000):
        leaves_s.append(now_s + bucket.take(now_s))
        # A caller that waited asks again then; every hundredth comes after a pause.
        now_s = leaves_s[-1] + (pause_s if number % 100 == 99 else 0.0)
    assert leaves_s == sorted(leaves_s)
    assert all(
        later - earlier >= 60.0 - 1e-6 for earlier, later in zip(leaves_s, leaves_s[240:], strict=False)
    )


def test_a_long_job_gets_all_that_is_allowed() -> None:
    bucket = TokenBucket(per_minute=240, burst_s=15.0)
    leaves_s = [bucket.take(0.0) for _ in range(2400)]
    assert leaves_s[59] == 0.0
    assert leaves_s[-1] < 600.0


def test_a_slow_rate_still_lets_one_leave() -> None:
    bucket = TokenBucket(per_minute=1, burst_s=2.0)
    assert bucket.take(5.0) == 0.0
    assert bucket.take(5.0) == 60.0


def test_a_clock_that_was_set_back_gives_nothing_away() -> None:
    bucket = TokenBucket(per_minute=60, burst_s=1.0)
    assert bucket.take(100.0) == 0.0
    assert bucket.take(50.0) == 1.0
    assert bucket.take(100.0) == 2.0
