from __future__ import annotations

import math

import pytest

from mountfs.upload.packing import (
    HURRIED_OLDEST_S,
    HURRIED_QUIET_S,
    OLDEST_S,
    PATIENCE,
    QUIET_S,
    PackSize,
    fitting,
    send_at_s,
)
from mountfs.upload.packqueue import Waiting
from mountfs.upload.sessionpool import FIRST_AT_ONCE, KEPT_S, MOST_AT_ONCE, SessionPool


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], (0, False)),
        ([1, 1], (2, False)),
        ([1, 1, 1], (3, True)),
        ([1, 1, 1, 1], (3, True)),
        ([6, 5], (1, True)),
        ([6, 4], (2, True)),
        ([11], (0, True)),
    ],
)
def test_a_pack_holds_so_many_entries_and_bytes(sizes: list[int], expected: tuple[int, bool]) -> None:
    assert fitting(sizes, most_entries=3, most_bytes=10) == expected


def test_a_full_pack_goes_at_once() -> None:
    assert send_at_s(oldest_s=9, newest_s=9, is_full=True, is_hurried=False) == -math.inf


def test_others_go_when_nothing_follows_or_the_oldest_waited_long() -> None:
    assert send_at_s(oldest_s=9, newest_s=9, is_full=False, is_hurried=False) == 9 + QUIET_S
    assert send_at_s(oldest_s=9, newest_s=10.9, is_full=False, is_hurried=False) == 9 + OLDEST_S


def test_somebody_waiting_shortens_that() -> None:
    assert send_at_s(oldest_s=9, newest_s=9, is_full=False, is_hurried=True) == 9 + HURRIED_QUIET_S
    assert send_at_s(oldest_s=9, newest_s=9.9, is_full=False, is_hurried=True) == 9 + HURRIED_OLDEST_S


def test_a_refused_size_is_halved_and_grown_back_to_below_it() -> None:
    size = PackSize(100)
    size.too_big(100)
    assert size.entries == 50
    for _ in range(10):
        size.accepted(size.entries)
    assert size.entries == 99


def test_a_refused_size_is_tried_again_after_a_while() -> None:
    size = PackSize(100)
    size.too_big(100)
    for _ in range(PATIENCE + 1):
        size.accepted(size.entries)
    assert size.entries == 100


def test_packs_that_were_not_full_prove_nothing() -> None:
    size = PackSize(100)
    size.too_big(100)
    size.accepted(3)
    assert size.entries == 50


def test_a_pack_never_has_less_than_one_entry() -> None:
    size = PackSize(2)
    size.too_big(2)
    size.too_big(1)
    assert size.entries == 1


def test_sessions_are_asked_for_in_growing_numbers() -> None:
    pool = SessionPool()
    asked = [pool.to_ask(3) for _ in range(6)]
    assert asked[0] == FIRST_AT_ONCE
    assert asked == sorted(asked)
    assert asked[-1] == MOST_AT_ONCE


def test_sessions_are_given_once_and_not_when_old() -> None:
    pool = SessionPool()
    pool.add(["a", "b", "c"], now_s=0.0)
    assert pool.take(2, now_s=1.0) == ["a", "b"]
    assert pool.take(2, now_s=KEPT_S) == []


def test_files_that_have_not_failed_share_what_paces_them() -> None:
    assert Waiting(1, 10, 0.0).pacer is Waiting(2, 10, 0.0).pacer
