"""Hosts that do not answer: who waits for them, and who hears at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

import pytest

from mountfs.backends.http import HttpClient, HttpSettings, TimedOut
from mountfs.backends.silence import (
    GRACE_S,
    LONGEST_PROBE_S,
    PATIENT_PROBES,
    PROBE_S,
    SLOW_S,
    Leave,
    Silences,
)
from mountfs.backends.wire import Request
from mountfs.errors import Offline, Unreachable
from tests.fakes.clock import FakeClock
from tests.unit.backends.scripted import Script, answer, hang_up, stall
from tests.waiting import DEADLINE_S

HOST, LIST, STAT = "api.example", "list_folder", "get_metadata"
SOON_S = 0.1
"""How long a request waits that is never answered; the others have all the time that a client gives."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def silences(clock: FakeClock) -> Silences:
    return Silences(clock)


def call(silences: Silences, clock: FakeClock, route: str = LIST, *, waits_s: float = 60.0) -> float:
    """A call to a host that says nothing: how long it took."""
    began_s = clock.now_s()
    try:
        leave = silences.leave(HOST, route)
    except Unreachable:
        return clock.now_s() - began_s
    clock.advance(min(waits_s, leave.patience_s))
    silences.unanswered(leave, Offline("no answer in time"), began_s, is_timed_out=True)
    silences.over(leave)
    return clock.now_s() - began_s


def is_let_out(silences: Silences, route: str = LIST) -> bool:
    try:
        silences.over(silences.leave(HOST, route))
    except Unreachable:
        return False
    return True


def test_the_first_call_to_a_silent_host_waits_and_the_next_ones_do_not(
    silences: Silences, clock: FakeClock
) -> None:
    assert [call(silences, clock) for _ in range(10)] == [60.0, *[0.0] * 9]


def test_now_and_then_a_probe_is_let_out_and_mostly_waits_for_less(
    silences: Silences, clock: FakeClock
) -> None:
    call(silences, clock)
    began_s, waited = clock.now_s(), []
    for _ in range(600):
        clock.advance(1.0)
        waited.append(call(silences, clock))
    probes = [each for each in waited if each]
    assert set(probes) == {PROBE_S, 60.0}
    assert abs(probes.count(60.0) - len(probes) / PATIENT_PROBES) < 1
    assert len(probes) < 6 * (clock.now_s() - began_s) / 60.0


def test_a_route_whose_answers_take_long_has_probes_that_wait_for_one(
    silences: Silences, clock: FakeClock
) -> None:
    """A page of many changes may take longer to be made than a probe waits: none would find the host back."""
    silences.begun(Leave(HOST, LIST), 8.0)
    call(silences, clock)
    call(silences, clock, STAT)
    clock.advance(1.0)
    assert [silences.leave(HOST, route).patience_s for route in (LIST, STAT)] == [16.0, PROBE_S]
    for took_s, patience_s in ((55.0, LONGEST_PROBE_S), (0.1, PROBE_S)):
        silences.begun(Leave(HOST, LIST), took_s)
        call(silences, clock)
        clock.advance(1.0)
        assert silences.leave(HOST, LIST).patience_s == patience_s


def test_any_reply_of_the_host_ends_its_silence_for_all_routes(silences: Silences, clock: FakeClock) -> None:
    call(silences, clock)
    call(silences, clock, STAT)
    assert not is_let_out(silences, STAT)
    silences.answered("content.example")
    assert not is_let_out(silences, STAT)
    silences.answered(HOST)
    assert all(is_let_out(silences, route) for route in (LIST, STAT) for _ in range(3))


def test_one_route_that_is_not_answered_keeps_no_other_from_asking(
    silences: Silences, clock: FakeClock
) -> None:
    call(silences, clock, "finish_batch")
    leave = silences.leave(HOST, LIST)
    silences.answered(HOST)
    silences.over(leave)
    assert is_let_out(silences) and is_let_out(silences, "finish_batch")


def test_calls_that_wait_side_by_side_are_each_the_last_one_of_their_route(
    silences: Silences, clock: FakeClock
) -> None:
    began_s = clock.now_s()
    leaves = [silences.leave(HOST, route) for route in (LIST, STAT, STAT)]
    clock.advance(60.0)
    for leave in leaves:
        silences.unanswered(leave, Offline("no answer in time"), began_s, is_timed_out=True)
        silences.over(leave)
    assert not is_let_out(silences) and not is_let_out(silences, STAT)
    clock.advance(1.0)
    assert is_let_out(silences) and is_let_out(silences, STAT)


