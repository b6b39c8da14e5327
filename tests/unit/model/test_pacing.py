from __future__ import annotations

import pytest

from mountfs.errors import Busy, Forbidden, NotSignedIn, Offline, ServerFault, Throttled
from mountfs.model.pacing import (
    FIRST_DELAY_S,
    LONGEST_ASKED_S,
    LONGEST_DELAY_S,
    Pace,
    Pacer,
    delay_s,
    is_account_wide,
)


def test_a_service_that_asks_for_a_longer_pause_gets_it() -> None:
    assert delay_s(3, 17.0, jitter=0.9) == 17.0
    assert delay_s(1, 300.0, jitter=0.0) == 300.0


@pytest.mark.parametrize("asked_s", [0.0, -5.0, 0.01])
def test_a_service_that_asks_for_no_pause_is_not_asked_sooner_than_by_our_own_delay(asked_s: float) -> None:
    for failures in (1, 4, 9):
        assert delay_s(failures, asked_s, jitter=0.5) == delay_s(failures, None, jitter=0.5)


def test_a_service_that_asks_for_a_day_is_asked_again_after_minutes() -> None:
    assert delay_s(1, 86400.0, jitter=0.9) == LONGEST_ASKED_S


def test_a_pacer_may_have_a_pace_of_its_own() -> None:
    pacer = Pacer(Pace(first_s=2.0, longest_s=8.0))
    delays = []
    now_s = 0.0
    for _ in range(4):
        pacer.failed(Busy("x"), started_s=now_s, now_s=now_s, jitter=1.0)
        delays.append(pacer.ready_s - now_s)
        now_s = pacer.ready_s
    assert delays == [2.0, 4.0, 8.0, 8.0]


def test_delays_double_to_a_bound_and_are_half_chance() -> None:
    assert delay_s(1, None, jitter=0.0) == FIRST_DELAY_S / 2
    assert delay_s(2, None, jitter=0.0) == FIRST_DELAY_S
    assert delay_s(1000, None, jitter=0.0) == LONGEST_DELAY_S / 2
    assert delay_s(1000, None, jitter=0.999999) == pytest.approx(LONGEST_DELAY_S, rel=1e-3)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Offline("x"), True),
        (Throttled("x"), True),
        (NotSignedIn("x"), True),
        (ServerFault("x"), False),
        (Busy("x"), False),
        (Forbidden("x"), False),
    ],
)
def test_some_failures_concern_the_whole_account(error: Offline, expected: bool) -> None:
    assert is_account_wide(error) is expected


def test_attempts_side_by_side_fail_once() -> None:
    pacer = Pacer()
    for _ in range(8):
        pacer.failed(Offline("x"), started_s=10.0, now_s=20.0, jitter=0.0)
    assert pacer.failures == 1
    pacer.failed(Offline("x"), started_s=20.5, now_s=21.0, jitter=0.0)
    assert pacer.failures == 2


def test_a_later_retry_after_counts_even_side_by_side() -> None:
    pacer = Pacer()
    pacer.failed(Throttled("x"), started_s=10.0, now_s=20.0, jitter=0.0)
    pacer.failed(Throttled("x", retry_after_s=30.0), started_s=10.0, now_s=20.0, jitter=0.0)
    assert pacer.ready_s == 50.0


def test_an_older_attempt_that_succeeds_does_not_end_the_wait() -> None:
    pacer = Pacer()
    pacer.failed(Throttled("x", retry_after_s=30.0), started_s=10.0, now_s=11.0, jitter=0.0)
    pacer.succeeded(started_s=10.5)
    assert pacer.ready_s == 41.0
    pacer.succeeded(started_s=41.0)
    assert pacer.error is None


def test_success_forgets_all() -> None:
    pacer = Pacer()
    pacer.failed(Offline("x"), started_s=10.0, now_s=20.0, jitter=0.0)
    pacer.succeeded()
    assert pacer.error is None
    assert pacer.ready_s < 0
