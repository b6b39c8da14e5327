"""What a mounted account says of its changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.commit.flight import Current
from daemon.mounted import RELEASE_S, Parts, RunningAccount, jobs_in_words
from mountfs.journal.journal import Journal
from mountfs.model.change import ChangeEvent, ChangeKind, ChangeState
from mountfs.model.path import ROOT, RemotePath
from tests.fakes.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def journal(tmp_path: Path, clock: FakeClock) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.db", clock)
    yield journal
    journal.close()


@pytest.fixture
def account(journal: Journal, clock: FakeClock) -> RunningAccount:
    """An account of which only the journal is asked."""
    nothing: Any = None
    others = dict.fromkeys(set(Parts.__slots__) - {"journal", "clock", "root"}, nothing)
    return RunningAccount(Parts(journal=journal, clock=clock, root=ROOT, **others))


def test_a_closed_file_is_on_its_way_before_the_kernel_has_released_it(
    account: RunningAccount, journal: Journal
) -> None:
    file = journal.add(ChangeKind.PUT, RemotePath("/f"), ChangeState.OPEN, spool="s", size_bytes=7)
    assert (account.backlog(ROOT).pending, account.backlog(ROOT).open_files) == (0, 1)
    file = journal.amend(file, is_flushed=True)
    backlog = account.backlog(ROOT)
    assert (backlog.pending, backlog.size_bytes, backlog.open_files) == (1, 7, 0)
    journal.advance(file, ChangeEvent.SEAL)
    assert account.backlog(ROOT).pending == 1


def test_a_closed_file_that_another_still_holds_open_is_not_waited_for_long(
    account: RunningAccount, journal: Journal, clock: FakeClock
) -> None:
    file = journal.add(ChangeKind.PUT, RemotePath("/f"), ChangeState.OPEN, spool="s", is_flushed=True)
    assert account.backlog(ROOT).pending == 1
    clock.advance(RELEASE_S)
    assert (account.backlog(ROOT).pending, account.backlog(ROOT).open_files) == (0, 1)
    file = journal.amend(file, is_flushed=False)
    assert account.backlog(ROOT).open_files == 1
    journal.amend(file, is_flushed=True)
    assert account.backlog(ROOT).pending == 1


def test_running_jobs_are_told_by_kind() -> None:
    put, move = Current(ChangeKind.PUT, 1000, 0.0), Current(ChangeKind.MOVE, 1, 0.0)
    small = Current(ChangeKind.PUT, 1, 0.0)
    assert jobs_in_words([]) is None
    assert jobs_in_words([put]) == "put of 1000"
    assert jobs_in_words([small, move, small, small]) == "put of 3 in 3 jobs, move of 1"
