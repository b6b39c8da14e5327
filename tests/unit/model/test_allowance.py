"""How many calls leave in a minute, and when."""

from __future__ import annotations

import random

import pytest

from mountfs.model.allowance import (
    AHEAD_S,
    GROWS_EVERY_S,
    MARGIN_S,
    OBJECTION_KEPT_S,
    WINDOW_S,
    Allowance,
    Windows,
)

UPLOADS = Allowance("uploads", 240, 240, 240)
TRIED = Allowance("uploads", 240, 240, 960)
CALLS = Allowance("calls", 1000, 500, 1000)
TRIED_CALLS = Allowance("calls", 1000, 500, 10_000)
MINUTE_S = WINDOW_S + MARGIN_S


def left_s(windows: Windows, wanted: tuple[Allowance, ...], now_s: float) -> float:
    """When a call leaves that is asked for at *now_s*, and again each time it has no place yet."""
    while (leaves_s := windows.take_s(wanted, now_s)) - now_s > AHEAD_S:
        now_s += AHEAD_S
    return leaves_s


def busiest(left_s: list[float], window_s: float = WINDOW_S) -> int:
    """The most that left within any such time."""
    left_s = sorted(left_s)
    return max(sum(1 for each in left_s[at:] if each < from_s + window_s) for at, from_s in enumerate(left_s))


def test_all_that_is_allowed_leaves_at_once_and_then_as_it_ages_out() -> None:
    windows = Windows()
    assert [windows.take_s((UPLOADS,), 0.01 * n) for n in range(240)] == [0.01 * n for n in range(240)]
    assert windows.take_s((UPLOADS,), 3.0) == MINUTE_S
    assert windows.take_s((UPLOADS,), 3.0) == MINUTE_S  # no place is kept for so long
    assert windows.take_s((UPLOADS,), MINUTE_S - AHEAD_S) == MINUTE_S
    assert windows.take_s((UPLOADS,), MINUTE_S - AHEAD_S) == pytest.approx(MINUTE_S + 0.01)


@pytest.mark.parametrize("wanted", [(UPLOADS,), (CALLS,), (CALLS, UPLOADS)])
def test_no_minute_sees_more_than_is_allowed_whoever_asks_when(wanted: tuple[Allowance, ...]) -> None:
    chance, windows = random.Random(1), Windows()
    now_s, left = 0.0, []
    for _ in range(4000):
        now_s += chance.choice([0.0, 0.0, 0.0, 0.02, 0.3, 3.0])
        leaves_s = windows.take_s(wanted, now_s)
        left += [leaves_s] if leaves_s - now_s <= AHEAD_S else []
    assert len(left) > 1000
    assert busiest(left) <= min(each.per_minute for each in wanted)


def test_a_long_copy_gets_nearly_all_that_is_allowed() -> None:
    windows, now_s = Windows(), 0.0
    for _ in range(2400):
        now_s = left_s(windows, (CALLS, UPLOADS), now_s)
    assert now_s <= 9 * MINUTE_S


def test_calls_beyond_the_first_half_are_spread_so_that_nobody_waits_for_a_minute() -> None:
    windows, now_s, waits_s = Windows(), 0.0, []
    for _ in range(5000):
        leaves_s = windows.take_s((CALLS,), now_s)
        waits_s.append(leaves_s - now_s)
        now_s = leaves_s
    assert waits_s[:500] == [0.0] * 500
    assert max(waits_s) < 0.5
    assert now_s <= 5 * MINUTE_S


def test_uploads_that_wait_for_their_minute_hold_up_no_other_call() -> None:
    windows = Windows()
    for _ in range(300):
        windows.take_s((CALLS, UPLOADS), 0.0)
    assert windows.take_s((CALLS, UPLOADS), 0.0) == MINUTE_S
    assert windows.take_s((CALLS,), 0.0) == 0.0


def test_more_is_tried_as_long_as_the_service_does_not_object() -> None:
    windows = Windows()
    assert [windows.take_s((TRIED,), 0.0) for _ in range(242)] == [0.0] * 241 + [MINUTE_S]
    assert windows.take_s((TRIED,), GROWS_EVERY_S) == GROWS_EVERY_S
    assert windows.windows["uploads"].allowed == 482
    for step in range(2, 20):
        for _ in range(1000):
            windows.take_s((TRIED,), step * GROWS_EVERY_S)
    assert windows.windows["uploads"].allowed == 960


