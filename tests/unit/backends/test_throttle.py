"""What ``Retry-After`` may say, and who waits."""

from __future__ import annotations

import pytest

from mountfs.backends.throttle import LONGEST_WAIT_S, Gate, retry_after_s
from mountfs.errors import Throttled

WALL_S = 1_700_000_000.0


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("0", 0.0),
        ("300", 300.0),
        (" 1.5 ", 1.5),
        ("-5", 0.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        ("Tue, 99 Nov 2023 22:00:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, wait_s: float | None) -> None:
    assert retry_after_s(header, WALL_S) == wait_s


def test_an_open_gate_keeps_nobody() -> None:
    assert Gate().wait_s(5.0) == 0.0


def test_a_short_wait_is_waited_and_a_long_one_is_told() -> None:
    gate = Gate()
    gate.shut(100.0)
    assert gate.wait_s(100.0 - LONGEST_WAIT_S) == LONGEST_WAIT_S
    with pytest.raises(Throttled) as caught:
        gate.wait_s(40.0)
    assert caught.value.retry_after_s == 60.0


def test_a_shorter_time_does_not_open_the_gate_earlier() -> None:
    gate = Gate()
    gate.shut(100.0)
    gate.shut(50.0)
    with pytest.raises(Throttled):
        gate.wait_s(60.0)
    assert gate.wait_s(100.0) == 0.0
