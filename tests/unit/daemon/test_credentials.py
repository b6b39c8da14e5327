"""Where tokens come from."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from daemon.signin.credentials import REFRESH_AHEAD_S, Grant, RefreshedToken, StaticToken
from mountfs.errors import NotSignedIn, Offline, ServerFault, Throttled, Transient, Unreachable
from tests.fakes.clock import FakeClock
from tests.unit.daemon.fakes import PATIENCE_S

LIFE_S = 14400.0


class Service:
    """Gives out token-1, token-2, ...; fails while told to."""

    def __init__(self, life_s: float = LIFE_S) -> None:
        self.life_s = life_s
        self.asked = 0
        self.granted = 0
        self.failure: Exception | None = None

    def __call__(self) -> Grant:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        self.granted += 1
        return Grant(f"token-{self.granted}", self.life_s)


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
    clock.advance(LIFE_S - REFRESH_AHEAD_S - 1)
    assert tokens.current() == "token-1"
    clock.advance(1)
    assert tokens.current() == "token-2"


@pytest.mark.parametrize("life_s", [0.0, 1.0, 59.0, 60.0, 200.0, REFRESH_AHEAD_S])
def test_a_token_that_does_not_live_long_does_not_cost_a_refresh_for_each_call(life_s: float) -> None:
    service, clock = Service(life_s), FakeClock()
    tokens = RefreshedToken(service, clock)
    for _ in range(600):
        tokens.current()
        clock.advance(1.0)
    assert 600.0 / REFRESH_AHEAD_S <= service.asked <= 20


def test_a_refused_token_is_replaced_at_once_and_only_once() -> None:
    tokens = RefreshedToken(Service(), FakeClock())
    first = tokens.current()
    assert [tokens.refused(first), tokens.refused(first)] == ["token-2", "token-2"]


def test_a_good_token_is_kept_while_the_service_is_away() -> None:
    service, clock = Service(), FakeClock()
    tokens = RefreshedToken(service, clock)
    tokens.current()
    clock.advance(LIFE_S - 10)
    service.failure = Offline("away")
    assert tokens.current() == "token-1"
    clock.advance(10)
    with pytest.raises(Offline):
        tokens.current()


def test_a_revoked_grant_is_told_and_may_recover() -> None:
    service, clock = Service(), FakeClock()
    tokens = RefreshedToken(service, clock)
    service.failure = NotSignedIn("revoked")
    with pytest.raises(NotSignedIn):
        tokens.current()
    service.failure = None
    clock.advance(1.0)
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
        if clock.now_s() > 1000:
            asked.set()
            assert go.wait(PATIENCE_S)
        return next(grants)

    tokens = RefreshedToken(refresh, clock)
    tokens.current()
    clock.advance(LIFE_S - 10)
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(tokens.current)
        assert asked.wait(PATIENCE_S)
        assert tokens.current() == "old"
        go.set()
        assert fetching.result(PATIENCE_S) == "new"


@pytest.mark.parametrize("failure", [Throttled("slow", 30.0), ServerFault("503", 30.0)])
def test_nobody_asks_for_a_token_before_the_service_allows_it(failure: Transient) -> None:
    service, clock = Service(), FakeClock()
    tokens = RefreshedToken(service, clock)
    service.failure = failure
    with pytest.raises(type(failure)):
        tokens.current()
    clock.advance(10.0)
    for _ in range(20):
        with pytest.raises(Throttled) as told:
            tokens.current()
        assert told.value.retry_after_s == 20.0
    assert service.asked == 1
    service.failure = None
    clock.advance(20.0)
    assert tokens.current() == "token-1"


def test_a_service_that_fails_without_naming_a_time_is_asked_again() -> None:
    service, clock = Service(), FakeClock()
    tokens = RefreshedToken(service, clock)
    for failure in (Offline("away"), Throttled("slow"), ServerFault("500")):
        service.failure = failure
        with pytest.raises(type(failure)):
            tokens.current()
        clock.advance(5.0)
    assert service.asked == 3


def asked_within(seconds: float, failure: Exception) -> int:
    """How often the service is asked for a token while somebody wants one every half second."""
    service, clock = Service(), FakeClock()
    tokens = RefreshedToken(service, clock)
    service.failure = failure
    for _ in range(int(seconds * 2)):
        with pytest.raises((NotSignedIn, Transient)):
            tokens.current()
        clock.advance(0.5)
    return service.asked


@pytest.mark.parametrize(
    "failure", [NotSignedIn("no"), Offline("away"), Throttled("slow", 0.0), ServerFault("500")]
)
def test_a_service_that_gives_no_token_is_asked_ever_more_rarely(failure: Exception) -> None:
    assert asked_within(600.0, failure) < 35


def test_while_no_refresh_is_due_everybody_is_told_why_there_is_no_token() -> None:
    service, clock = Service(), FakeClock()
    tokens = RefreshedToken(service, clock)
    for failure, kind in ((NotSignedIn("revoked"), NotSignedIn), (Offline("away"), Unreachable)):
        service.failure = failure
        for expected in (type(failure), kind):
            with pytest.raises(expected, match=str(failure)):
                tokens.current()
        clock.advance(600.0)
    service.failure = None
    assert tokens.current() == "token-1"


def test_a_refused_token_is_not_used_again_while_there_is_no_other() -> None:
    service = Service()
    tokens = RefreshedToken(service, FakeClock())
    first = tokens.current()
    service.failure = Throttled("slow", 30.0)
    with pytest.raises(Throttled):
        tokens.refused(first)
    for _ in range(20):
        with pytest.raises(Throttled):
            tokens.current()
    assert service.asked == 2


def test_a_good_token_is_used_while_its_successor_has_to_wait() -> None:
    service, clock = Service(), FakeClock()
    tokens = RefreshedToken(service, clock)
    tokens.current()
    clock.advance(LIFE_S - 100)
    service.failure = Throttled("slow", 30.0)
    assert [tokens.current() for _ in range(20)] == ["token-1"] * 20
    assert service.asked == 2


def test_what_is_said_of_a_token_that_was_replaced_changes_nothing() -> None:
    service = Service()
    tokens = RefreshedToken(service, FakeClock())
    first = tokens.current()
    tokens.refused(first)
    assert tokens.refused(first) == tokens.current() == "token-2"
    assert service.asked == 2
