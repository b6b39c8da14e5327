from __future__ import annotations

from mountfs.upload.urgency import HURRY_LASTS_S, Urgency
from tests.fakes.clock import FakeClock


def test_a_hurry_ends_when_nobody_waits_any_more() -> None:
    urgency = Urgency(FakeClock())
    with urgency.pressed():
        urgency.hurry()
        urgency.relax()
        assert urgency.is_pressing
    assert not urgency.is_pressing


def test_a_hurry_ends_by_itself() -> None:
    clock = FakeClock()
    urgency = Urgency(clock)
    assert not urgency.is_pressing
    urgency.hurry()
    assert urgency.is_pressing
    clock.advance(HURRY_LASTS_S)
    assert not urgency.is_pressing


def test_it_presses_as_long_as_anybody_holds_it() -> None:
    urgency = Urgency(FakeClock())
    with urgency.pressed():
        with urgency.pressed():
            assert urgency.is_pressing
        assert urgency.is_pressing
    assert not urgency.is_pressing


def test_watchers_are_woken_when_somebody_begins_to_wait() -> None:
    urgency = Urgency(FakeClock())
    woken: list[None] = []
    urgency.watch(lambda: woken.append(None))
    urgency.hurry()
    urgency.hurry()
    assert len(woken) == 1
    with urgency.pressed():
        assert len(woken) == 2
