"""The account's pace."""

from __future__ import annotations

from mountfs.backends.box.buckets import TokenBucket


def test_a_burst_leaves_at_once_and_the_rest_at_the_steady_rate() -> None:
    bucket = TokenBucket(per_minute=240, burst_s=2.0)
    assert [bucket.take(0.0) for _ in range(11)] == [0.0] * 8 + [0.25, 0.5, 0.75]


def test_a_pause_earns_no_more_than_a_burst() -> None:
    bucket = TokenBucket(per_minute=240, burst_s=2.0)
    bucket.take(0.0)
    assert [bucket.take(1000.0) for _ in range(9)] == [0.0] * 8 + [0.25]


def test_the_limit_of_a_minute_is_kept_however_often_somebody_asks() -> None:
    bucket = TokenBucket(per_minute=240, burst_s=2.0)
    leaves_s = [bucket.take(at / 100) + at / 100 for at in range(6000)]
    assert sum(leave_s < 60.0 for leave_s in leaves_s) <= 240 + 8


def test_a_slow_rate_still_lets_one_leave() -> None:
    bucket = TokenBucket(per_minute=1)
    assert bucket.take(5.0) == 0.0
    assert bucket.take(5.0) == 60.0


def test_a_clock_that_was_set_back_gives_nothing_away() -> None:
    bucket = TokenBucket(per_minute=60, burst_s=1.0)
    assert bucket.take(100.0) == 0.0
    assert bucket.take(50.0) == 1.0
    assert bucket.take(100.0) == 2.0
