"""Dates in headers: whichever form they have, they are of UTC."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from daemon.signin.reaching import reach
from mountfs.backends.servicetime import ServiceTime, http_date_s
from mountfs.backends.throttle import retry_after_s
from mountfs.model.entry import NS_PER_S
from tests.fakes.clock import FakeClock
from tests.unit.backends.scripted import Script, raw

STATED_S = 784111777.0
FORMS = (
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994",
    "Sun, 06 Nov 1994 08:49:37 -0000",
    "Sun, 06 Nov 1994 08:49:37",
    "Sun, 06 Nov 1994 03:49:37 -0500",
)


@pytest.fixture(params=["UTC", "Asia/Kolkata", "America/New_York"], autouse=True)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's zone is no matter of the service's."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("form", FORMS)
def test_a_date_is_of_utc_in_each_of_its_forms(form: str) -> None:
    assert http_date_s(form) == STATED_S


@pytest.mark.parametrize("form", FORMS)
def test_a_pause_until_a_date_has_its_length(form: str) -> None:
    assert retry_after_s(form, STATED_S - 60.0) == 60.0


@pytest.mark.parametrize("form", FORMS)
def test_the_services_time_is_that_of_its_date(form: str) -> None:
    kept = ServiceTime(FakeClock())
    kept.note(form)
    assert kept.at_ns(kept.now_s()) == STATED_S * NS_PER_S


@pytest.mark.parametrize("form", FORMS)
def test_how_far_the_clocks_are_apart_is_found_by_a_date_of_any_form(form: str) -> None:
    clock = FakeClock()
    reply = f"HTTP/1.1 404 Not Found\r\nDate: {form}\r\nContent-Length: 0\r\n\r\n"
    with Script(raw(reply.encode())) as server:
        found = reach(server.url, clock)
    assert found.ahead_s == clock.wall_ns() / NS_PER_S - STATED_S


@pytest.mark.parametrize("text", ["", "soon", "0", "Sun, 99 Nov 1994 08:49:37 GMT", "1e9", "Sun", ",", ":::"])
def test_what_is_no_date_names_no_time(text: str) -> None:
    assert http_date_s(text) is None
