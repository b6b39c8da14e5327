"""What a client remembers of its account: refused credentials, a service that fails, and who is told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

from mountfs.backends.health import KEPT_S, LASTING_S, LONGEST_PAUSE_S, Health
from mountfs.backends.http import HttpClient, HttpSettings
from mountfs.backends.wire import MOST_BODY_BYTES, Request
from mountfs.errors import MountfsError, NotSignedIn, Offline, ServerFault, Throttled
from mountfs.model.comeback import VAIN
from mountfs.model.pacing import ALONE, PROBES, USUAL, Pace, delay_s
from tests.fakes.clock import FakeClock
from tests.fakes.ending import ClockedEnding
from tests.unit.backends.scripted import Reply, Script, answer, hang_up


class Tokens:
    """t1, t2, ...: the service gives a fresh one whenever one is refused."""

    def __init__(self) -> None:
        self.number = 1
        self.refreshed = 0

    def current(self) -> str:
        return f"t{self.number}"

    def refused(self, token: str) -> str:
        self.refreshed += 1
        self.number += 1
        return self.current()


class Static(Tokens):
    """One token that was written down."""

    def refused(self, token: str) -> str:
        raise NotSignedIn("write down another token")


Connect = Callable[[Tokens], HttpClient]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def connect(clock: FakeClock) -> Iterator[Connect]:
    opened: list[HttpClient] = []

    def connect(tokens: Tokens) -> HttpClient:
        opened.append(HttpClient(clock, tokens, HttpSettings(), ending=ClockedEnding(clock)))
        return opened[-1]

    yield connect
    for client in opened:
        client.close()


def look(client: HttpClient, server: Script, route: str = "list") -> int | MountfsError:
    """The status of a reply, or the error."""
    try:
        return client.exchange(Request("POST", f"{server.url}/{route}", route, is_read=True)).status
    except MountfsError as error:
        return error


@pytest.mark.parametrize("tokens", [Tokens(), Static()])
def test_refused_credentials_are_not_shown_again_by_every_look(
    connect: Connect, clock: FakeClock, tokens: Tokens
) -> None:
    client = connect(tokens)
    with Script(answer(401)) as server:
        for _ in range(1200):
            look(client, server)
            clock.advance(0.5)
        assert len(server.seen) + tokens.refreshed < 60
        assert len(server.seen) > 10  # it is tried now and then


def test_who_looks_meanwhile_is_told_what_the_service_said(connect: Connect) -> None:
    client = connect(Static())
    with Script(answer(401)) as server:
        for _ in range(3):
            error = look(client, server)
            assert isinstance(error, NotSignedIn)
            assert "write down another token" in str(error)
            assert str(client.trouble()) == str(error)
        assert len(server.seen) == 1


def test_another_token_is_tried_at_once(connect: Connect) -> None:
    tokens = Static()
    client = connect(tokens)
    with Script(answer(401), answer(200)) as server:
        look(client, server)
        tokens.number = 7
        assert look(client, server) == 200
        assert client.trouble() is None


def test_the_refusal_of_a_former_token_says_nothing_of_the_one_that_works(connect: Connect) -> None:
    """It was on its way when the new one was taken, and is slower than that one's first reply."""
    tokens = Static()
    client = connect(tokens)

    def be_overtaken(handler) -> None:  # type: ignore[no-untyped-def]
        tokens.number = 7
        assert look(client, server) == 200
        answer(401)(handler)

    with Script(be_overtaken, answer(200)) as server:
        assert isinstance(look(client, server), NotSignedIn)
        assert client.trouble() is None


def test_one_call_at_a_time_tries_refused_credentials_again(connect: Connect, clock: FakeClock) -> None:
    client = connect(Static())

    def refuse_and_look(handler) -> None:  # type: ignore[no-untyped-def]
        assert isinstance(look(client, server), NotSignedIn)
        answer(401)(handler)

    with Script(answer(401), refuse_and_look, answer(200)) as server:
        look(client, server)
        clock.advance(1.0)
        assert isinstance(look(client, server), NotSignedIn)
        assert len(server.seen) == 2
        clock.advance(2.0)
        assert look(client, server) == 200


def test_a_probe_that_is_not_answered_is_made_again(connect: Connect, clock: FakeClock) -> None:
    client = connect(Static())
    with Script(answer(401), hang_up, hang_up, answer(200)) as server:
        look(client, server)
        clock.advance(1.0)
        assert isinstance(look(client, server), Offline)
        assert look(client, server) == 200