def test_a_call_that_is_late_while_others_are_answered_is_no_silence(
    silences: Silences, clock: FakeClock
) -> None:
    late, began_s = silences.leave(HOST, LIST), clock.now_s()
    clock.advance(1.0)
    silences.answered(HOST)
    clock.advance(59.0)
    assert not silences.unanswered(late, Offline("late"), began_s, is_timed_out=True)
    assert is_let_out(silences)


def test_a_host_that_refuses_soon_is_not_silent(silences: Silences, clock: FakeClock) -> None:
    leave = silences.leave(HOST, LIST)
    silences.unanswered(leave, Unreachable("refused"), clock.now_s(), is_timed_out=False)
    assert is_let_out(silences)
    call(silences, clock)
    clock.advance(1.0)
    probe = silences.leave(HOST, LIST)
    silences.unanswered(probe, Unreachable("refused"), clock.now_s(), is_timed_out=False)
    silences.over(probe)
    assert is_let_out(silences)


def test_a_name_server_that_says_nothing_for_long_is_silence(silences: Silences, clock: FakeClock) -> None:
    leave, began_s = silences.leave(HOST, LIST), clock.now_s()
    clock.advance(20.0)
    assert silences.unanswered(leave, Unreachable("no name"), began_s, is_timed_out=False)
    assert not is_let_out(silences)


def test_a_probe_that_ends_without_a_word_leaves_its_place_to_the_next(
    silences: Silences, clock: FakeClock
) -> None:
    call(silences, clock)
    clock.advance(1.0)
    probe = silences.leave(HOST, LIST)
    clock.advance(GRACE_S)
    assert not is_let_out(silences)
    silences.over(probe)  # its body could not be read, say
    assert is_let_out(silences)


def test_a_probe_that_takes_long_does_not_keep_the_others_for_as_long(
    silences: Silences, clock: FakeClock
) -> None:
    call(silences, clock)
    clock.advance(1.0)
    first = silences.leave(HOST, LIST)
    clock.advance(PROBE_S)
    second = silences.leave(HOST, LIST)
    silences.over(first)
    clock.advance(GRACE_S)
    assert not is_let_out(silences)
    silences.over(second)


def test_calls_that_begin_while_a_probe_is_answered_all_get_through(
    silences: Silences, clock: FakeClock
) -> None:
    call(silences, clock)
    clock.advance(1.0)
    probe = silences.leave(HOST, LIST)
    with ThreadPoolExecutor(3) as pool:
        others = [pool.submit(silences.leave, HOST, LIST) for _ in range(3)]
        silences.answered(HOST)
        assert [each.result() for each in others] == [Leave(HOST, LIST)] * 3
    silences.over(probe)


# Through the client


def test_a_silent_service_is_asked_once_until_it_answers() -> None:
    clock, release = FakeClock(), threading.Event()
    client = HttpClient(clock)
    with Script(answer(200), stall(release), answer(200, b"back")) as server:

        def ask(*, is_read: bool = True, waits_s: float | None = None) -> bytes:
            request = Request("POST", f"{server.url}/x", LIST, is_read=is_read, read_timeout_s=waits_s)
            return client.exchange(request).body

        ask()
        with pytest.raises(TimedOut):
            ask(waits_s=SOON_S)
        for is_read in (True, False) * 5:
            with pytest.raises(Unreachable, match="does not answer in time"):
                ask(is_read=is_read)
        assert (client.calls(), len(server.seen)) == ({LIST: 2}, 2)
        assert isinstance(client.trouble(), Offline)
        clock.advance(1.0)
        assert [ask() for _ in range(3)] == [b"back"] * 3
        assert client.trouble() is None
        release.set()
    client.close()


@pytest.mark.parametrize("is_read", [True, False])
def test_a_connection_that_breaks_after_a_while_makes_no_host_silent(is_read: bool) -> None:
    """As where something on the way ends what takes long: a read is repeated, and others are let out."""
    clock = FakeClock()
    client = HttpClient(clock)

    def breaks(handler: BaseHTTPRequestHandler) -> None:
        clock.advance(SLOW_S)
        hang_up(handler)

    with Script(answer(200), breaks, answer(200, b"again")) as server:
        request = Request("POST", f"{server.url}/x", LIST, is_read=is_read)
        client.exchange(request)
        if not is_read:
            with pytest.raises(Offline, match="broke the connection"):
                client.exchange(request)
        assert client.exchange(request).body == b"again"
    client.close()


