"""The process of a mount, with everything but the core and the kernel."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import pytest

from daemon.config.keys import Listen
from daemon.config.options import MountOptions
from daemon.config.settings import AccountRemote, DropboxRemote, Remote, SandboxRemote, parse_spec
from daemon.control.account import Backlog
from daemon.control.client import Client
from daemon.control.health import trouble_of
from daemon.control.protocol import Progress, Reply, StatusReply, StatusRequest, Stopped, StopRequest
from daemon.control.status import MountStatus, far_side
from daemon.failure import Failure
from daemon.page import opened
from daemon.process.descriptors import MOST_DESCRIPTORS, part_of_limit
from daemon.process.lifecycle import EXIT_LEFT_PENDING
from daemon.process.run import MountPlan, Surroundings, run_mount
from mountfs.clock import SystemClock
from mountfs.errors import NotSignedIn
from tests.unit.daemon.fakes import PATIENCE_S, FakeAccount, FakeKernel


@dataclass
class Stage:
    """A mount on the main thread, and what happens beside it once it is ready."""

    folder: Path
    account: FakeAccount = field(default_factory=FakeAccount)
    remote: Remote = field(default_factory=lambda: DropboxRemote("work", access_token="t"))
    on_ready: Callable[[], None] = lambda: None
    connected: list[AccountRemote] = field(default_factory=list)
    sockets: list[Path] = field(default_factory=list)
    shown: list[MountStatus] = field(default_factory=list)
    environ: dict[str, str] = field(default_factory=dict)
    listen: Listen | None = None
    on_status: Callable[[MountStatus], None] | None = None

    def run(self) -> int:
        options = MountOptions(
            state_dir=self.folder / "state", uid=1, gid=1, drain_timeout_s=PATIENCE_S, http=self.listen
        )
        plan = MountPlan(
            parse_spec("work:/Scans"), self.remote, self.folder / "mnt", options, page_token="token"
        )
        around = Surroundings(
            environ={"XDG_RUNTIME_DIR": str(self.folder), **self.environ},
            clock=SystemClock(),
            kernel=FakeKernel(self.account),
            on_ready=self.on_ready,
            on_status=self.on_status or self.shown.append,
        )
        return run_mount(plan, self._assemble, around)

    def _assemble(self, plan: MountPlan, remote: AccountRemote, socket: Path) -> FakeAccount:
        self.connected.append(remote)
        self.sockets.append(socket)
        return self.account

    def client(self) -> Client:
        return Client(self.folder / "mnt", self.sockets[0], silence_s=PATIENCE_S)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def signalled(*numbers: signal.Signals) -> Callable[[], None]:
    def send() -> None:
        for number in numbers:
            os.kill(os.getpid(), number)

    return send


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_drains_and_ends(stage: Stage, number: signal.Signals) -> None:
    stage.account.left, stage.account.commits_when_hurried = Backlog(pending=2), 1
    stage.on_ready = signalled(number)
    before = signal.getsignal(number)
    assert stage.run() == 0
    assert stage.account.asked[-2:] == ["unmount", "close"]
    assert signal.getsignal(number) is before
    assert stage.shown[-1].remote == "work:/Scans"


def test_the_service_manager_is_told_what_is_wrong_with_the_service(stage: Stage) -> None:
    address = str(stage.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(PATIENCE_S)
        stage.environ["NOTIFY_SOCKET"] = address
        stage.account.far_side = far_side(NotSignedIn("the token is revoked"))
        stage.on_ready = signalled(signal.SIGTERM)
        assert stage.run() == 0
        lines: list[str] = []
        while not any("service refuses" in line for line in lines):
            lines += manager.recv(4096).decode().splitlines()
    assert lines[-1].startswith("STATUS=")
    assert lines[-1].endswith("service refuses the credentials: the token is revoked")


def test_a_mount_may_have_as_many_files_open_as_it_is_allowed(stage: Stage) -> None:
    before = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits: list[int] = []
    assert part_of_limit(10**9) == soft // 8
    assert part_of_limit(10) == 10

    def look() -> None:
        limits.append(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        os.kill(os.getpid(), signal.SIGTERM)

    stage.on_ready = look
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        assert stage.run() == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert limits == [min(hard, MOST_DESCRIPTORS)]


def test_a_page_whose_port_is_taken_is_told_and_served_once_it_is_free(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "AGAIN_S", 0.0)
    other = socket.create_server(("127.0.0.1", 0))
    stage.listen = Listen("127.0.0.1", other.getsockname()[1])

    def show(status: MountStatus) -> None:
        stage.shown.append(status)
        if status.page:
            os.kill(os.getpid(), signal.SIGTERM)
        other.close()

    stage.on_status = show
    assert stage.run() == 0
    first, last = stage.shown[0], stage.shown[-1]
    assert first.page == ""
    port = stage.listen.port
    [told] = trouble_of(first)
    assert told.startswith(f"page fails: http = 127.0.0.1:{port}: Address already in use; ")
    assert (trouble_of(last), last.page) == ((), f"http://127.0.0.1:{port}/?token=token")


def test_a_second_sigint_cuts_the_drain_short(stage: Stage) -> None:
    stage.account.left = Backlog(pending=2)
    stage.on_ready = signalled(signal.SIGINT, signal.SIGINT)
    assert stage.run() == EXIT_LEFT_PENDING


def test_a_second_sigterm_does_not(stage: Stage) -> None:
    stage.account.left, stage.account.commits_when_hurried = Backlog(pending=5), 1
    stage.on_ready = signalled(signal.SIGTERM, signal.SIGTERM)
    assert stage.run() == 0


def test_a_client_sees_the_state_and_stops_the_mount(stage: Stage) -> None:
    stage.account.left, stage.account.commits_when_hurried = Backlog(pending=3), 1
    replies: list[Reply] = []

    def talk() -> None:
        replies.extend(stage.client().ask(StatusRequest()))
        replies.extend(stage.client().ask(StopRequest(), until_closed=True))

    talker = Thread(target=talk)
    stage.on_ready = talker.start
    assert stage.run() == 0
    talker.join(PATIENCE_S)
    status, *rest = [reply for reply in replies if not isinstance(reply, Progress)]
    assert isinstance(status, StatusReply)
    assert (status.status.phase, status.status.pid) == ("ready", os.getpid())
    assert rest == [Stopped(0)]
    assert not stage.sockets[0].exists()


def test_the_state_directory_is_made_for_its_owner(stage: Stage) -> None:
    stage.on_ready = signalled(signal.SIGTERM)
    stage.run()
    assert (stage.folder / "state").stat().st_mode & 0o777 == 0o700


def test_a_sandbox_runs_as_long_as_its_mount(stage: Stage) -> None:
    stage.remote = SandboxRemote("sandbox-dropbox", "dropbox")
    stage.on_ready = signalled(signal.SIGTERM)
    assert stage.run() == 0
    assert stage.connected[0].api_url.startswith("http://127.0.0.1:")
    assert (stage.folder / "state" / "sandbox-dropbox").is_dir()


def test_a_core_that_cannot_start_leaves_nothing_behind(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> FakeAccount:
        raise NotSignedIn("the token is revoked")

    monkeypatch.setattr(stage, "_assemble", refuse)
    with pytest.raises(NotSignedIn):
        stage.run()
    assert list(stage.folder.rglob("*.sock")) == []


def test_a_mount_that_does_not_come_is_told(stage: Stage) -> None:
    stage.account.mount_error = RuntimeError(1)
    with pytest.raises(Failure, match="cannot mount"):
        stage.run()
    assert list(stage.folder.rglob("*.sock")) == []
