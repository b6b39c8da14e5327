"""Where tokens come from."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from daemon.credentials import REFRESH_AHEAD_S, Grant, RefreshedToken, StaticToken
from mountfs.errors import NotSignedIn, Offline
from tests.unit.daemon.fakes import PATIENCE_S, FakeClock

LIFE_S = 14400.0


class Service:
    """Gives out token-1, token-2, ...; fails while told to."""

    def __init__(self) -> None:
        self.granted = 0
        self.failure: Exception | None = None

    def __call__(self) -> Grant:
        if self.failure is not None:
            raise self.failure
        self.granted += 1
        return Grant(f"token-{self.granted}", LIFE_S)


def test_a_static_token_is_itself_until_it_is_refused() -> None:
    tokens = StaticToken("t")
    assert tokens.current() == "t"
    with pytest.raises(NotSignedIn, match="the access_token is not accepted"):
        tokens.refused("t")


def test_the_first_use_fetches_and_the_next_ones_do_not() -> None:
    service, clock = Service(), FakeClock()
    tokens = RefreshedToken(service, clock)
    assert [tokens.current(), tokens.current()] == ["token-1", "token-1"]


def test_a_token_is_replaced_before_it_expires() -> None:
    service, clock = Service(), FakeClock()
    tokens = RefreshedToken(service, clock)
    tokens.current()
    clock.time_s += LIFE_S - REFRESH_AHEAD_S - 1
    assert tokens.current() == "token-1"
    clock.time_s += 1
    assert tokens.current() == "token-2"


def test_a_refused_token_is_replaced_at_once_and_only_once() -> None:
    tokens = RefreshedToken(Service(), FakeClock())
    first = tokens.current()
    assert [tokens.refused(first), tokens.refused(first)] == ["token-2", "token-2"]


def test_a_good_token_is_kept_while_the_service_is_away() -> None:
    service, clock = Service(), FakeClock()
    tokens = RefreshedToken(service, clock)
    tokens.current()
    clock.time_s += LIFE_S - 10
    service.failure = Offline("away")
    assert tokens.current() == "token-1"
    clock.time_s += 10
    with pytest.raises(Offline):
        tokens.current()


def test_a_revoked_grant_is_told_and_may_recover() -> None:
    service = Service()
    tokens = RefreshedToken(service, FakeClock())
    service.failure = NotSignedIn("revoked")
    with pytest.raises(NotSignedIn):
        tokens.current()
    service.failure = None
    assert tokens.current() == "token-1"


def test_many_threads_share_one_refresh() -> None:
    asked, go = Event(), Event()
    count = []

    def refresh() -> Grant:
        count.append(1)
        asked.set()
        assert go.wait(PATIENCE_S)
        return Grant("fresh", LIFE_S)

    tokens = RefreshedToken(refresh, FakeClock())
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(tokens.current) for _ in range(8)]
        assert asked.wait(PATIENCE_S)
        go.set()
        assert {answer.result(PATIENCE_S) for answer in answers} == {"fresh"}
    assert len(count) == 1


def test_nobody_waits_for_a_refresh_while_the_old_token_is_good() -> None:
    clock, asked, go = FakeClock(), Event(), Event()
    grants = iter([Grant("old", LIFE_S), Grant("new", LIFE_S)])

    def refresh() -> Grant:
        if clock.time_s > 1000:
            asked.set()
            assert go.wait(PATIENCE_S)
        return next(grants)

    tokens = RefreshedToken(refresh, clock)
    tokens.current()
    clock.time_s += LIFE_S - 10
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(tokens.current)
        assert asked.wait(PATIENCE_S)
        assert tokens.current() == "old"
        go.set()
        assert fetching.result(PATIENCE_S) == "new"
