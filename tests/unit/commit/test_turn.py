"""The turn to commit, when somebody else decides who has it."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.commit.accountlock import AccountLock
from daemon.commit.committer import LOCK_RETRY_S
from tests.doubles.world import World
from tests.unit.commit.scenarios import check_nothing_is_left, ready


class GivenTurn:
    """``daemon.commit.turn.Turn`` as a test gives it."""

    refused: Path | None = None

    def __init__(self) -> None:
        self.is_free = True
        self.is_held = False
        self.asked = 0
        self.taken = 0
        self.lost_at: int | None = None
        """It is lost right after it was taken for the so manieth time."""
        self.jobs: list[str] = []

    @property
    def awaited(self) -> str:
        return "" if self.is_free else "another machine"

    def try_take(self) -> bool:
        self.asked += 1
        if not self.is_free:
            return False
        self.taken += not self.is_held
        self.is_held = self.taken != self.lost_at
        return True

    def note_job(self, job: str) -> None:
        if self.jobs[-1:] != [job]:
            self.jobs.append(job)

    def release(self) -> None:
        self.is_held = False


@pytest.fixture
def turn() -> GivenTurn:
    return GivenTurn()


@pytest.fixture
def world(tmp_path: Path, turn: GivenTurn) -> Iterator[World]:
    made = World(tmp_path, settings={"turn": turn})
    yield made
    made.close()


def test_nothing_is_sent_before_it_is_our_turn_and_all_of_it_then(world: World, turn: GivenTurn) -> None:
    turn.is_free = False
    world.put("/a", b"a")
    ready(world)
    world.commit_steps(5)
    assert world.core.committer.awaited_turn == "another machine"
    world.put("/b", b"b")
    ready(world)
    world.commit_steps(5)
    assert world.account.submits == []
    turn.is_free = True
    world.settle()
    assert [len(batch) for batch in world.account.submits] == [2]
    assert not turn.is_held
    check_nothing_is_left(world)


def test_a_batch_that_asked_for_the_turn_keeps_its_place_while_more_files_are_going_up(
    world: World, turn: GivenTurn
) -> None:
    """Else a machine whose programs write in bursts would go to the end of the queue with each."""
    turn.is_free = False
    world.put("/a", b"a")
    ready(world)
    world.commit_steps(1)
    world.put("/b", b"b")
    assert world.core.uploader.has_small
    for _ in range(5):
        asked = turn.asked
        world.advance(LOCK_RETRY_S)
        world.core.committer.step(world.clock.now_s())
        assert turn.asked > asked
    turn.is_free = True
    world.settle()
    check_nothing_is_left(world)


def test_a_turn_that_was_lost_sends_nothing(world: World, turn: GivenTurn) -> None:
    turn.lost_at = 1
    world.put("/a", b"a")
    ready(world)
    world.commit_steps(1)
    assert turn.taken == 1
    assert world.account.submits == []
    world.settle()
    assert turn.taken == 2
    assert world.account.files() == {"/a": b"a"}
    check_nothing_is_left(world)


def test_a_job_whose_turn_was_lost_is_asked_after_in_the_next_one(world: World, turn: GivenTurn) -> None:
    world.account.job_polls = 2
    world.put("/a", b"a")
    ready(world)
    world.commit_steps(1)
    turn.is_free = turn.is_held = False
    world.commit_steps(5)
    assert "poll" not in world.memory.calls()
    turn.is_free = True
    world.settle()
    assert len(world.account.submits) == 1
    check_nothing_is_left(world)


def test_the_job_that_runs_is_known_to_the_turn(world: World, turn: GivenTurn) -> None:
    world.account.job_polls = 2
    world.put("/a", b"a")
    world.settle()
    assert len(turn.jobs) == 2
    assert turn.jobs[0] != ""
    assert turn.jobs[1] == ""


def test_a_lock_that_cannot_be_had_takes_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again for as long as there is something to commit."""

    def refuse(_fd: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    lock = AccountLock(tmp_path / "commit.lock")
    opened = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", refuse)
        with pytest.raises(OSError, match="No locks available"):
            lock.try_take()
    assert len(os.listdir("/proc/self/fd")) == opened
    assert lock.try_take()
    lock.release()
