"""The rate of a link is that of all requests together."""

from __future__ import annotations

import math

from mountfs.reading.linkrate import LinkRate


def test_requests_side_by_side_add_up() -> None:
    rate = LinkRate()
    for _ in range(4):
        rate.began(10.0)
    for _ in range(4):
        rate.ended(11.0, 1000)
    assert rate.bytes_s == 4000.0


def test_what_lies_between_requests_is_no_time_of_the_link() -> None:
    rate = LinkRate()
    rate.began(0.0)
    rate.ended(1.0, 1000)
    rate.began(100.0)
    rate.ended(100.5, 1000)
    assert rate.bytes_s == 2000.0
    rate.began(101.0)
    rate.ended(101.0, 1000)
    assert rate.bytes_s == math.inf


def test_a_link_that_changes_is_seen_soon_and_failures_say_nothing() -> None:
    rate = LinkRate()
    rate.began(0.0)
    for second in range(1, 20):
        rate.began(float(second))
        rate.ended(float(second), 1000 if second < 10 else 100)
        rate.began(float(second))
        rate.ended(float(second), 0)
    assert 100 <= rate.bytes_s < 150
