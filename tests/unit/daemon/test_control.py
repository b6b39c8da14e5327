"""The control socket and its client, over a real socket."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
import socket
import stat
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from daemon.control.account import Backlog
from daemon.control.client import Client, Elsewhere
from daemon.control.protocol import (
    CHANGES_A_LINE,
    CommandRequest,
    Discarded,
    DiscardRequest,
    FailedChange,
    Listed,
    PartDone,
    PendingFiles,
    PendingRequest,
    Progress,
    Reply,
    Request,
    Retried,
    RetryRequest,
    Settled,
    StatusReply,
    StatusRequest,
    Stopped,
    StopRequest,
    Synced,
    SyncRequest,
    WaitRequest,
    encode,
)
from daemon.control.server import ControlServer, Conversation
from daemon.control.status import Tally, Transfer
from daemon.failure import Failure
from daemon.places.runtimedir import socket_path
from mountfs.clock import SystemClock
from mountfs.errors import Offline
from tests.unit.daemon.fakes import PATIENCE_S, FakeAccount
from tests.unit.daemon.test_protocol import STATUS
from tests.waiting import until


class FakeLifecycle:
    """Drains when the test says so."""

    def __init__(self) -> None:
        self.asked: list[float | None] = []
        self.drained = Event()
        self.left = 0
        self.why_left = ""

    def ask_stop(self, timeout_s: float | None = None) -> None:
        self.asked.append(timeout_s)

    def await_drained(self, timeout_s: float) -> int | None:
        return self.left if self.drained.wait(min(timeout_s, 0.01)) else None


@pytest.fixture
def account() -> FakeAccount:
    return FakeAccount()


@pytest.fixture
def lifecycle() -> FakeLifecycle:
    return FakeLifecycle()


@pytest.fixture
def server(tmp_path: Path, account: FakeAccount, lifecycle: FakeLifecycle) -> Iterator[ControlServer]:
    talk = Conversation(account, lifecycle, lambda: STATUS, SystemClock())
    server = ControlServer(tmp_path / "s", talk.answer)
    server.start()
    yield server
    server.close()


@pytest.fixture
def client(tmp_path: Path, server: ControlServer) -> Client:
    return Client(Path("/mnt/x"), tmp_path / "s", silence_s=PATIENCE_S)


def test_status_is_told(client: Client) -> None:
    assert list(client.ask(StatusRequest())) == [StatusReply(STATUS)]


def test_a_wait_for_nothing_ends_at_once(client: Client, account: FakeAccount) -> None:
    assert list(client.ask(WaitRequest("/a/b"))) == [Settled(0)]
    assert account.asked == ["hurry /a/b", "relax"]


def test_a_wait_at_a_path_where_nothing_is_is_refused(client: Client, account: FakeAccount) -> None:
    account.absent.add("/a/b")
    with pytest.raises(Failure, match="b does not exist in /a"):
        list(client.ask(WaitRequest("/a/b")))


def test_a_wait_whose_time_is_up_is_not_kept_by_a_service_that_does_not_tell_what_is_there(
    client: Client, account: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Event()
    told: list[bool] = []
    monkeypatch.setattr(account, "check_known", lambda _path: told.append(answers.wait(PATIENCE_S)))
    account.left = Backlog(pending=1)
    assert list(client.ask(WaitRequest("/a/b", timeout_s=0))) == [Settled(1)]
    assert not told
    answers.set()


def test_a_wait_tells_its_progress_and_then_the_end(client: Client, account: FakeAccount) -> None:
    account.left = Backlog(pending=2, size_bytes=10)
    replies = client.ask(WaitRequest("/"))
    assert next(replies) == Progress(2, 10, Transfer(left=Tally(2, 10)))
    account.left = Backlog()
    assert list(replies)[-1] == Settled(0)


def test_a_wait_tells_why_nothing_gets_on(client: Client, account: FakeAccount) -> None:
    account.left, account.trouble = Backlog(pending=2), "you paused the mount"
    replies = client.ask(WaitRequest("/"))
    first = next(replies)
    assert isinstance(first, Progress)
    assert first.held_up == "you paused the mount"
    account.left = Backlog()
    assert list(replies)[-1] == Settled(0)


def test_a_wait_includes_files_that_are_still_open(client: Client, account: FakeAccount) -> None:
    account.left = Backlog(open_files=1)
    assert list(client.ask(WaitRequest("/", timeout_s=0))) == [Settled(1)]


def test_a_wait_runs_out_of_time_and_lists_what_failed(client: Client, account: FakeAccount) -> None:
    account.failed = (FailedChange("/a", "name refused"),)
    account.left = Backlog(pending=1)
    assert list(client.ask(WaitRequest("/", timeout_s=0.05)))[-1] == Settled(1, account.failed)


MANY = tuple(
    FailedChange(f"/Ordner \u00fc {number}/{'x' * 200}", "name refused " * 50) for number in range(11000)
)
"""Together far more than a reader takes in one line."""


@pytest.mark.parametrize("number", [0, 1, CHANGES_A_LINE, CHANGES_A_LINE + 1, len(MANY)])
@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (WaitRequest("/"), lambda told: Settled(0, told)),
        (RetryRequest("/"), lambda told: Retried(2, told)),
        (DiscardRequest("/"), lambda told: Discarded(1, 5, ("/",), told)),
    ],
)
def test_however_much_failed_all_of_it_is_told(
    client: Client,
    account: FakeAccount,
    request_: Request,
    expected: Callable[[tuple[FailedChange, ...]], Reply],
    number: int,
) -> None:
    account.failed = MANY[:number]
    assert list(client.ask(request_)) == [expected(account.failed)]


def test_a_sync_is_carried_out(client: Client, account: FakeAccount) -> None:
    assert list(client.ask(SyncRequest())) == [Synced()]
    assert account.asked == ["sync"]


@pytest.mark.parametrize(
    ("name", "request_", "last"),
    [
        ("sync", SyncRequest(), Synced()),
        ("retry", RetryRequest("/"), Retried(2)),
        ("discard", DiscardRequest("/"), Discarded(1, 5, ("/",))),
        ("pending_files", PendingRequest("/"), Listed(1)),
    ],
)
def test_what_takes_long_is_heard_of_meanwhile(
    client: Client,
    account: FakeAccount,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    request_: Request,
    last: Reply,
) -> None:
    """A client takes a minute of silence for death."""
    monkeypatch.setattr("daemon.control.server.PROGRESS_S", 0.01)
    done, do = Event(), getattr(account, name)

    def take_long(*args: Any, **named: Any) -> Any:
        assert done.wait(PATIENCE_S)
        return do(*args, **named)

    monkeypatch.setattr(account, name, take_long)
    replies = client.ask(request_)
    assert [next(replies), next(replies)] == [Progress(0, 0)] * 2
    done.set()
    assert list(replies)[-1] == last


def test_a_command_tells_how_far_it_is_and_ends_with_its_client(
    client: Client, account: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends the client, and nobody else would end what it asked for."""
    monkeypatch.setattr("daemon.control.server.PROGRESS_S", 0.01)
    replies = client.ask(CommandRequest("go on", "/d"))
    assert next(reply for reply in replies if reply != Progress(0, 0)) == PartDone(2, 5)
    assert isinstance(replies, Generator)
    replies.close()
    until(lambda: account.asked == ["ended"], "the command hears that nobody waits")


