"""The rules of a fleet on a real Redis, and on the double that other tests use in its place."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from daemon.fleet.ports import Granted, Member, Queued
from daemon.fleet.redisserver import RedisServer
from daemon.fleet.scripts import KEYS
from mountfs.clock import SystemClock
from mountfs.errors import Offline, Unreachable
from mountfs.model.allowance import Allowance
from tests.doubles.fleetserver import MemoryFleet
from tests.doubles.redisprocess import RedisProcess
from tests.waiting import until

LEASE_S = 600.0
"""Longer than a test. Each call brings its own: one of 0 s is over at once."""
Server = RedisServer | MemoryFleet
A, B, C = (Member(name, f"machine {name}", calls) for calls, name in enumerate("abc"))
UPLOADS = Allowance("uploads", 20, 20, 20)
TRIED = Allowance("uploads", 20, 20, 40)
CALLS = Allowance("calls", 200, 30, 200)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    with RedisProcess(tmp_path_factory.mktemp("redis"), password="secret") as process:
        yield process


@pytest.fixture(params=["redis", "memory"])
def server(request: pytest.FixtureRequest, redis: RedisProcess) -> Iterator[Server]:
    """A fleet that nobody has asked yet, in which a turn lasts LEASE_S."""
    made: Server
    if request.param == "memory":
        made = MemoryFleet(SystemClock(), LEASE_S)
    else:
        key = request.node.name
        made = RedisServer(redis.url, key, password="secret", lease_s=LEASE_S)
    yield made
    made.close()


def entered(server: Server, me: Member) -> Granted:
    """The turn, as the server gives it once a lease has passed without a word of anybody."""
    server.lease_s = 0.0
    found = server.enter(me)
    assert isinstance(found, Granted)
    server.lease_s = LEASE_S
    assert server.renew(me, found.token, found.job)
    return found


def had(server: Server, me: Member) -> Granted:
    """The turn, as soon as nobody else has it."""
    found: list[Granted] = []

    def enter() -> bool:
        got = server.enter(me)
        found.extend([got] if isinstance(got, Granted) else [])
        return bool(found)

    until(enter, f"{me.name} has the turn")
    return found[0]


def run_out(server: Server, me: Member, token: int, job: str) -> None:
    """*me* tells its job once more, and then nothing for a lease."""
    server.lease_s = 0.0
    assert server.renew(me, token, job)
    server.lease_s = LEASE_S


def test_a_server_that_knows_nothing_waits_for_a_lease_before_it_gives_a_turn(server: Server) -> None:
    assert [server.enter(A) for _ in range(2)] == [Queued(0)] * 2
    assert entered(server, A).job == ""


def test_the_turn_goes_round_in_the_order_of_arrival(server: Server) -> None:
    first = entered(server, A)
    assert server.enter(B) == Queued(0, "machine a")
    assert server.enter(C) == Queued(1, "machine a")
    server.leave(A, first.token)
    assert server.enter(C) == Queued(1)
    second = entered(server, B)
    assert second.token > first.token
    assert second.job == ""
    assert server.enter(A) == Queued(1, "machine b")
    server.leave(C, 0)
    assert server.enter(A) == Queued(0, "machine b")


def test_a_turn_is_kept_by_who_renews_it_and_its_job_is_told_to_who_takes_it_over(
    server: Server,
) -> None:
    first = entered(server, A)
    for _ in range(5):
        assert server.renew(A, first.token, "put:1")
        assert isinstance(server.enter(B), Queued)
    run_out(server, A, first.token, "put:1")
    second = entered(server, B)
    assert second.job == "put:1"
    assert second.token > first.token
    assert not server.renew(A, first.token, "put:1")
    server.leave(A, first.token)
    assert server.renew(B, second.token, "")


def test_a_turn_that_is_asked_for_again_is_the_same(server: Server) -> None:
    assert entered(server, A).token == entered(server, A).token


def test_a_turn_that_the_server_forgot_is_taken_up_by_its_holder_alone(server: Server) -> None:
    assert not server.renew(C, 10**15 - 2, "", is_live=False)  # of one that was stopped
    assert server.renew(C, 10**15 - 2, "")
    assert server.renew(A, 10**15, "put:1")
    assert server.renew(A, 10**15, "put:1", is_live=False)
    assert not server.renew(C, 10**15 - 2, "")
    assert not server.renew(B, 10**15 - 1, "")
    run_out(server, A, 10**15, "put:1")
    second = entered(server, B)
    assert second.token > 10**15
    assert second.job == "put:1"


def test_what_everybody_sees_of_the_fleet(server: Server) -> None:
    entered(server, A)
    server.enter(B)
    server.report(C)
    view = server.look()
    assert view.holder == "machine a"
    assert [each.name for each in view.waiting] == ["machine b"]
    assert view.waiting[0].waited_s < 10.0
    assert view.calls == (("machine a", 0), ("machine b", 1), ("machine c", 2))


def test_calls_of_all_machines_are_counted_together(server: Server) -> None:
    waits_s = [server.take((CALLS, UPLOADS)) for _ in range(22)]
    assert waits_s[:20] == [0.0] * 20
    assert waits_s[20] == pytest.approx(61.0, abs=2.0)
    assert [server.take((CALLS,)) for _ in range(8)] == [0.0] * 8
    spread_s = [server.take((CALLS,)) for _ in range(5)]
    assert spread_s == sorted(spread_s)
    assert spread_s[-1] == pytest.approx(3 * 61.0 / 170, abs=1.0)


def test_more_is_tried_until_the_service_objects(server: Server) -> None:
    assert [server.take((TRIED,)) for _ in range(21)] == [0.0] * 21
    assert server.take((TRIED,)) == pytest.approx(61.0, abs=2.0)
    server.refused((TRIED,), 3.0)
    assert server.take((CALLS,)) == pytest.approx(3.0, abs=1.0)
    assert server.take((TRIED,)) == pytest.approx(61.0, abs=2.0)


def test_what_is_not_limited_asks_nobody() -> None:
    nowhere = RedisServer("redis://127.0.0.1:1/0", "box-1")
    assert nowhere.take((Allowance("calls", 10**6, 10**6, 10**6),)) == 0.0
    nowhere.close()


def test_a_server_that_is_away_or_refuses_or_is_silent_is_told_as_that(redis: RedisProcess) -> None:
    with pytest.raises(Unreachable, match="cannot be reached"):
        RedisServer("redis://127.0.0.1:1/0", "box-1").look()
    with pytest.raises(Unreachable, match="refuses the password"):
        RedisServer(redis.url, "box-1", password="wrong").look()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(Offline):
            RedisServer(f"redis://127.0.0.1:{port}/0", "box-1").look()


def test_many_that_ask_at_once_have_the_turn_one_after_the_other(
    redis: RedisProcess, request: pytest.FixtureRequest
) -> None:
    def connected() -> RedisServer:
        return RedisServer(redis.url, request.node.name, password="secret", lease_s=LEASE_S)

    first = connected()
    first._client.hset(first._keys[KEYS.index("meta")], "born", 0)  # longer ago than a lease
    held: list[str] = []
    most_held: list[int] = []

    def machine(me: Member) -> None:
        server = connected()
        for _ in range(10):
            token = had(server, me).token
            held.append(me.id)
            most_held.append(len(held))
            server.renew(me, token, "")
            held.remove(me.id)
            server.leave(me, token)

    threads = [threading.Thread(target=machine, args=(Member(f"m{n}", ""),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most_held == [1] * 40
