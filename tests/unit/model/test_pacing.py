from __future__ import annotations

import pytest

from mountfs.errors import Busy, Forbidden, NotSignedIn, Offline, ServerFault, Throttled
from mountfs.model.pacing import FIRST_DELAY_S, LONGEST_DELAY_S, Pacer, delay_s, is_account_wide


def test_the_service_has_the_last_word() -> None:
    assert delay_s(9, 17.0, jitter=0.9) == 17.0
    assert delay_s(1, 300.0, jitter=0.0) == 300.0


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
