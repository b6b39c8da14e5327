"""The quota as last known."""

from __future__ import annotations

import threading

import pytest

from mountfs.errors import NoSpace, Offline
from mountfs.model.entry import Space
from mountfs.space import FRESH_S, SURE_S, SpaceGauge
from tests.fakes.clock import FakeClock


class Account:
    def __init__(self, used_bytes: int = 0, total_bytes: int | None = 1000) -> None:
        self.told: Space | None = Space(used_bytes, total_bytes)
        self.asked = threading.Semaphore(0)
        self.count = 0

    def space(self) -> Space:
        self.count += 1
        self.asked.release()
        if self.told is None:
            raise Offline("away")
        return self.told


def test_the_service_is_asked_once_a_minute_and_not_waited_for_again() -> None:
    clock, account = FakeClock(), Account(100)
    gauge = SpaceGauge(account, clock, lambda: 0)
    assert gauge.current() == gauge.current() == Space(100, 1000)
    assert account.count == 1
    clock.advance(FRESH_S)
    account.told = Space(500, 1000)
    assert gauge.current() is not None
    assert account.asked.acquire(timeout=10)
    assert account.asked.acquire(timeout=10)
    assert account.count == 2


def test_while_the_service_is_away_the_last_figure_stands() -> None:
    clock, account = FakeClock(), Account(100)
    gauge = SpaceGauge(account, clock, lambda: 0)
    gauge.current()
    account.told = None
    clock.advance(FRESH_S)
    assert gauge.current() == Space(100, 1000)


def test_a_service_that_never_answered_is_not_asked_for_every_df() -> None:
    account = Account()
    account.told = None
    gauge = SpaceGauge(account, FakeClock(), lambda: 0)
    assert gauge.current() is gauge.current() is None
    assert account.count == 1


def test_what_is_pending_counts_as_used() -> None:
    gauge = SpaceGauge(Account(100), FakeClock(), lambda: 800)
    gauge.current()
    gauge.take(100)
    with pytest.raises(NoSpace):
        gauge.take(1)


def test_a_write_is_refused_only_on_a_fresh_figure() -> None:
    clock, account = FakeClock(), Account(1000)
    gauge = SpaceGauge(account, clock, lambda: 0)
    gauge.current()
    account.told = Space(0, 1000)
    with pytest.raises(NoSpace):
        gauge.take(10)
    clock.advance(SURE_S)
    gauge.take(10)


def test_what_needs_no_room_asks_for_none() -> None:
    """Such as a copy of an empty file in an account whose quota was cut."""
    account = Account(1200)
    gauge = SpaceGauge(account, FakeClock(), lambda: 0)
    gauge.take(0)
    gauge.take(-1)
    assert account.count == 0
    with pytest.raises(NoSpace):
        gauge.take(1)


def test_without_a_limit_or_a_figure_everything_fits() -> None:
    gauge = SpaceGauge(Account(5, None), FakeClock(), lambda: 0)
    gauge.current()
    gauge.take(1 << 60)
    away = Account()
    away.told = None
    unknown = SpaceGauge(away, FakeClock(), lambda: 0)
    unknown.current()
    unknown.take(1 << 60)


def test_without_a_thread_to_ask_on_the_last_figure_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, account = FakeClock(), Account(100)
    gauge = SpaceGauge(account, clock, lambda: 0)
    assert gauge.current() == Space(100, 1000)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    clock.advance(FRESH_S)
    gauge.take(100)
    assert gauge.current() == Space(100, 1000)
