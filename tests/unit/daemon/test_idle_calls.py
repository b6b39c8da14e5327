"""How often a mount that nobody uses calls a service that is in trouble: real clients, a faked clock."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler

import pytest

from daemon.signin.credentials import Grant, RefreshedToken
from daemon.upkeep.follow import Follower
from mountfs.backends.box.backend import BoxBackend
from mountfs.backends.box.settings import BoxSettings
from mountfs.backends.dropbox.backend import DropboxBackend
from mountfs.backends.dropbox.settings import DropboxSettings
from mountfs.errors import NotSignedIn
from mountfs.model.entry import News
from mountfs.ports import Backend
from tests.fakes.clock import FakeClock
from tests.fakes.ending import ClockedEnding
from tests.unit.backends.scripted import Reply, Script, answer, error_answer, json_answer

TEN_MINUTES_S = 600.0
MOST_CALLS = 60
MOST_STEPS = 2000
POLL_S = 60.0


class Heard:
    """The feed of a mount, which only remembers what it was told."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        self.news: list[News] = []
        self.is_healthy = False

    def begin(self, cursor: str | None) -> None:
        self.cursor = cursor

    def asks(self) -> int:
        return 0

    def note(self, news: Sequence[News], cursor: str, asked_at: int, *, has_more: bool) -> None:
        self.news += news
        self.cursor = cursor

    def note_follower(self, *, is_healthy: bool, is_away: bool) -> None:
        self.is_healthy = is_healthy


