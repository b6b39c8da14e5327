"""What ``Retry-After`` may say, and who waits."""

from __future__ import annotations

import pytest

from mountfs.backends.throttle import LONGEST_WAIT_S, Gate, retry_after_s
from mountfs.errors import ServerFault, Throttled, Transient
from mountfs.model.pacing import LONGEST_ASKED_S, LONGEST_DELAY_S

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
        ("1e308", LONGEST_ASKED_S),
        (" 1.5 ", 1.5),
        ("-5", 0.0),
        ("86400", LONGEST_ASKED_S),
        ("1e300", LONGEST_ASKED_S),
        ("Wed, 15 Nov 2028 22:14:20 GMT", LONGEST_ASKED_S),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        ("Tue, 99 Nov 2023 22:00:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, wait_s: float | None) -> None:
    assert retry_after_s(header, WALL_S) == wait_s


def test_an_open_gate_keeps_nobody() -> None:
    assert Gate().wait_s("r", 5.0) == 0.0


def test_a_short_wait_is_waited_and_a_long_one_is_told() -> None:
    gate = Gate()
    gate.shut(100.0)
    assert gate.wait_s("r", 100.0 - LONGEST_WAIT_S) == LONGEST_WAIT_S
    with pytest.raises(Throttled) as caught:
        gate.wait_s("r", 40.0)
    assert caught.value.retry_after_s == 60.0


def test_a_shorter_time_does_not_open_the_gate_earlier() -> None:
    gate = Gate()
    gate.shut(100.0)
    gate.shut(50.0)
    with pytest.raises(Throttled):
        gate.wait_s("r", 60.0)
    assert gate.wait_s("r", 100.0) == 0.0


def refusals(gate: Gate, error: Transient, most_s: float, route: str = "r") -> int:
    """How often a caller that asks as soon as the gate lets it is sent away within *most_s*."""
    now_s, count = 0.0, 0
    while now_s < most_s:
        gate.throttled(route, error, started_s=now_s, now_s=now_s, jitter=0.5)
        count += 1
        now_s = max(now_s, gate.opens_s(route))
    return count


@pytest.mark.parametrize("kind", [Throttled, ServerFault])
@pytest.mark.parametrize("asked_s", [None, 0.0, 0.1])
def test_a_service_that_asks_for_no_pause_is_asked_ever_more_rarely(
    kind: type[Transient], asked_s: float | None
) -> None:
    assert refusals(Gate(), kind("no", asked_s), 600.0) < 40


def test_a_day_is_cut_to_minutes_each_time_it_is_asked_for() -> None:
    assert refusals(Gate(), Throttled("no", 86400.0), 3600.0) == 12


def test_refusals_side_by_side_are_one() -> None:
    gate = Gate()
    for _ in range(32):
        gate.throttled("r", Throttled("no"), started_s=10.0, now_s=10.5, jitter=0.0)
    assert gate.wait_s("r", 10.5) < 0.2


def test_a_refusal_for_too_many_calls_holds_back_all_routes() -> None:
    gate = Gate()
    gate.throttled("a", Throttled("no", 1.0), started_s=10.0, now_s=10.0, jitter=0.0)
    assert gate.wait_s("b", 10.0) == 1.0


def test_a_route_that_is_out_of_service_holds_back_itself_alone() -> None:
    gate = Gate()
    refusals(gate, ServerFault("503"), 100.0, "a")
    assert gate.wait_s("b", 0.0) == 0.0
    assert gate.opens_s("a") > 100.0
    gate.passed("b", 100.0)
    assert gate.opens_s("a") > 100.0
    gate.passed("a", 200.0)
    gate.throttled("a", ServerFault("503"), started_s=300.0, now_s=300.0, jitter=0.0)
    assert gate.opens_s("a") < 300.0 + LONGEST_DELAY_S / 2
