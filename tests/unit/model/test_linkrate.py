"""The rate of a link is that of all requests together, without the delay before their first bytes."""

from __future__ import annotations

import math

from mountfs.model.linkrate import MEMORY_S, MOST_BURST, TELLING_BYTES, Link, LinkRate

DELAY_S = 0.05


def used(link_bytes_s: float, sizes: list[int]) -> LinkRate:
    """After requests of these *sizes*, side by side over a link that they share one after the other."""
    rate = LinkRate()
    for _ in sizes:
        rate.began(10.0)
    now_s = 10.0 + DELAY_S
    for size in sizes:
        now_s += size / link_bytes_s
        rate.ended(10.0, now_s, size)
    return rate


def test_requests_side_by_side_add_up() -> None:
    rate = used(1e6, [100, 1_000_000, 1_000_000, 1_000_000])
    assert 0.95e6 < rate.bytes_s < 1.05e6


def test_a_few_requests_tell_a_fast_link_from_a_slow_one() -> None:
    """Of those that are made before anything is known the delay is most of their time."""
    first = [128 * 1024, 256 * 1024, 896 * 1024]
    assert used(500e6, first).bytes_s > 150e6
    assert used(3e6, first).bytes_s < 4e6


def test_little_tells_nothing_but_that_it_came() -> None:
    assert used(1e9, [1000, TELLING_BYTES // 2]).bytes_s < TELLING_BYTES / DELAY_S
    assert used(1e9, [TELLING_BYTES, 1]).bytes_s < (1 + MOST_BURST) * TELLING_BYTES / DELAY_S


def test_little_does_not_change_what_more_has_told() -> None:
    rate = used(1e9, [TELLING_BYTES, TELLING_BYTES])
    told = rate.told_bytes_s
    assert told == rate.bytes_s > TELLING_BYTES / DELAY_S
    rate.began(100.0)
    rate.ended(100.0, 100.0 + DELAY_S, 4096)
    assert rate.bytes_s < 100_000
    assert rate.told_bytes_s == told
    assert used(1e9, [4096]).told_bytes_s == 0.0


def test_the_end_of_an_upload_does_not_make_a_fast_link_a_slow_one() -> None:
    """The last request has the link for itself, and most of its time is the delay."""
    rate = LinkRate(most_burst=1)
    for piece in range(64):
        rate.began(piece * 0.02)
    for piece in range(64):
        rate.ended(piece * 0.02, piece * 0.02 + 0.1, 8 * TELLING_BYTES)
    told = rate.told_bytes_s
    assert told > 300 * TELLING_BYTES
    rate.began(9.0)
    rate.ended(9.0, 9.0 + 0.09, 8 * TELLING_BYTES)
    assert rate.bytes_s < 100 * TELLING_BYTES
    assert rate.told_bytes_s == told
    rate.began(10.0)
    rate.ended(10.0, 10.0 + 0.8, 8 * TELLING_BYTES)
    assert round(rate.told_bytes_s) == 10 * TELLING_BYTES, "so long no delay takes"


def test_what_lies_between_requests_is_no_time_of_the_link() -> None:
    rate = LinkRate()
    rate.began(0.0)
    rate.ended(0.0, 0.001, 1)
    rate.began(10.0)
    rate.ended(10.0, 11.0, 1000)
    rate.began(100.0)
    rate.ended(100.0, 100.5, 1000)
    assert 2000.0 <= rate.bytes_s < 2010.0
    rate.began(101.0)
    rate.ended(101.0, 101.0, 1000)
    assert rate.bytes_s == math.inf


def test_a_link_that_changes_is_seen_soon_and_failures_say_nothing() -> None:
    rate = LinkRate()
    rate.began(0.0)
    for second in range(1, 20):
        rate.began(float(second))
        rate.ended(second - 1.0, float(second), 1000 if second < 10 else 100)
        rate.began(float(second))
        rate.ended(float(second), float(second), 0)
    assert MEMORY_S < 20
    assert 100 <= rate.bytes_s < 150


def test_uploads_tell_the_rate_until_downloads_do_and_never_more_than_they_had() -> None:
    link = Link()
    assert link.supposed_bytes_s == 0
    link.up.began(0.0)
    link.up.ended(0.0, 2.0, 4 * TELLING_BYTES)
    assert link.supposed_bytes_s == 2 * TELLING_BYTES, "the delay counts, however short it is"
    link.down.began(3.0)
    link.down.ended(3.0, 4.0, TELLING_BYTES)
    assert link.supposed_bytes_s == link.down.told_bytes_s > 0
    assert Link(5.0).supposed_bytes_s == 5.0
