"""A rate that a person has set, kept by all requests together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mountfs.backends.bandwidth import Line
from mountfs.backends.http import HttpClient
from mountfs.backends.wire import Request
from mountfs.model.rates import Rates
from tests.fakes.clock import FakeClock
from tests.unit.backends.scripted import Script, answer

KIB = 1024


def test_a_line_without_a_bound_lets_all_through() -> None:
    assert [Line().wait_s(1 << 30, 0.0) for _ in range(3)] == [0.0] * 3


def test_those_that_ask_side_by_side_get_their_turn_one_after_the_other() -> None:
    line = Line()
    line.limit(1000)
    assert [line.wait_s(500, 10.0) for _ in range(3)] == [0.0, 0.5, 1.0]
    assert line.wait_s(500, 11.5) == 0.0


def test_a_new_bound_holds_at_once_also_for_those_that_would_still_wait() -> None:
    line = Line()
    line.limit(1000)
    line.wait_s(3_600_000, 0.0)
    line.limit(500_000)
    assert line.wait_s(1, 0.0) == 0.0
    line.limit(None)
    assert line.wait_s(1, 0.0) == 0.0


class Patient(HttpClient):
    """Waits by its clock alone, and remembers how long."""

    waited: list[float]

    def pause(self, seconds: float) -> None:
        if seconds:
            self.waited.append(seconds)
            clock = self._clock
            assert isinstance(clock, FakeClock)
            clock.advance(seconds)


@pytest.fixture
def client() -> Iterator[Patient]:
    client = Patient(FakeClock())
    client.waited = []
    yield client
    client.close()


def request(url: str, body: bytes = b"") -> Request:
    return Request("POST", f"{url}/x", "x", body=body, is_read=True, most_bytes=1 << 24)


def test_what_is_sent_keeps_to_the_rate_up(client: Patient) -> None:
    client.bandwidth.limit(Rates(up_bytes_s=64 * KIB))
    with Script(answer(200), answer(200)) as server:
        client.exchange(request(server.url, bytes(192 * KIB)))
        client.exchange(request(server.url, bytes(1)))
    assert sum(client.waited) == pytest.approx(3.0)
    assert [len(seen.body) for seen in server.seen] == [192 * KIB, 1]


def test_what_is_received_keeps_to_the_rate_down_and_is_not_too_slow_for_that(client: Patient) -> None:
    client.bandwidth.limit(Rates(down_bytes_s=16 * KIB))
    body = bytes(4096 * KIB)
    with Script(answer(200, body), answer(200)) as server:
        assert client.exchange(request(server.url)).body == body
        client.exchange(request(server.url))
    # Longer than the client would bear from a service that is so slow by itself.
    assert sum(client.waited) > 200