def test_trouble_with_the_credentials_is_told_once_and_so_is_its_end(
    connect: Connect, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect(Static())
    script = answer(200), *[answer(401)] * 4, answer(200)
    with Script(*script) as server, caplog.at_level(logging.WARNING):
        look(client, server)
        while look(client, server) != 200:
            clock.advance(1.0)
        look(client, server)
    first, last = caplog.messages
    assert "write down another token" in first
    assert "works again" in last


@pytest.mark.parametrize(
    ("reply", "kind"),
    [(answer(500), ServerFault), (answer(503), ServerFault), (answer(429), Throttled), (hang_up, Offline)],
)
def test_a_route_that_fails_is_told_for_as_long_as_it_does(
    connect: Connect, clock: FakeClock, reply: Reply, kind: type[MountfsError]
) -> None:
    client = connect(Tokens())
    with Script(answer(200)) as server:
        assert look(client, server, "upload") == 200
        assert client.trouble() is None
        server._replies.clear()
        server._replies.append(reply)
        for _ in range(10):
            look(client, server, "upload")
            clock.advance(30.0)
            assert isinstance(client.trouble(), kind)
        server._replies[0] = answer(200)
        clock.advance(30.0)
        assert look(client, server, "upload") == 200
        assert client.trouble() is None


def test_a_failure_that_nobody_asks_about_again_is_forgotten(clock: FakeClock) -> None:
    health = Health(clock)
    health.failed("list", ServerFault("500"))
    clock.advance(KEPT_S)
    assert health.trouble() is None


@pytest.mark.parametrize("jitter", [0.0, 1.0], ids=["the shortest waits", "short ones, then the longest"])
@pytest.mark.parametrize("pace", [USUAL, PROBES, ALONE, VAIN], ids=["usual", "probes", "alone", "vain"])
def test_a_route_that_fails_is_told_until_it_is_tried_again_however_rarely_that_is(
    clock: FakeClock, caplog: pytest.LogCaptureFixture, pace: Pace, jitter: float
) -> None:
    """``status`` would alternate between trouble and none though nothing changed."""
    health, error = Health(clock), ServerFault("500")
    for failures in range(1, 20):
        health.failed("upload", error)
        clock.advance(delay_s(failures, None, jitter if failures > 8 else 0.0, pace) - 0.001)
        assert health.trouble() is not None, failures
    assert "works again" not in caplog.text


def test_what_has_failed_for_long_is_forgotten_too(clock: FakeClock) -> None:
    health = Health(clock)
    for _ in range(1000):
        health.failed("list", ServerFault("500"))
        clock.advance(30.0)
    clock.advance(KEPT_S + LONGEST_PAUSE_S)
    assert health.trouble() is None


def test_any_answer_tells_that_a_host_is_there(clock: FakeClock) -> None:
    health = Health(clock)
    health.failed("list", Offline("away"), "api")
    health.failed("upload", ServerFault("500"), "api")
    health.worked("stat", "api")
    assert str(health.trouble()) == "500"


def test_where_all_hosts_were_away_one_that_answers_tells_that_they_are_back(clock: FakeClock) -> None:
    """Nobody may call the others for long."""
    health = Health(clock)
    health.failed("list", Offline("away"), "api")
    health.failed("read", Offline("away too"), "content")
    health.worked("stat", "api")
    assert health.trouble() is None


def test_a_host_that_is_away_alone_is_told_of_whatever_others_answer(clock: FakeClock) -> None:
    health = Health(clock)
    health.failed("read", Offline("away"), "content")
    health.worked("stat", "api")
    assert str(health.trouble()) == "away"


def test_the_gravest_is_told_first(clock: FakeClock) -> None:
    health = Health(clock)
    for route, error in (
        ("a", ServerFault("500")),
        ("b", Throttled("slow")),
        ("c", Offline("away")),
        ("d", NotSignedIn("no")),
    ):
        health.failed(route, error)
        assert repr(health.trouble()) == repr(error)


def test_what_is_over_within_moments_gets_no_line(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    health = Health(clock)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            health.failed("list", ServerFault("500"))
            clock.advance(LASTING_S / 4)
        health.worked("list")
    assert caplog.messages == []


def test_what_lasts_gets_a_line_when_it_begins_and_one_when_it_ends(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    health = Health(clock)
    with caplog.at_level(logging.INFO):
        for _ in range(100):
            health.failed("upload", ServerFault("upload: HTTP 500"))
            health.worked("list")
            clock.advance(3.0)
        health.worked("upload")
    assert len(caplog.messages) == 2
    assert "upload: HTTP 500" in caplog.messages[0]


def overlong(status: int, **headers: str) -> Reply:
    return answer(status, bytes(MOST_BODY_BYTES + 1), **headers)


def test_a_refusal_that_is_longer_than_a_reply_may_be_holds_back_all_the_same(connect: Connect) -> None:
    client = connect(Tokens())
    with Script(overlong(503, Retry_After="60"), answer(200)) as server:
        assert isinstance(look(client, server), ServerFault)
        assert isinstance(client.trouble(), ServerFault)
        assert isinstance(look(client, server, "other"), Throttled)
        assert len(server.seen) == 1


def test_a_reply_that_is_longer_than_one_may_be_is_a_trouble_of_its_route_alone(connect: Connect) -> None:
    client = connect(Tokens())
    with Script(overlong(200), answer(200)) as server:
        error = look(client, server)
        assert isinstance(error, ServerFault)
        assert repr(client.trouble()) == repr(error)
        assert look(client, server, "other") == 200
        assert look(client, server) == 200
        assert client.trouble() is None


def test_credentials_that_never_worked_get_no_line_at_once(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    health = Health(clock)
    health.failed("sign-in", NotSignedIn("no"))
    assert caplog.messages == []
    health.worked("sign-in")
    health.signed_in()
    health.failed("sign-in", NotSignedIn("not any more"))
    assert len(caplog.messages) == 1