def test_what_was_refused_is_tried_again_where_it_is_asked_for(client: Client, account: FakeAccount) -> None:
    account.failed = (FailedChange("/a/c", "rename it"),)
    assert list(client.ask(RetryRequest("/a"))) == [Retried(2, account.failed)]
    assert account.asked == ["retry /a"]


def test_pending_files_are_listed_in_parts(
    client: Client, account: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.control.server.PATHS_A_LINE", 2)
    account.left = Backlog(pending=3)
    assert list(client.ask(PendingRequest("/a"))) == [
        PendingFiles(("/a/0", "/a/1")),
        PendingFiles(("/a/2",)),
        Listed(1),
    ]


@pytest.mark.parametrize("is_trial", [True, False])
def test_what_is_pending_is_given_up_or_only_told(
    client: Client, account: FakeAccount, is_trial: bool
) -> None:
    assert list(client.ask(DiscardRequest("/a", is_trial))) == [Discarded(1, 5, ("/a",))]
    assert account.asked == [f"discard /a {is_trial}"]


def test_a_stop_is_over_when_the_process_lets_go(
    client: Client, server: ControlServer, lifecycle: FakeLifecycle, account: FakeAccount
) -> None:
    account.left = Backlog(pending=3, size_bytes=9)
    replies = client.ask(StopRequest(timeout_s=7), until_closed=True)
    assert next(replies) == Progress(3, 9, Transfer(left=Tally(3, 9)))
    lifecycle.left, lifecycle.why_left = 3, "the service is away"
    lifecycle.drained.set()
    assert next(reply for reply in replies if not isinstance(reply, Progress)) == Stopped(
        3, "the service is away"
    )
    server.close()
    assert list(replies) == []
    assert lifecycle.asked == [7]


def test_what_the_core_refuses_is_one_line(
    client: Client, account: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "sync", _raising(Offline("the service is away")))
    with pytest.raises(Failure, match="/mnt/x: the service is away"):
        list(client.ask(SyncRequest()))


def test_a_bug_is_logged_there_and_told_here(
    client: Client, account: FakeAccount, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(account, "sync", _raising(KeyError("oops")))
    with pytest.raises(Failure, match="KeyError: 'oops'"):
        list(client.ask(SyncRequest()))
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def _raising(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def test_nonsense_is_rejected_and_the_next_client_served(tmp_path: Path, client: Client) -> None:
    with socket.socket(socket.AF_UNIX) as rude:
        rude.settimeout(PATIENCE_S)
        rude.connect(str(tmp_path / "s"))
        rude.sendall(b"GET / HTTP/1.1\n")
        assert b"not a line of JSON" in rude.makefile("rb").readline()
    assert list(client.ask(SyncRequest())) == [Synced()]


HOSTILE = {
    "deep": b"[" * 60_000 + b"\n",
    "deep in a key": b'{"v": 1, "kind": ' + b"[" * 60_000 + b"\n",
    "long": b"x" * 70_000 + b"\n",
    "a long number": b'{"v": 1, "kind": "stop", "timeout_s": ' + b"9" * 60_000 + b"}\n",
    "not a number": b'{"v": 1, "kind": "stop", "timeout_s": NaN}\n',
    "not text": b"\xff\xfe\n",
    "a list": b"[]\n",
    "empty": b"\n",
}


@pytest.mark.parametrize("request_line", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_request_is_rejected_in_one_line_and_nothing_else_happens(
    tmp_path: Path, client: Client, caplog: pytest.LogCaptureFixture, request_line: bytes
) -> None:
    with socket.socket(socket.AF_UNIX) as rude:
        rude.settimeout(PATIENCE_S)
        rude.connect(str(tmp_path / "s"))
        with contextlib.suppress(BrokenPipeError):
            rude.sendall(request_line)
        with contextlib.suppress(ConnectionResetError):  # of what was sent behind the longest line
            assert b'"rejected"' in rude.makefile("rb").readline()
    assert list(client.ask(SyncRequest())) == [Synced()]
    assert not caplog.records


def test_clients_that_say_nothing_keep_no_other_from_its_answer(tmp_path: Path, client: Client) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(100):
            silent = stack.enter_context(socket.socket(socket.AF_UNIX))
            silent.settimeout(PATIENCE_S)
            silent.connect(str(tmp_path / "s"))
            silent.sendall(b'{"v"' if number % 2 else b"")
        assert list(client.ask(SyncRequest())) == [Synced()]


def test_when_all_seats_are_taken_by_clients_that_wait_another_is_turned_away(
    tmp_path: Path, client: Client, account: FakeAccount
) -> None:
    account.left = Backlog(pending=1)
    seated: list[socket.socket] = []
    with contextlib.ExitStack() as stack:
        for _ in range(64):
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
            waiting.settimeout(PATIENCE_S)
            waiting.connect(str(tmp_path / "s"))
            waiting.sendall(encode(WaitRequest("/")))
            assert b'"progress"' in waiting.recv(65536)
            seated.append(waiting)
        with pytest.raises(Failure):
            list(client.ask(StatusRequest()))
        account.left = Backlog()
        for waiting in seated:
            while b'"settled"' not in waiting.recv(65536):
                pass
            while waiting.recv(65536):
                pass
        assert list(client.ask(SyncRequest())) == [Synced()]


def test_a_process_without_a_free_descriptor_still_answers(tmp_path: Path, server: ControlServer) -> None:
    """And goes on once it has some again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    first, second = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    taken: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        for each in (first, second):
            each.settimeout(PATIENCE_S)
            each.connect(str(tmp_path / "s"))
        for each in (first, second):
            each.sendall(encode(StatusRequest()))
            assert b'"status"' in each.recv(65536)
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        first.close()
        second.close()
    assert list(Client(Path("/mnt/x"), tmp_path / "s").ask(SyncRequest())) == [Synced()]


def test_a_process_that_can_start_no_thread_turns_one_client_away_and_serves_the_next(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Thread.start
    failures = [RuntimeError("can't start new thread")]

    def starting(thread: Thread) -> None:
        if failures and thread.name == "control-client":
            raise failures.pop()
        start(thread)

    monkeypatch.setattr(Thread, "start", starting)
    with pytest.raises(Failure):
        list(client.ask(StatusRequest()))
    assert list(client.ask(StatusRequest())) == [StatusReply(STATUS)]


def test_a_client_that_leaves_is_no_event(
    tmp_path: Path, client: Client, account: FakeAccount, caplog: pytest.LogCaptureFixture
) -> None:
    account.left = Backlog(pending=1)
    with socket.socket(socket.AF_UNIX) as hasty:
        hasty.connect(str(tmp_path / "s"))
        hasty.sendall(encode(WaitRequest("/")))
    assert list(client.ask(SyncRequest())) == [Synced()]
    assert not caplog.records


def test_the_socket_is_for_its_owner_alone(tmp_path: Path, server: ControlServer) -> None:
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600


def test_a_socket_left_by_a_killed_process_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    server = ControlServer(tmp_path / "s", _synced)
    server.start()
    assert list(Client(Path("/m"), tmp_path / "s").ask(SyncRequest())) == [Synced()]
    server.close()
    server.close()
    assert not (tmp_path / "s").exists()


def _synced(request: Request) -> Iterator[Synced]:
    yield Synced()


def test_a_process_that_no_longer_listens_is_told(tmp_path: Path) -> None:
    gone = socket_path({"XDG_RUNTIME_DIR": str(tmp_path)}, os.getuid(), 812)
    with pytest.raises(Failure, match="/m: the mount's process no longer listens"):
        list(Client(Path("/m"), gone).ask(StatusRequest()))
    with pytest.raises(Failure, match="no longer listens; run: kill 812, which sends what is pending"):
        list(Client(Path("/m"), gone).ask(StatusRequest()))
    with pytest.raises(Elsewhere, match="/m: its process runs in another container; run the command there"):
        list(Client(Path("/m"), tmp_path / "812-7.sock").ask(StatusRequest()))


def test_a_socket_of_somebody_else_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may enter every directory, so the kernel's answer is played.
    monkeypatch.setattr(socket.socket, "connect", _denied)
    with pytest.raises(Failure, match="/m: belongs to another user"):
        list(Client(Path("/m"), tmp_path / "s").ask(StatusRequest()))


def _denied(*_: object) -> None:
    raise PermissionError(errno.EACCES, "Permission denied")


def _one_answer(path: Path, answer: bytes) -> Thread:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with listener:
            peer, _ = listener.accept()
            with peer:
                peer.makefile("rb").readline()
                peer.sendall(answer)

    thread = Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", "ended before it answered"),
        (b'{"v": 1, "kind": "progress", "pending": 1, "size_bytes": 1}\n', "ended before it answered"),
        (b"what?\n", "not a line of JSON"),
        (b'{"v": 9, "kind": "synced"}\n', "protocol version 9, expected 1"),
    ],
)
def test_a_process_that_breaks_off_is_told(tmp_path: Path, answer: bytes, expected: str) -> None:
    thread = _one_answer(tmp_path / "s", answer)
    with pytest.raises(Failure, match=expected):
        list(Client(Path("/m"), tmp_path / "s").ask(SyncRequest()))
    thread.join(PATIENCE_S)


def test_a_process_that_hangs_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with pytest.raises(Failure, match="/m: the mount does not answer"):
            list(Client(Path("/m"), tmp_path / "s", silence_s=0.05).ask(SyncRequest()))
