"""The quota as last known."""

from __future__ import annotations

import threading

import pytest

from mountfs.errors import NoSpace, Offline
from mountfs.model.entry import Space
from mountfs.space import FRESH_S, SURE_S, SpaceGauge


class Hands:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.s = 100.0

    def now_s(self) -> float:
        return self.s

    def wall_ns(self) -> int:
        return 0

    def jitter(self) -> float:
        return 0.0


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
    clock, account = Hands(), Account(100)
    gauge = SpaceGauge(account, clock, lambda: 0)
    assert gauge.current() == gauge.current() == Space(100, 1000)
    assert account.count == 1
    clock.s += FRESH_S
    account.told = Space(500, 1000)
    assert gauge.current() is not None
    assert account.asked.acquire(timeout=10)
    assert account.asked.acquire(timeout=10)
    assert account.count == 2


def test_while_the_service_is_away_the_last_figure_stands() -> None:
    clock, account = Hands(), Account(100)
    gauge = SpaceGauge(account, clock, lambda: 0)
    gauge.current()
    account.told = None
    clock.s += FRESH_S
    assert gauge.current() == Space(100, 1000)


def test_a_service_that_never_answered_is_not_asked_for_every_df() -> None:
    account = Account()
    account.told = None
    gauge = SpaceGauge(account, Hands(), lambda: 0)
    assert gauge.current() is gauge.current() is None
    assert account.count == 1


def test_what_is_pending_counts_as_used() -> None:
    gauge = SpaceGauge(Account(100), Hands(), lambda: 800)
    gauge.current()
    gauge.take(100)
    with pytest.raises(NoSpace):
        gauge.take(1)


def test_a_write_is_refused_only_on_a_fresh_figure() -> None:
    clock, account = Hands(), Account(1000)
    gauge = SpaceGauge(account, clock, lambda: 0)
    gauge.current()
    account.told = Space(0, 1000)
    with pytest.raises(NoSpace):
        gauge.take(10)
    clock.s += SURE_S
    gauge.take(10)


def test_without_a_limit_or_a_figure_everything_fits() -> None:
    gauge = SpaceGauge(Account(5, None), Hands(), lambda: 0)
    gauge.current()
    gauge.take(1 << 60)
    away = Account()
    away.told = None
    unknown = SpaceGauge(away, Hands(), lambda: 0)
    unknown.current()
    unknown.take(1 << 60)


def test_without_a_thread_to_ask_on_the_last_figure_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, account = Hands(), Account(100)
    gauge = SpaceGauge(account, clock, lambda: 0)
    assert gauge.current() == Space(100, 1000)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    clock.s += FRESH_S
    gauge.take(100)
    assert gauge.current() == Space(100, 1000)
