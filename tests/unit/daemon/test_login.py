"""Credentials that are written anew while a mount runs."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daemon.config.settings import AccountRemote, find_remote, load
from daemon.signin.credentials import StaticToken, Tokens
from daemon.signin.login import Login
from mountfs.backends.http import HttpClient
from mountfs.backends.wire import Request
from mountfs.errors import NotSignedIn, Offline
from tests.fakes.clock import FakeClock
from tests.unit.backends.scripted import Script, answer
from tests.waiting import until


@dataclass
class Machine:
    """A configuration, the login of its remote, and what the service says of tokens."""

    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    owners: dict[str, str] = field(default_factory=lambda: {"old": "us", "new": "us", "theirs": "them"})
    is_online: bool = True
    asked: int = 0
    answers: threading.Event = field(default_factory=threading.Event)
    """Set: the service says at once whose a token is."""

    def __post_init__(self) -> None:
        self.answers.set()
        self.write("old")
        self.login = Login(
            self.file,
            self.read(),
            self.clock,
            read=self.read,
            make=lambda remote: StaticToken(remote.access_token or ""),
            is_ours=self.is_ours,
        )

    @property
    def file(self) -> Path:
        return self.folder / "mountfs.toml"

    def write(self, token: str, more: str = "") -> None:
        self.put(f'[remotes.work]\ntype = "dropbox"\naccess_token = "{token}"\n{more}')

    def put(self, text: str) -> None:
        """As editors do: a new file in the old one's place."""
        draft = self.folder / "draft"
        draft.touch(mode=0o600)
        draft.write_text(text)
        draft.replace(self.file)

    def read(self) -> AccountRemote:
        remote = find_remote(load([], explicit=self.file), "work")
        assert isinstance(remote, AccountRemote)
        return remote

    def is_ours(self, _remote: AccountRemote, tokens: Tokens) -> bool:
        self.asked += 1
        assert self.answers.wait(10.0)
        if not self.is_online:
            raise Offline("away")
        owner = self.owners.get(tokens.current())
        if owner is None:
            raise NotSignedIn("expired")
        return owner == "us"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_new_credentials_are_taken_with_the_next_call(machine: Machine) -> None:
    assert machine.login.current() == "old"
    machine.write("new")
    assert [machine.login.current() for _ in range(3)] == ["new"] * 3
    assert machine.asked == 1


def test_a_call_beside_the_one_that_tries_new_credentials_gets_them_too(machine: Machine) -> None:
    """With the old ones, which may be refused, it would fail although its user has just signed in again."""
    machine.answers.clear()
    machine.write("new")
    with ThreadPoolExecutor(2) as calls:
        first = calls.submit(machine.login.current)
        until(lambda: machine.asked == 1, "one asks whose they are")
        second = calls.submit(machine.login.current)
        with pytest.raises(TimeoutError):
            second.result(0.05)
        machine.answers.set()
        assert (first.result(), second.result()) == ("new", "new")
    assert machine.asked == 1


def test_a_mount_that_is_signed_out_works_as_soon_as_there_are_new_ones(machine: Machine) -> None:
    client = HttpClient(machine.clock, machine.login)
    with Script(answer(401), answer(200)) as server:
        for _ in range(2):
            with pytest.raises(NotSignedIn):
                client.exchange(Request("POST", server.url, "list", is_read=True))
        machine.write("new")
        assert client.exchange(Request("POST", server.url, "list", is_read=True)).status == 200
        assert [seen.headers["authorization"] for seen in server.seen] == ["Bearer old", "Bearer new"]
    client.close()


@pytest.mark.parametrize("text", ["[remotes.work", "", '[remotes.work]\ntype = "dropbox"\n'])
def test_a_file_that_cannot_be_read_changes_nothing_until_it_can(machine: Machine, text: str) -> None:
    machine.put(text)
    assert machine.login.current() == "old"
    machine.write("new")
    assert machine.login.current() == "new"


def test_a_change_of_something_else_asks_nobody(machine: Machine) -> None:
    machine.write("old", 'path_root = "root"\n')
    assert machine.login.current() == "old"
    assert machine.asked == 0


@pytest.mark.parametrize(("token", "why"), [("theirs", "another account"), ("spent", "expired")])
def test_credentials_that_do_not_lead_to_the_account_are_not_taken_and_told(
    machine: Machine, caplog: pytest.LogCaptureFixture, token: str, why: str
) -> None:
    machine.write(token)
    with caplog.at_level(logging.WARNING):
        assert [machine.login.current() for _ in range(3)] == ["old"] * 3
    assert machine.asked == 1
    [line] = caplog.messages
    assert why in line


def test_while_the_service_is_away_new_credentials_are_tried_again_now_and_then(machine: Machine) -> None:
    machine.is_online = False
    machine.write("new")
    for _ in range(600):
        assert machine.login.current() == "old"
        machine.clock.advance(1.0)
    assert machine.asked < 40
    machine.is_online = True
    machine.clock.advance(30.0)
    assert machine.login.current() == "new"


def test_new_credentials_that_were_refused_by_mistake_are_taken_later(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    del machine.owners["new"]
    machine.write("new")
    with caplog.at_level(logging.WARNING):
        for _ in range(600):
            assert machine.login.current() == "old"
            machine.clock.advance(1.0)
    assert machine.asked <= 20
    assert len(caplog.messages) == 1
    machine.owners["new"] = "us"
    machine.clock.advance(120.0)
    assert machine.login.current() == "new"


def test_credentials_written_after_some_that_were_refused_are_taken_with_the_next_call(
    machine: Machine,
) -> None:
    machine.write("spent")
    for _ in range(100):
        machine.login.current()
        machine.clock.advance(1.0)
    machine.write("newest, " * 3)
    assert machine.login.current() == "old"
    machine.write("new")
    assert machine.login.current() == "new"
