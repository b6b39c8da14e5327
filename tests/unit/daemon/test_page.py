"""The page of a mount: who may look, what is told, what may be done."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from sqlite3 import ProgrammingError
from typing import Any

import pytest

from daemon.cli.pagetoken import page_token
from daemon.config.keys import Listen, loopback
from daemon.control.account import Backlog
from daemon.control.status import MountStatus, Tally, Transfer
from daemon.page.answers import ENDED, Answer, Answers, Asked
from daemon.page.history import EVERY_S, KEPT_S, History
from daemon.page.server import PageServer
from mountfs.clock import SystemClock
from mountfs.errors import NotFound
from mountfs.model.path import RemotePath
from tests.unit.daemon.fakes import FakeAccount
from tests.unit.daemon.test_protocol import STATUS
from tests.unit.daemon.test_status_command import WELL

TOKEN = "a-token-that-nobody-guesses"
HOST = "127.0.0.1:8123"


class Page:
    """Answers about a mount, asked as a browser does."""

    def __init__(self) -> None:
        self.account = FakeAccount(left=Backlog(pending=3))
        self.status: MountStatus = WELL
        self.history = History()
        self.answers = Answers(self.account, lambda: self.status, self.history, SystemClock(), token=TOKEN)
        self.answers.hosts = frozenset({HOST})

    def get(self, target: str, **headers: str) -> Answer:
        named = {"host": HOST, "authorization": f"Bearer {TOKEN}", **headers}
        return self.answers.answer(Asked("GET", target, named))

    def post(self, target: str, body: bytes = b"{}", **headers: str) -> Answer:
        named = {"host": HOST, "authorization": f"Bearer {TOKEN}", "origin": f"http://{HOST}", **headers}
        return self.answers.answer(Asked("POST", target, {k: v for k, v in named.items() if v}, body))


@pytest.fixture
def page() -> Page:
    return Page()


# Who may look


@pytest.mark.parametrize("path", ["/", "/api/state", "/metrics", "/nothing"])
def test_without_the_token_nothing_is_told(page: Page, path: str) -> None:
    for target, authorization in (
        (path, ""),
        (path, "Bearer wrong"),
        (f"{path}?token=wrong", ""),
        (f"{path}?token=ü", "Basic x"),
    ):
        assert page.get(target, authorization=authorization).status == 403


def test_the_token_in_the_address_opens_the_page(page: Page) -> None:
    answer = page.get(f"/?token={TOKEN}", authorization="")
    assert (answer.status, answer.kind) == (200, "text/html; charset=utf-8")
    assert b"<!doctype html>" in answer.body
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8123", "127.0.0.1:1", ""])
def test_a_name_that_was_made_to_lead_here_is_refused(page: Page, host: str) -> None:
    assert page.get("/api/state", host=host).status == 421
    assert page.get("/healthz", host=host).status == 421


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"origin": "null"}, {"authorization": ""}]
)
def test_another_site_cannot_have_anything_done(page: Page, headers: dict[str, str]) -> None:
    assert page.post(f"/api/retry?token={TOKEN}", b"{}", **headers).status == 403
    assert page.account.asked == []


def test_probes_are_told_health_and_no_more(page: Page) -> None:
    well = page.get("/healthz", authorization="")
    assert (well.status, well.body) == (200, b"well\n")
    page.status = STATUS
    ill = page.get("/healthz", authorization="")
    assert (ill.status, ill.body) == (503, b"trouble\n")


# What is told and done


def test_the_state_is_that_of_status_with_what_is_pending(page: Page) -> None:
    page.status = STATUS
    page.history.note(Transfer(left=Tally(2, 10), bytes_per_s=5.0), SystemClock().now_s())
    told: dict[str, Any] = json.loads(page.get("/api/state").body)
    assert told["health"] == "trouble"
    assert told["status"]["remote"] == STATUS.remote
    assert [each["path"] for each in told["pending"]] == ["//0", "//1", "//2"]
    [[_, bytes_per_s, count, size_bytes]] = told["history"]
    assert (bytes_per_s, count, size_bytes) == (5, 2, 10)


def test_what_failed_is_sent_again_and_the_mount_paused(page: Page) -> None:
    assert json.loads(page.post("/api/retry", b'{"path": "/a b"}').body) == {"count": 2, "left": []}
    assert page.post("/api/pause").status == 200
    assert page.post("/api/resume", origin="").status == 200
    assert page.account.asked == ["retry /a b", "hold True", "hold False"]


@pytest.mark.parametrize("body", [b"[", b"[]", b'"x"', b"\xff", b"[" * 10_000])
def test_what_makes_no_sense_is_refused(page: Page, body: bytes) -> None:
    assert page.post("/api/retry", body).status == 400


def test_what_cannot_be_is_told(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: RemotePath) -> None:
        raise NotFound("/x: is gone")

    monkeypatch.setattr(page.account, "retry", gone)
    answer = page.post("/api/retry", b'{"path": "/x"}')
    assert (answer.status, answer.body) == (409, b"/x: is gone\n")
    assert page.post("/api/frob").status == 404
    assert page.get("/frob").status == 404


def test_the_history_is_an_hour_and_no_more() -> None:
    history = History()
    points = int(KEPT_S / EVERY_S)
    for number in range(2 * points):
        assert history.is_due(number * EVERY_S)
        history.note(Transfer(bytes_per_s=float(number)), number * EVERY_S)
        assert not history.is_due(number * EVERY_S + EVERY_S - 1)
    told = history.told((2 * points - 1) * EVERY_S)
    assert len(told) == points + 1
    assert told[0][0] == KEPT_S
    assert told[-1][:2] == [0, 2 * points - 1]


# As a server


@pytest.fixture
def served(page: Page) -> Iterator[PageServer]:
    server = PageServer("127.0.0.1", 0, page.answers)
    server.start()
    yield server
    server.close()


def test_it_answers_on_loopback_and_lets_nobody_frame_or_keep_it(served: PageServer) -> None:
    with urllib.request.urlopen(served.url(TOKEN), timeout=10) as reply:
        assert reply.headers["X-Frame-Options"] == "DENY"
        assert reply.headers["Cache-Control"] == "no-store"
        assert b"mountfs" in reply.read()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(served.url("wrong"), timeout=10)
    with refused.value as error:
        assert error.code == 403


def test_a_long_body_is_not_read(served: PageServer) -> None:
    request = urllib.request.Request(served.url(TOKEN), b"x" * 100_000)
    with pytest.raises((urllib.error.HTTPError, OSError)) as refused:
        urllib.request.urlopen(request, timeout=10)
    if isinstance(refused.value, urllib.error.HTTPError):
        with refused.value as error:
            assert error.code == 413


def test_a_bug_is_an_answer_too(page: Page, served: PageServer, caplog: pytest.LogCaptureFixture) -> None:
    page.status = replace(WELL, account=None)  # type: ignore[arg-type]
    with pytest.raises(urllib.error.HTTPError) as failed:
        urllib.request.urlopen(f"http://127.0.0.1:{served.port}/healthz", timeout=10)
    with failed.value as error:
        assert error.code == 500
    assert "the page failed" in caplog.messages


def test_a_mount_that_has_ended_says_so(page: Page) -> None:
    """A browser asks on over the connection it has, while the account is being closed."""
    page.answers.is_over = lambda: True
    assert page.get("/api/state") == page.post("/api/retry") == ENDED
    assert (page.get("/healthz").status, page.get("/healthz").body) == (503, b"trouble\n")


def test_a_mount_that_ends_while_it_is_asked_is_no_bug(
    page: Page, served: PageServer, caplog: pytest.LogCaptureFixture
) -> None:
    def describe() -> MountStatus:
        page.answers.is_over = lambda: True
        raise ProgrammingError("Cannot operate on a closed database.")

    page.answers._describe = describe
    asked = urllib.request.Request(f"http://127.0.0.1:{served.port}/healthz")
    with pytest.raises(urllib.error.HTTPError) as failed:
        urllib.request.urlopen(asked, timeout=10)
    with failed.value as error:
        assert (error.code, error.read()) == (503, ENDED.body)
    assert caplog.messages == []


# Where and by which token


def test_the_token_is_made_once_and_is_nobody_else_s(tmp_path: Path) -> None:
    token = page_token(tmp_path)
    assert len(token) >= 20
    assert page_token(tmp_path) == token
    assert (tmp_path / "page.token").stat().st_mode & 0o077 == 0
    (tmp_path / "page.token").write_text("short\n")
    assert page_token(tmp_path) not in ("short", token)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("127.0.0.1:8123", Listen("127.0.0.1", 8123)), ("localhost:0", Listen("127.0.0.1", 0)), ("off", None)],
)
def test_a_page_is_served_to_this_machine(given: str, wanted: Listen | None) -> None:
    assert loopback(given) == wanted


@pytest.mark.parametrize(
    "given", ["0.0.0.0:80", "192.168.1.2:80", "8123", "127.0.0.1:x", "127.0.0.1:70000", "a:1"]
)
def test_and_to_no_other(given: str) -> None:
    with pytest.raises(ValueError, match="must be an address of this machine"):
        loopback(given)
