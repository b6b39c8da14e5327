"""Whether the service answers at all, asked in the background."""

from __future__ import annotations

import threading
from threading import Event

import pytest

from daemon.process.ping import SILENT_S, Ping
from mountfs.errors import Busy, MountfsError, NotSignedIn, ServerFault, Throttled, Unreachable
from tests.fakes.clock import FakeClock
from tests.unit.daemon.fakes import PATIENCE_S


class Service:
    """Answers when the test lets it; fails with *error*."""

    def __init__(self, error: MountfsError | None = None) -> None:
        self.error = error
        self.may_answer = Event()
        self.questions = 0

    def __call__(self) -> None:
        self.questions += 1
        assert self.may_answer.wait(PATIENCE_S)
        if self.error is not None:
            raise self.error


def asked(service: Service, clock: FakeClock | None = None) -> Ping:
    ping = Ping(service, clock or FakeClock())
    ping.ask()
    return ping


def await_answer() -> None:
    """Each question has a thread of its own, which ends with the answer."""
    for thread in threading.enumerate():
        if thread.name == "ping":
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


@pytest.mark.parametrize("error", [Unreachable("refused"), ServerFault("broken"), NotSignedIn("revoked")])
def test_a_service_that_cannot_be_reached_is_away(error: MountfsError) -> None:
    service = Service(error)
    ping = asked(service)
    assert ping.trouble() == ""
    service.may_answer.set()
    await_answer()
    assert ping.trouble() == f"the service does not answer: {error}"


@pytest.mark.parametrize("error", [None, Throttled("slow down"), Busy("locked")])
def test_one_that_says_anything_is_there(error: MountfsError | None) -> None:
    service = Service(error)
    service.may_answer.set()
    ping = asked(service)
    await_answer()
    assert ping.trouble() == ""


def test_one_that_is_silent_for_long_is_away_and_is_not_asked_twice_at_once() -> None:
    clock, service = FakeClock(), Service()
    ping = asked(service, clock)
    ping.ask()
    clock.advance(SILENT_S)
    assert "silent" in ping.trouble()
    service.may_answer.set()
    await_answer()
    assert ping.trouble() == ""
    assert service.questions == 1


def test_what_was_heard_last_counts() -> None:
    service = Service(Unreachable("refused"))
    service.may_answer.set()
    ping = asked(service)
    await_answer()
    service.error = None
    ping.ask()
    await_answer()
    assert ping.trouble() == ""