class Service:
    """Replies by route; what no test changed is an account in which nothing happens."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.replies: dict[str, Reply] = {}
        self.everywhere: Reply | None = None
        self.calls: Counter[str] = Counter()
        self.tokens = 0
        self.number = 0

    def reply(self, handler: BaseHTTPRequestHandler) -> None:
        route = handler.path.partition("?")[0].removeprefix("/2/").removeprefix("/2.0/").strip("/")
        route = f"{handler.command} {route}" if route == "events" else route
        self.calls[route] += 1
        if self.everywhere is not None:
            self.everywhere(handler)
        else:
            self.replies[route](handler)

    def grant(self) -> Grant:
        self.tokens += 1
        return Grant(f"t{self.tokens}", 14400.0)

    def after(self, seconds: float, reply: Reply) -> Reply:
        def late(handler: BaseHTTPRequestHandler) -> None:
            self.clock.advance(seconds)
            reply(handler)

        return late

    def counted(self, make: Callable[[int], object]) -> Reply:
        """JSON that is another one each time."""

        def reply(handler: BaseHTTPRequestHandler) -> None:
            self.number += 1
            json_answer(make(self.number))(handler)

        return reply


CURSOR = "files/list_folder/get_latest_cursor"
LONGPOLL = "files/list_folder/longpoll"
CONTINUE = "files/list_folder/continue"
EVENTS, OPTIONS, SUBSCRIBE = "GET events", "OPTIONS events", "subscribe"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(tick_s=1e-6)


@pytest.fixture
def service(clock: FakeClock) -> Service:
    return Service(clock)


@pytest.fixture
def server(service: Service) -> Iterator[Script]:
    with Script(service.reply) as server:
        yield server


@pytest.fixture
def dropbox(service: Service, server: Script, clock: FakeClock) -> Iterator[DropboxBackend]:
    service.replies = {
        CURSOR: json_answer({"cursor": "c"}),
        LONGPOLL: service.after(POLL_S, json_answer({"changes": False})),
        CONTINUE: json_answer({"entries": [], "cursor": "c", "has_more": False}),
    }
    settings = DropboxSettings(api_url=server.url, content_url=server.url, notify_url=server.url)
    backend = DropboxBackend(
        settings, RefreshedToken(service.grant, clock), clock, ending=ClockedEnding(clock)
    )
    yield backend
    backend.close()


@pytest.fixture
def box(service: Service, server: Script, clock: FakeClock) -> Iterator[BoxBackend]:
    page = {"chunk_size": 0, "next_stream_position": 7, "entries": []}
    place = {"type": "realtime_server", "url": f"{server.url}/subscribe?channel=1", "max_retries": "10"}
    service.replies = {
        EVENTS: json_answer(page),
        OPTIONS: json_answer({"entries": [place]}),
        SUBSCRIBE: service.after(POLL_S, json_answer({"message": "reconnect"})),
    }
    settings = BoxSettings(api_url=f"{server.url}/2.0", upload_url=server.url)
    backend = BoxBackend(settings, RefreshedToken(service.grant, clock), clock, ending=ClockedEnding(clock))
    yield backend
    backend.close()


def idle(backend: Backend, clock: FakeClock, seconds: float = TEN_MINUTES_S) -> Follower:
    """A mount that nobody uses follows the account for so long."""
    follower = Follower(backend, Heard(), clock)
    ends_s = clock.now_s() + seconds
    for _ in range(MOST_STEPS):
        now_s = clock.now_s()
        if now_s >= ends_s:
            return follower
        due_s = follower.step(now_s)
        clock.advance(max(0.0, min(due_s, ends_s) - clock.now_s()))
    raise AssertionError(f"more than {MOST_STEPS} steps in {clock.now_s() - ends_s + seconds:.0f} s")


REFUSALS = {
    "403": answer(403, b"no"),
    "429 in no time": answer(429, Retry_After="0"),
    "500": answer(500),
    "503 in the past": answer(503, Retry_After="-7"),
    "no JSON": answer(200, b"<html>"),
}
RESET = error_answer({".tag": "reset"})
VOID = answer(400, json.dumps({"code": "bad_request"}).encode())


def changed_for_ever(more: Callable[[int], dict[str, object]]) -> Callable[[Service], Reply]:
    return lambda service: service.counted(more)


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_where_dropbox_refuses_to_be_waited_for_it_is_looked_at_now_and_then(
    service: Service, dropbox: DropboxBackend, clock: FakeClock, refusal: Reply
) -> None:
    service.replies[LONGPOLL] = refusal
    follower = idle(dropbox, clock)
    assert service.calls.total() <= MOST_CALLS
    assert service.calls[CONTINUE] >= 10
    assert follower.last_error is not None


@pytest.mark.parametrize("route", [OPTIONS, SUBSCRIBE])
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_where_box_refuses_to_be_waited_for_it_is_looked_at_now_and_then(
    service: Service, box: BoxBackend, clock: FakeClock, refusal: Reply, route: str
) -> None:
    service.replies[route] = refusal
    follower = idle(box, clock)
    assert service.calls.total() <= MOST_CALLS
    assert service.calls[EVENTS] >= 10
    assert follower.last_error is not None


DROPBOX_TROUBLES: dict[str, dict[str, Callable[[Service], Reply]]] = {
    "each position is void for the wait": {LONGPOLL: lambda _: RESET},
    "each position is void for the look": {
        LONGPOLL: lambda _: json_answer({"changes": True}),
        CONTINUE: lambda _: RESET,
    },
    "something changed, and nothing did": {LONGPOLL: lambda _: json_answer({"changes": True})},
    "the wait ends at once": {LONGPOLL: lambda _: json_answer({"changes": False})},
    "the same page for ever": {
        LONGPOLL: lambda _: json_answer({"changes": True}),
        CONTINUE: lambda _: json_answer({"entries": [], "cursor": "c", "has_more": True}),
    },
    "empty pages for ever": {
        LONGPOLL: lambda _: json_answer({"changes": True}),
        CONTINUE: changed_for_ever(lambda n: {"entries": [], "cursor": f"c{n}", "has_more": True}),
    },
    "pages in a circle": {
        LONGPOLL: lambda _: json_answer({"changes": True}),
        CONTINUE: changed_for_ever(
            lambda n: {
                "entries": [{".tag": "deleted", "name": "x", "path_display": "/x", "path_lower": "/x"}],
                "cursor": f"c{n % 3}",
                "has_more": True,
            }
        ),
    },
}


@pytest.mark.parametrize("trouble", DROPBOX_TROUBLES.values(), ids=DROPBOX_TROUBLES.keys())
def test_an_idle_mount_of_dropbox_calls_rarely_whatever_it_is_told(
    service: Service,
    dropbox: DropboxBackend,
    clock: FakeClock,
    trouble: dict[str, Callable[[Service], Reply]],
) -> None:
    for route, reply in trouble.items():
        service.replies[route] = reply(service)
    idle(dropbox, clock)
    assert 5 <= service.calls.total() <= MOST_CALLS, service.calls


def event_page(number: int) -> dict[str, object]:
    """Full, of things that are none of ours."""
    entries = [{"event_id": f"{number}-{n}", "event_type": "X", "source": None} for n in range(500)]
    return {"chunk_size": 500, "next_stream_position": 7, "entries": entries}


BOX_TROUBLES: dict[str, dict[str, Callable[[Service], Reply]]] = {
    "each position is void": {EVENTS: lambda _: VOID},
    "something changed, and nothing did": {SUBSCRIBE: lambda _: json_answer({"message": "new_change"})},
    "the wait ends at once": {SUBSCRIBE: lambda _: json_answer({"message": "reconnect"})},
    "the same full page for ever": {
        SUBSCRIBE: lambda _: json_answer({"message": "new_change"}),
        EVENTS: changed_for_ever(event_page),
    },
}


@pytest.mark.parametrize("trouble", BOX_TROUBLES.values(), ids=BOX_TROUBLES.keys())
def test_an_idle_mount_of_box_calls_rarely_whatever_it_is_told(
    service: Service, box: BoxBackend, clock: FakeClock, trouble: dict[str, Callable[[Service], Reply]]
) -> None:
    for route, reply in trouble.items():
        service.replies[route] = reply(service)
    idle(box, clock)
    assert 5 <= service.calls.total() <= MOST_CALLS, service.calls


EVERYWHERE = {
    "401": answer(401),
    "429 in no time": answer(429, Retry_After="0"),
    "503 in the past": answer(503, Retry_After="Tue, 14 Nov 2000 22:14:20 GMT"),
    "500": answer(500),
    "a portal": answer(302, Location="http://portal/"),
    "503 in a day": answer(503, Retry_After="86400"),
}


@pytest.mark.parametrize("service_name", ["dropbox", "box"])
@pytest.mark.parametrize("reply", EVERYWHERE.values(), ids=EVERYWHERE.keys())
def test_an_idle_mount_calls_a_service_that_answers_nothing_else_rarely_and_finds_it_well_again(
    request: pytest.FixtureRequest, service: Service, clock: FakeClock, service_name: str, reply: Reply
) -> None:
    backend = request.getfixturevalue(service_name)
    feed = Heard()
    follower = Follower(backend, feed, clock)
    feed.cursor = "7"
    ends_s = clock.now_s() + TEN_MINUTES_S
    service.everywhere = reply
    while clock.now_s() < ends_s:
        clock.advance(max(0.0, follower.step(clock.now_s()) - clock.now_s()))
    assert 2 <= service.calls.total() + service.tokens <= MOST_CALLS, service.calls
    assert follower.last_error is not None
    assert not feed.is_healthy
    service.everywhere = None
    while not feed.is_healthy:
        clock.advance(max(0.0, follower.step(clock.now_s()) - clock.now_s()))
        assert clock.now_s() < ends_s + 400.0
    assert follower.last_error is None


def test_an_idle_mount_whose_login_is_not_accepted_asks_for_a_token_now_and_then(
    dropbox: DropboxBackend, service: Service, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def refuse() -> Grant:
        asked.append(clock.now_s())
        raise NotSignedIn("revoked")

    monkeypatch.setattr(dropbox._http, "_tokens", RefreshedToken(refuse, clock))
    idle(dropbox, clock)
    assert 5 <= len(asked) <= MOST_CALLS
    assert isinstance(dropbox.trouble(), NotSignedIn)


@pytest.mark.parametrize("service_name", ["dropbox", "box"])
def test_an_idle_mount_of_a_service_that_is_well_calls_twice_a_minute(
    request: pytest.FixtureRequest, service: Service, clock: FakeClock, service_name: str
) -> None:
    follower = idle(request.getfixturevalue(service_name), clock)
    assert service.calls.total() <= 30, service.calls
    assert follower.last_error is None


def test_our_own_commits_are_looked_at_together_once_a_second(
    service: Service, box: BoxBackend, clock: FakeClock
) -> None:
    """Two hundred of them, four a second: Box announces each."""
    began_s = clock.now_s()

    def committed() -> int:
        return min(200, int(4 * (clock.now_s() - began_s)))

    def page(handler: BaseHTTPRequestHandler) -> None:
        position = handler.path.partition("stream_position=")[2].partition("&")[0]
        since = committed() if position == "now" else int(position)
        entries = [{"event_id": f"{n}", "source": None} for n in range(since, committed())]
        json_answer({"next_stream_position": committed(), "entries": entries})(handler)

    def announce(handler: BaseHTTPRequestHandler) -> None:
        if committed() == 200:
            clock.advance(POLL_S)
        clock.advance(0.25)
        json_answer({"message": "new_change" if committed() < 200 else "reconnect"})(handler)

    service.replies |= {EVENTS: page, SUBSCRIBE: announce}
    idle(box, clock, 60.0)
    assert committed() == 200
    assert service.calls.total() <= 100, service.calls
