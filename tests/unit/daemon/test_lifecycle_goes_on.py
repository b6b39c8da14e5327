"""What fails beside the work of a mount, a status that cannot be told or a count that cannot be made, neither
ends the mount nor its drain."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.control.account import Backlog
from daemon.failure import Failure
from daemon.process.lifecycle import EXIT_LEFT_PENDING
from tests.unit.daemon.fakes import FakeAccount
from tests.unit.daemon.test_lifecycle import Run

ERRORS: list[Exception] = [
    sqlite3.OperationalError("disk I/O error"),
    OSError(errno.EMFILE, "Too many open files"),
    RuntimeError("can't start new thread"),
]


def fail(thing: Any, name: str, error: BaseException, times: float = 1) -> None:
    """The next *times* calls of a method raise."""
    left = times
    call: Callable[..., Any] = getattr(thing, name)

    def failing(*args: Any, **named: Any) -> Any:
        nonlocal left
        if left > 0:
            left -= 1
            raise error
        return call(*args, **named)

    setattr(thing, name, failing)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "name", ["refuse_writes", "hurry", "backlog", "held_up", "ask_far_side", "end_waits", "close"]
)
def test_a_call_that_fails_once_ends_neither_the_drain_nor_the_unmounting(
    name: str, error: Exception
) -> None:
    account = FakeAccount(left=Backlog(pending=4), commits_when_hurried=1)
    run = Run(account, drain_idle_timeout_s=0.0).until_ready()
    fail(account, name, error)
    run.lifecycle.ask_stop()
    assert run.result() == 0
    assert account.left.pending == 0
    assert "unmount" in account.asked
    assert run.lifecycle.await_drained(0) == 0


@pytest.mark.parametrize("name", ["is_mounted", "unmount"])
def test_a_mount_that_cannot_be_taken_away_at_first_is_taken_away_then(name: str) -> None:
    account = FakeAccount()
    run = Run(account).until_ready()
    fail(run.kernel, name, OSError(errno.EMFILE, "Too many open files"))
    run.lifecycle.ask_stop()
    assert run.result() == 0
    assert account.asked.count("unmount") == 1


def test_what_closing_gives_back_may_be_what_unmounting_needs(caplog: pytest.LogCaptureFixture) -> None:
    account = FakeAccount()
    run = Run(account).until_ready()
    unmount = run.kernel.unmount

    def unmount_once_closed(mountpoint: Path) -> None:
        if "close" not in account.asked:
            raise Failure(f"{mountpoint}: cannot unmount")
        unmount(mountpoint)

    run.kernel.unmount = unmount_once_closed  # type: ignore[method-assign]
    run.lifecycle.ask_stop()
    assert run.result() == 0
    assert account.asked[-2:] == ["close", "unmount"]
    assert "cannot unmount" not in caplog.text


def test_a_count_that_fails_for_good_does_not_end_the_drain_before_its_time_nor_after() -> None:
    account = FakeAccount(left=Backlog(pending=2))
    run = Run(account, drain_timeout_s=0.3).until_ready()
    run.lifecycle.ask_stop()
    while "refuse_writes" not in account.asked or account.asked.count("hurry /") < 1:
        assert run.thread.is_alive()
    fail(account, "backlog", ERRORS[0], times=float("inf"))
    assert run.result() == EXIT_LEFT_PENDING
    assert run.lifecycle.left == 2


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_status_that_cannot_be_told_ends_nothing_and_is_logged_once(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    account = FakeAccount(left=Backlog(pending=3), commits_when_hurried=1)

    def tell() -> None:
        raise error

    run = Run(account, on_tick=tell).until_ready()
    run.lifecycle.ask_stop()
    assert run.result() == 0
    assert account.left.pending == 0
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_an_account_that_cannot_begin_is_closed_and_told() -> None:
    account = FakeAccount()
    fail(account, "start", RuntimeError("can't start new thread"))
    run = Run(account).start()
    assert run.result() is None
    assert str(run.failure) == "/mnt/x: cannot mount: can't start new thread"
    assert account.asked == ["end_waits", "close"]