def test_more_calls_are_tried_as_well_and_none_of_them_is_spread() -> None:
    windows = Windows()
    assert [windows.take_s((TRIED_CALLS,), 0.0) for _ in range(1002)] == [0.0] * 1001 + [MINUTE_S]
    assert windows.take_s((TRIED_CALLS,), GROWS_EVERY_S) == GROWS_EVERY_S
    assert windows.windows["calls"].allowed == 2002


def test_a_thousand_uploads_to_a_service_without_limits_take_seconds() -> None:
    windows, now_s = Windows(), 0.0
    for _ in range(1000):
        now_s = left_s(windows, (TRIED_CALLS, Allowance("uploads", 240, 240, 10_000)), now_s + 0.01)
    assert now_s < 20.0


def test_once_the_service_objects_calls_are_spread_again() -> None:
    windows = Windows()
    for _ in range(300):
        windows.take_s((TRIED_CALLS,), 0.0)
    windows.refused((TRIED_CALLS,), 0.0, 1.0)
    assert [windows.take_s((TRIED_CALLS,), 1.0) for _ in range(200)] == [1.0] * 200
    assert 1.0 < windows.take_s((TRIED_CALLS,), 1.0) < 1.2


def test_an_objection_holds_also_where_mounts_are_configured_differently() -> None:
    windows = Windows()
    for _ in range(300):
        windows.take_s((TRIED,), 0.0)
    windows.refused((TRIED,), 0.0, 1.0)
    for now_s in (70.0, 140.0):
        windows.take_s((UPLOADS,), now_s)
        left = [windows.take_s((TRIED,), now_s) for _ in range(300)].count(now_s)
        assert left == TRIED.per_minute - 1


def test_an_objection_in_another_run_of_the_machine_whose_clock_was_ahead_is_forgotten() -> None:
    windows = Windows()
    for _ in range(241):
        windows.take_s((TRIED,), 1e7)
    windows.refused((TRIED,), 0.0, 1e7)
    assert [windows.take_s((TRIED,), 5.0) for _ in range(241)] == [5.0] * 241


def test_what_was_spread_in_such_a_run_keeps_nothing_waiting() -> None:
    windows = Windows()
    windows.refused((TRIED_CALLS,), 0.0, 1e7)
    for _ in range(600):
        left_s(windows, (TRIED_CALLS,), 1e7)
    now_s = 5.0
    for _ in range(700):
        now_s = left_s(windows, (TRIED_CALLS,), now_s + 0.01)
    windows.refused((TRIED_CALLS,), 0.0, now_s)
    assert windows.take_s((TRIED_CALLS,), now_s) < now_s + 1.0


def test_an_objection_takes_it_back_to_the_documented_number_for_a_day() -> None:
    windows = Windows()
    for _ in range(300):
        windows.take_s((TRIED,), 0.0)
    assert windows.windows["uploads"].allowed == 241
    windows.refused((TRIED,), 5.0, 1.0)
    assert windows.windows["uploads"].allowed == 240
    left = [left_s(windows, (TRIED,), 2 * MINUTE_S + 0.1 * n) for n in range(1000)]
    assert busiest(left) == 240
    later_s = max(left) + OBJECTION_KEPT_S
    assert [windows.take_s((TRIED,), later_s) for _ in range(241)] == [later_s] * 241


def test_a_pause_that_the_service_asked_for_holds_for_every_kind() -> None:
    windows = Windows()
    windows.refused((CALLS, UPLOADS), 7.0, 1.0)
    assert windows.take_s((CALLS,), 2.0) == 8.0
    assert len(windows.windows["calls"].left_s) == 0
    assert windows.take_s((CALLS,), 4.0) == 8.0
    assert windows.take_s((CALLS,), 9.0) == 9.0


def test_what_is_not_limited_is_not_counted() -> None:
    windows, free = Windows(), Allowance("uploads", 10**6, 10**6, 10**6)
    assert {windows.take_s((free,), 0.0) for _ in range(1000)} == {0.0}
    assert windows.windows == {}


def test_calls_of_another_run_of_the_machine_whose_clock_was_ahead_are_forgotten() -> None:
    windows = Windows()
    for _ in range(240):
        windows.take_s((UPLOADS,), 1e6)
    windows.refused((UPLOADS,), 300.0, 1e6)
    assert windows.take_s((UPLOADS,), 5.0) == 5.0


def test_other_numbers_in_the_configuration_hold_for_calls_that_left_before() -> None:
    windows, fewer = Windows(), Allowance("uploads", 60, 60, 60)
    for _ in range(100):
        windows.take_s((UPLOADS,), 0.0)
    assert windows.take_s((fewer,), 1.0) == MINUTE_S
