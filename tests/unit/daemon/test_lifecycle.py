"""From the start of a mount's process to its end."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import pytest

from daemon.control.account import Backlog
from daemon.control.protocol import FailedChange
from daemon.failure import Failure
from daemon.process.lifecycle import Lifecycle
from daemon.process.notify import Notifier
from daemon.process.phases import TRANSITIONS, Event, IllegalStep, Phase, advance
from mountfs.clock import SystemClock
from mountfs.errors import NotSignedIn
from tests.unit.daemon.fakes import PATIENCE_S, FakeAccount, FakeKernel
from tests.waiting import until

MOUNTPOINT = Path("/mnt/x")


class Run:
    """A lifecycle on a thread of its own."""

    def __init__(
        self,
        account: FakeAccount,
        notifier: Notifier | None = None,
        drain_timeout_s: float = 60.0,
        drain_idle_timeout_s: float = 60.0,
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        self.ready = Flag()
        self.exit_code: int | None = None
        self.failure: Failure | None = None
        self.kernel = FakeKernel(account)
        self.lifecycle = Lifecycle(
            account,
            MOUNTPOINT,
            kernel=self.kernel,
            notifier=notifier or Notifier(),
            clock=SystemClock(),
            drain_timeout_s=drain_timeout_s,
            drain_idle_timeout_s=drain_idle_timeout_s,
            on_ready=self.ready.set,
            on_tick=on_tick,
        )
        self.thread = Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.exit_code = self.lifecycle.run()
        except Failure as failure:
            self.failure = failure

    def start(self) -> Run:
        self.thread.start()
        return self

    def until_ready(self) -> Run:
        self.start()
        assert self.ready.wait(PATIENCE_S)
        return self

    def result(self) -> int | None:
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        return self.exit_code


def test_a_stop_drains_then_unmounts_then_closes() -> None:
    account = FakeAccount(left=Backlog(pending=3), commits_when_hurried=1)
    run = Run(account).until_ready()
    run.lifecycle.ask_stop()
    assert run.result() == 0
    effects = [word for word, _ in itertools.groupby(account.asked)]
    assert effects == ["start", "refuse_writes", "hurry /", "end_waits", "unmount", "close"]
    assert run.lifecycle.phase is Phase.STOPPED


def test_time_runs_out_and_the_rest_is_counted() -> None:
    account = FakeAccount(left=Backlog(pending=2, open_files=1))
    run = Run(account, drain_timeout_s=0.05).until_ready()
    run.lifecycle.ask_stop()
    assert run.result() == 3
    assert run.lifecycle.left == 3
    assert account.asked[-2:] == ["unmount", "close"]


def test_a_drain_that_does_not_get_on_while_the_service_is_away_ends_and_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    account = FakeAccount(left=Backlog(pending=2), trouble="the service does not answer")
    run = Run(account, drain_idle_timeout_s=0.05).until_ready()
    run.lifecycle.ask_stop()
    assert run.result() == 3
    assert run.lifecycle.why_left == "the service does not answer"
    assert "ask_far_side" in account.asked
    assert caplog.messages == ["2 changes stay journaled for the next mount: the service does not answer"]


def test_a_drain_that_does_not_get_on_while_the_service_answers_goes_on() -> None:
    account = FakeAccount(left=Backlog(pending=2))
    run = Run(account, drain_idle_timeout_s=0.05).until_ready()
    run.lifecycle.ask_stop()
    until(lambda: account.asked.count("ask_far_side") >= 3, "it goes on")  # each later than the idle time
    run.lifecycle.cut_short()
    assert run.result() == 3
    assert run.lifecycle.why_left == ""


def test_a_drain_that_gets_on_goes_on_whatever_was_heard_of_the_service() -> None:
    account = FakeAccount(left=Backlog(pending=8), commits_when_hurried=1, trouble="it was away")
    run = Run(account, drain_idle_timeout_s=5.0).until_ready()
    run.lifecycle.ask_stop()
    assert run.result() == 0
    assert "ask_far_side" not in account.asked


def test_a_stop_while_it_drains_may_bring_less_time() -> None:
    account = FakeAccount(left=Backlog(pending=1))
    run = Run(account, drain_timeout_s=600.0, drain_idle_timeout_s=600.0).until_ready()
    run.lifecycle.ask_stop()
    run.lifecycle.ask_stop(timeout_s=0)
    assert run.result() == 3


def test_a_stop_while_it_drains_brings_no_more_time() -> None:
    account = FakeAccount(left=Backlog(pending=1))
    run = Run(account, drain_timeout_s=0.2).until_ready()
    run.lifecycle.ask_stop()
    run.lifecycle.ask_stop(timeout_s=600.0)
    assert run.result() == 3


def test_a_stop_may_bring_its_own_timeout() -> None:
    run = Run(FakeAccount(left=Backlog(pending=1))).until_ready()
    run.lifecycle.ask_stop(timeout_s=0)
    assert run.result() == 3


def test_an_impatient_user_cuts_the_drain_short() -> None:
    run = Run(FakeAccount(left=Backlog(pending=1))).until_ready()
    run.lifecycle.ask_stop()
    run.lifecycle.cut_short()
    assert run.result() == 3


def test_a_first_cut_only_begins_the_drain() -> None:
    account = FakeAccount(left=Backlog(pending=2), commits_when_hurried=1)
    run = Run(account).until_ready()
    run.lifecycle.cut_short()
    assert run.result() == 0


def test_who_unmounts_from_outside_still_has_everything_committed() -> None:
    account = FakeAccount(left=Backlog(pending=3), commits_when_hurried=1)
    run = Run(account).until_ready()
    account.unmounted.set()
    assert run.result() == 0
    assert "unmount" not in account.asked


def test_files_left_open_do_not_hold_up_the_end() -> None:
    run = Run(FakeAccount(left=Backlog(open_files=1))).until_ready()
    run.lifecycle.ask_stop()
    assert run.result() == 3


def test_failed_changes_do_not_hold_up_the_end() -> None:
    account = FakeAccount(failed=(FailedChange("/a", "name refused"),))
    run = Run(account).until_ready()
    run.lifecycle.ask_stop()
    assert run.result() == 0


def test_a_drain_waits_for_sessions_to_be_ended() -> None:
    account = FakeAccount(left=Backlog(sessions=3), commits_when_hurried=1)
    run = Run(account).until_ready()
    run.lifecycle.ask_stop()
    assert run.result() == 0
    assert account.left.sessions == 0


def test_a_drain_does_not_wait_for_ever_for_sessions_to_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.process.lifecycle.SESSIONS_S", 0.05)
    run = Run(FakeAccount(left=Backlog(sessions=1))).until_ready()
    run.lifecycle.ask_stop()
    assert run.result() == 0
    assert run.lifecycle.left == 0


def test_others_hear_what_is_left() -> None:
    run = Run(FakeAccount(left=Backlog(pending=2)))
    assert run.lifecycle.await_drained(0) is None
    run.until_ready()
    run.lifecycle.ask_stop(timeout_s=0)
    assert run.lifecycle.await_drained(PATIENCE_S) == 2
    run.result()


@pytest.mark.parametrize(
    "error", [RuntimeError(1), NotSignedIn("the token is revoked"), OSError("no /dev/fuse")]
)
def test_a_mount_that_does_not_come_is_a_failure_with_its_reason(error: Exception) -> None:
    account = FakeAccount(mount_error=error)
    run = Run(account).start()
    assert run.result() is None
    assert str(run.failure) == f"/mnt/x: cannot mount: {error}"
    assert account.asked[-1] == "close"
    assert not run.ready.is_set()


def test_a_mount_that_hangs_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.process.lifecycle.START_TIMEOUT_S", 0.05)
    run = Run(FakeAccount())
    run.kernel.is_hanging = True
    run.start().result()
    assert "does not answer" in str(run.failure)
    assert not run.ready.is_set()


def test_a_stop_before_it_is_ready_is_obeyed() -> None:
    account = FakeAccount()
    run = Run(account)
    run.kernel.is_hanging = True
    run.lifecycle.ask_stop()
    assert run.start().result() == 0
    assert "unmount" in account.asked


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(PATIENCE_S)
        yield listener


def _until(manager: socket.socket, wanted: Callable[[str], bool]) -> str:
    while not wanted(message := manager.recv(4096).decode()):
        pass
    return message


def test_a_drain_that_advances_asks_for_more_time(manager: socket.socket) -> None:
    account = FakeAccount(left=Backlog(pending=5), commits_when_hurried=1)
    run = Run(account, Notifier(manager.getsockname())).until_ready()
    run.lifecycle.ask_stop()
    assert run.result() == 0
    assert _until(manager, lambda message: "STOPPING=1" in message).endswith("STATUS=draining 5 changes")
    extensions = [_until(manager, lambda message: message.startswith("EXTEND")) for _ in range(4)]
    assert set(extensions) == {"EXTEND_TIMEOUT_USEC=60000000"}


def test_the_watchdog_is_fed_while_the_mount_answers(manager: socket.socket) -> None:
    run = Run(FakeAccount(), Notifier(manager.getsockname(), watchdog_s=0.03)).until_ready()
    assert [manager.recv(4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    run.lifecycle.ask_stop()
    run.result()


ILLEGAL = [pair for pair in itertools.product(Phase, Event) if pair[1] not in TRANSITIONS[pair[0]]]


@pytest.mark.parametrize(("phase", "event"), ILLEGAL)
def test_a_step_not_in_the_table_is_a_bug(phase: Phase, event: Event) -> None:
    with pytest.raises(IllegalStep):
        advance(phase, event)


def test_every_phase_is_reached_and_only_the_last_has_no_way_out() -> None:
    assert set(TRANSITIONS) == set(Phase)
    assert [phase for phase in Phase if not TRANSITIONS[phase]] == [Phase.STOPPED]
    assert {Phase.STARTING} | {after for row in TRANSITIONS.values() for after in row.values()} == set(Phase)