def test_a_host_that_hangs_up_on_everybody_after_a_while_costs_one_caller_its_time() -> None:
    clock = FakeClock()
    client = HttpClient(clock)

    def breaks(handler: BaseHTTPRequestHandler) -> None:
        clock.advance(SLOW_S)
        hang_up(handler)

    with Script(breaks) as server:
        request = Request("POST", f"{server.url}/x", LIST, is_read=True)
        for _ in range(10):
            with pytest.raises(Offline, match="broke the connection"):
                client.exchange(request)
        assert len(server.seen) == 2  # it was repeated once
    client.close()


def test_the_reply_to_a_probe_may_take_its_time_once_it_has_begun() -> None:
    clock, release = FakeClock(), threading.Event()
    timeouts: set[float | None] = set()

    def on_bytes(_up: int, down: int) -> None:
        clock.advance(2 * PROBE_S if down else 0.0)
        timeouts.update(sock.gettimeout() for sock in client._sockets._open)

    client = HttpClient(clock, settings=HttpSettings(read_timeout_s=30.0, on_bytes=on_bytes))
    with Script(stall(release), answer(200, b"x" * 100)) as server:
        request = Request("POST", f"{server.url}/x", LIST, is_read=True)
        with pytest.raises(TimedOut):
            client.exchange(replace(request, read_timeout_s=SOON_S))
        release.set()
        clock.advance(1.0)
        assert client.exchange(request).body == b"x" * 100
    assert 30.0 in timeouts and PROBE_S not in timeouts
    client.close()


def test_a_host_whose_reply_goes_on_is_not_silent() -> None:
    """A large download takes minutes on a slow link, and only its beginning is a new reply."""
    clock = FakeClock()

    def on_bytes(_up: int, _down: int) -> None:
        clock.advance(30.0)

    client = HttpClient(clock, settings=HttpSettings(on_bytes=on_bytes))
    with Script(answer(200, bytes(1024 * 1024))) as server:
        began_s, late = clock.now_s(), Leave(server.url.partition("//")[2], STAT)
        client.exchange(Request("GET", f"{server.url}/x", LIST, is_read=True))
        assert not client._silences.unanswered(late, Offline("late"), began_s, is_timed_out=True)
        clock.advance(1.0)
        began_s = clock.now_s()
        assert client._silences.unanswered(late, Offline("late"), began_s, is_timed_out=True)
    client.close()


def test_connections_that_went_dead_with_a_silent_host_cost_one_call() -> None:
    """The way to the service is gone for a while, as when a laptop changes its network: what was sent by the
    connections from before is never answered."""
    clock, release, met = FakeClock(), threading.Event(), threading.Barrier(4)
    client = HttpClient(clock)

    def together(handler) -> None:  # type: ignore[no-untyped-def]
        met.wait(DEADLINE_S)
        answer(200)(handler)

    with Script(*[together] * 4, stall(release), answer(200)) as server:

        def ask(waits_s: float | None = None) -> None:
            client.exchange(Request("POST", f"{server.url}/x", LIST, is_read=True, read_timeout_s=waits_s))

        with ThreadPoolExecutor(4) as pool:
            for each in [pool.submit(ask) for _ in range(4)]:
                each.result()
        assert server.connections == 4
        with pytest.raises(TimedOut):
            ask(SOON_S)
        clock.advance(1.0)
        ask()
        assert server.connections == 5  # none of the three that were idle
        release.set()
    client.close()


def test_a_long_poll_that_hears_nothing_makes_no_host_silent() -> None:
    release = threading.Event()
    client = HttpClient(FakeClock())
    with Script(stall(release), answer(200)) as server:
        url = f"{server.url}/x"
        poll = Request("POST", url, "longpoll", is_read=True, is_longpoll=True, read_timeout_s=SOON_S)
        with pytest.raises(TimedOut):
            client.exchange(poll)
        assert client.exchange(Request("POST", url, LIST)).status == 200
        release.set()
    client.close()
