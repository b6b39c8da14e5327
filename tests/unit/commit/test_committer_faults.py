"""A service that fails, a reply that is lost, a process that dies: each version is committed once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mountfs.backends.memory_account import MemoryAccount
from mountfs.errors import (
    Busy,
    Corrupt,
    Forbidden,
    MountfsError,
    NoSpace,
    NotSignedIn,
    Offline,
    RequestTooBig,
    ServerFault,
    SessionLost,
    Throttled,
)
from mountfs.model.change import ChangeKind, ChangeState
from mountfs.ports import BackendLimits
from tests.fakes.pending import Pipeline
from tests.unit.commit.scenarios import all_kinds, check_all_kinds, step_until_running

DAY = "2023-11-1"  # the 14th or 15th, by the machine's time zone


# Faults

UNKNOWN = [Offline("no answer"), ServerFault("500")]
DEFINITE = [Throttled("slow", retry_after_s=7.0), Busy("locked"), NotSignedIn("expired")]


@pytest.mark.parametrize("skip", range(4))
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", UNKNOWN)
def test_a_lost_reply_to_submit_commits_everything_once(
    pipeline: Pipeline, error: MountfsError, after: bool, skip: int
) -> None:
    all_kinds(pipeline)
    pipeline.backend.fail("submit", error, skip=skip, after=after, times=2)
    pipeline.settle()
    check_all_kinds(pipeline)
    assert pipeline.backend.is_spent()


@pytest.mark.parametrize("skip", range(4))
@pytest.mark.parametrize("error", UNKNOWN + DEFINITE)
def test_a_failed_question_after_a_job_commits_everything_once(
    pipeline: Pipeline, error: MountfsError, skip: int
) -> None:
    pipeline.account.job_polls = 2
    all_kinds(pipeline)
    pipeline.backend.fail("poll", error, skip=skip, times=3)
    pipeline.settle()
    check_all_kinds(pipeline)


@pytest.mark.parametrize("error", DEFINITE)
def test_a_refused_submit_is_made_again(pipeline: Pipeline, error: MountfsError) -> None:
    all_kinds(pipeline)
    pipeline.backend.fail("submit", error, times=2)
    start_s = pipeline.clock.now_s()
    pipeline.settle()
    check_all_kinds(pipeline)
    if isinstance(error, Throttled):
        assert pipeline.clock.now_s() - start_s >= 14.0


def test_a_lost_job_with_a_lost_reply_and_a_job_that_still_runs(pipeline: Pipeline) -> None:
    pipeline.account.job_polls = 4
    pipeline.write("/a", b"x")
    pipeline.backend.fail("submit", Offline("lost"), after=True)
    pipeline.settle()
    assert pipeline.revisions_of("/a") == 1
    assert pipeline.journal.rows() == []


def test_what_may_have_been_committed_is_not_replaced_under_the_service_s_hands(pipeline: Pipeline) -> None:
    pipeline.account.write("/a", b"0")
    pipeline.write("/a", b"1")
    pipeline.backend.fail("submit", Offline("lost"), after=True)
    pipeline.commit_steps(3)
    pipeline.write("/a", b"2")
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"2"}
    assert pipeline.notices() == []


def test_a_batch_that_is_too_big_is_split(batches: Pipeline) -> None:
    for index in range(10):
        batches.write(f"/f{index}", b"x")
    batches.backend.fail("submit", RequestTooBig("413"), times=2)
    batches.settle()
    assert len(batches.account.files()) == 10


def test_one_poisonous_entry_fails_alone(pipeline: Pipeline) -> None:
    for index in range(5):
        pipeline.write(f"/f{index}", bytes([index]))
    pipeline.backend.refuse("/f3", Forbidden("no"))
    pipeline.settle()
    assert len(pipeline.account.files()) == 4
    assert pipeline.states() == [(ChangeKind.PUT, "/f3", ChangeState.FAILED)]
    assert pipeline.notices() == ["not committed: no"]
    assert pipeline.spool.names() != []


def test_an_item_that_fails_for_now_does_not_hold_up_the_others(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"a")
    pipeline.write("/b", b"b")
    pipeline.backend.refuse("/a", Busy("locked"), times=5)
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"a", "/b": b"b"}
    assert pipeline.notices() == []


def test_an_expired_session_is_sent_again(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"x")
    pipeline.upload_all()
    pipeline.account.lose_sessions()
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"x"}
    assert pipeline.revisions_of("/a") == 1


def test_nothing_goes_before_the_service_states_our_hash(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"x")
    pipeline.upload_all()
    change = pipeline.journal.live()[0]
    pipeline.journal.amend(change, content_hash="0" * 64)
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"x"}
    assert "another hash" in pipeline.notices()[0]
    assert pipeline.journal.rows() == []


def test_bytes_that_never_match_are_kept(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"x")
    pipeline.backend.refuse("/a", Corrupt("mismatch"), times=100)
    pipeline.settle()
    assert [state for _, _, state in pipeline.states()] == [ChangeState.FAILED]
    assert pipeline.spool.names() != []


def test_a_full_account_fails_the_file_and_keeps_it(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"x")
    pipeline.backend.refuse("/a", NoSpace("the account is full"))
    pipeline.settle()
    assert pipeline.states() == [(ChangeKind.PUT, "/a", ChangeState.FAILED)]


def test_a_newer_version_stands_for_a_refused_one(batches: Pipeline) -> None:
    batches.account.write("/a", b"0")
    batches.write("/a", b"1")
    batches.write("/b", b"b")
    batches.backend.refuse("/a", NoSpace("full"))
    batches.account.job_polls = 2
    step_until_running(batches)
    batches.write("/a", b"2")
    batches.settle()
    assert batches.account.files() == {"/a": b"2", "/b": b"b"}
    assert batches.states() == []


# Other processes


def test_the_account_s_lock_is_respected(batches: Pipeline, tmp_path: Path) -> None:
    import fcntl

    batches.write("/a", b"x")
    with (tmp_path / "account.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        batches.commit_steps(10)
        assert batches.account.submits == []
        assert batches.states() == [(ChangeKind.PUT, "/a", ChangeState.UPLOADED)]
        fcntl.flock(other, fcntl.LOCK_UN)
    batches.settle()
    assert batches.account.files() == {"/a": b"x"}


@pytest.mark.parametrize("steps", range(14))
@pytest.mark.parametrize("job_polls", [0, 2])
def test_a_crash_after_any_step_commits_everything_once(
    tmp_path: Path, limits: BackendLimits, steps: int, job_polls: int
) -> None:
    account = MemoryAccount(limits)
    account.job_polls = job_polls
    pipeline = Pipeline(tmp_path, account)
    all_kinds(pipeline)
    pipeline.commit_steps(steps)
    pipeline.restart()
    pipeline.settle()
    check_all_kinds(pipeline)
    pipeline.close()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("skip", range(4))
def test_a_crash_between_sending_and_reply_commits_everything_once(
    tmp_path: Path, limits: BackendLimits, skip: int, after: bool
) -> None:
    pipeline = Pipeline(tmp_path, limits=limits)
    all_kinds(pipeline)
    pipeline.backend.fail("submit", Offline("cut"), skip=skip, after=after)
    while not pipeline.backend.is_spent():
        pipeline.commit_steps(1)
    pipeline.restart()
    pipeline.settle()
    check_all_kinds(pipeline)
    pipeline.close()


def test_a_job_nobody_remembers_is_sent_again(pipeline: Pipeline) -> None:
    pipeline.account.job_polls = 3
    pipeline.write("/a", b"x")
    pipeline.commit_steps(3)
    for row in pipeline.journal.live():
        pipeline.journal.amend(row, job="unheard-of")
    pipeline.restart()
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"x"}
    assert pipeline.revisions_of("/a") == 1


def test_no_session_stays_open_of_bytes_that_go_up_again_or_are_refused(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"1")
    pipeline.upload_all()
    pipeline.backend.fail("submit", SessionLost("another place"))
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"1"}
    pipeline.write("/b", b"2")
    pipeline.upload_all()
    pipeline.backend.fail("submit", Forbidden("no"), times=10)
    pipeline.settle()
    assert pipeline.states() == [(ChangeKind.PUT, "/b", ChangeState.FAILED)]
    assert pipeline.account.sessions == {}
