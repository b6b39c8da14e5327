"""What Redis does is what the double and the rule of calls do, step by step, at random, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.fleet import scripts
from daemon.fleet.ports import Granted, Member
from daemon.fleet.redisserver import RedisServer
from mountfs.model.allowance import Allowance, Windows
from tests.doubles.fleetserver import MemoryFleet
from tests.doubles.redisprocess import RedisProcess
from tests.fakes.clock import FakeClock

LEASE_S = 15.0
MEMBERS = [Member(name, f"machine {name}", calls) for calls, name in enumerate("abcde")]
KINDS = (
    (Allowance("calls", 100, 50, 100),),
    (Allowance("calls", 100, 50, 100), Allowance("uploads", 24, 24, 96)),
    (Allowance("tried calls", 80, 40, 800),),
)
STEPS = 1500


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    with RedisProcess(tmp_path_factory.mktemp("redis")) as process:
        yield process


class TimedServer(RedisServer):
    """A Redis whose scripts take the time from a key."""

    def at(self, now_s: float) -> TimedServer:
        self._client.set("now", f"{now_s:.6f}")
        return self


@pytest.fixture
def server(redis: RedisProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TimedServer]:
    for name in ("ENTER", "RENEW", "LEAVE", "REPORT", "LOOK", "TAKE", "REFUSED"):
        text: str = getattr(scripts, name)
        assert text.count("redis.call('TIME')") == 1
        monkeypatch.setattr(
            scripts, name, text.replace("redis.call('TIME')", "{redis.call('GET', 'now'), '0'}")
        )
    made = TimedServer(redis.url, tmp_path.name, lease_s=LEASE_S)
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(3))
def test_calls_leave_when_the_rule_says(server: TimedServer, seed: int) -> None:
    chance, windows, now_s = random.Random(seed), Windows(), 1e6
    for step in range(STEPS):
        now_s += chance.choice([0.0, 0.25, 2.0, 30.0] if chance.random() < 0.3 else [0.0, 0.0625])
        if chance.random() < 0.005:
            now_s += chance.choice([-9000.0, 9000.0])  # the server's clock is set
        wanted = chance.choice(KINDS)
        if chance.random() < 0.01:
            pause_s = chance.choice([0.0, 1.0, 7.0, 300.0])
            windows.refused(wanted, pause_s, now_s)
            server.at(now_s).refused(wanted, pause_s)
        expected_s = windows.take_s(wanted, now_s) - now_s
        assert server.at(now_s).take(wanted) == pytest.approx(expected_s, abs=0.01), step


@pytest.mark.parametrize("seed", range(3))
def test_the_turn_goes_where_the_double_gives_it(server: TimedServer, seed: int) -> None:
    chance, clock = random.Random(seed), FakeClock()
    double = MemoryFleet(clock, LEASE_S)
    tokens: dict[str, int] = {}
    granted = 0
    for step in range(STEPS):
        clock.advance(chance.choice([0.0, 0.0625, 0.5, 2.0]) if chance.random() < 0.98 else LEASE_S)
        me, now_s = chance.choice(MEMBERS), clock.now_s()
        token = tokens.get(me.id, 0)
        match chance.choice(["enter", "enter", "enter", "renew", "leave", "look"]):
            case "enter":
                expected = double.enter(me)
                assert server.at(now_s).enter(me) == expected, step
                if isinstance(expected, Granted):
                    tokens[me.id] = expected.token
                    granted += 1
            case "renew" if token:
                job, is_live = f"job {token}", chance.random() < 0.5
                expected_renewal = double.renew(me, token, job, is_live=is_live)
                assert server.at(now_s).renew(me, token, job, is_live=is_live) == expected_renewal, step
            case "leave" if chance.random() < 0.5:
                double.leave(me, token)
                server.at(now_s).leave(me, token)
            case _:
                seen, shown = server.at(now_s).look(), double.look()
                assert (seen.holder, seen.calls) == (shown.holder, shown.calls)
                assert [each.name for each in seen.waiting] == [each.name for each in shown.waiting]
                assert [each.waited_s for each in seen.waiting] == pytest.approx(
                    [each.waited_s for each in shown.waiting], abs=0.01
                )
    assert granted > 50
