"""The pipeline end to end on a memory account: what is sent, in what order, how often."""

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
    Throttled,
)
from mountfs.model.change import ChangeKind, ChangeState
from mountfs.model.path import RemotePath
from tests.fakes.pending import HOST, Pipeline

DAY = "2023-11-1"  # the 14th or 15th, by the machine's time zone


def test_a_closed_file_is_committed(pipeline: Pipeline) -> None:
    pipeline.write("/a.txt", b"hello")
    pipeline.settle()
    assert pipeline.account.files() == {"/a.txt": b"hello"}
    assert pipeline.journal.rows() == []
    assert pipeline.spool.names() == []


def test_a_tree_needs_no_calls_for_its_folders(pipeline: Pipeline) -> None:
    pipeline.mkdir("/d")
    pipeline.mkdir("/d/e")
    pipeline.write("/d/e/f", b"x")
    pipeline.settle()
    assert pipeline.account.files() == {"/d/e/f": b"x"}
    assert [order.kind for batch in pipeline.account.submits for order in batch] == [ChangeKind.PUT]


def test_an_empty_folder_is_made(pipeline: Pipeline) -> None:
    pipeline.mkdir("/d")
    pipeline.settle()
    assert pipeline.account.folders() == {"/d"}


def test_a_thousand_small_files_cost_a_few_calls(pipeline: Pipeline) -> None:
    pipeline.account.job_polls = 3
    for index in range(1000):
        pipeline.write(f"/f{index}", b"x" * 64 + str(index).encode())
        pipeline.uploader.step(pipeline.clock.now_s())
        pipeline.committer.step(pipeline.clock.now_s())
        pipeline.clock.advance(0.01)
    pipeline.settle()
    calls = pipeline.memory.calls()
    assert len(pipeline.account.files()) == 1000
    assert sum(calls.values()) - calls["list_folder"] <= 40
    assert pipeline.account.overlapping_submits == 0


def test_five_thousand_changes_are_planned_with_one_look_each(pipeline: Pipeline) -> None:
    for index in range(5000):
        pipeline.mkdir(f"/d{index}")
    pipeline.settle()
    assert len(pipeline.account.folders()) == 5000
    assert len(pipeline.account.submits) == 5


def test_a_removed_tree_is_deleted_level_by_level(pipeline: Pipeline) -> None:
    for index in range(20):
        pipeline.account.write(f"/d/e/f{index}", b"x")
    for index in range(20):
        pipeline.unlink(f"/d/e/f{index}")
    pipeline.rmdir("/d/e")
    pipeline.rmdir("/d")
    pipeline.settle()
    assert pipeline.account.folders() == set()
    assert [len(batch) for batch in pipeline.account.submits] == [20, 1, 1]


def test_a_folder_somebody_put_something_into_is_not_deleted(pipeline: Pipeline) -> None:
    pipeline.account.mkdir("/d")
    pipeline.rmdir("/d")
    pipeline.account.write("/d/theirs", b"x")
    pipeline.settle()
    assert pipeline.account.files() == {"/d/theirs": b"x"}
    assert "not removed" in pipeline.notices()[0]


def test_a_file_deleted_and_moved_over_keeps_one_version_at_any_moment(pipeline: Pipeline) -> None:
    pipeline.account.write("/a", b"new")
    pipeline.account.write("/b", b"old")
    pipeline.rename("/a", "/b")
    pipeline.settle()
    assert pipeline.account.files() == {"/b": b"new"}
    assert [batch[0].kind for batch in pipeline.account.submits] == [ChangeKind.DELETE, ChangeKind.MOVE]


def test_a_temporary_name_never_reaches_the_service(pipeline: Pipeline) -> None:
    pipeline.write("/.name.aB3xYz", b"x")
    pipeline.urgency.hurry()
    for _ in range(20):
        pipeline.uploader.step(pipeline.clock.now_s())
        pipeline.committer.step(pipeline.clock.now_s())
        pipeline.clock.advance(0.05)
    pipeline.rename("/.name.aB3xYz", "/name")
    pipeline.settle()
    assert [order.path.text for batch in pipeline.account.submits for order in batch] == ["/name"]


def test_a_local_only_file_stays_here(pipeline: Pipeline) -> None:
    pipeline.write("/.f.swp", b"x")
    pipeline.settle()
    assert pipeline.memory.calls().keys() <= {"list_folder"}
    assert pipeline.states() == [(ChangeKind.PUT, "/.f.swp", ChangeState.SEALED)]


def test_somebody_waiting_is_not_kept_waiting(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"x")
    with pipeline.urgency.pressed():
        start_s = pipeline.clock.now_s()
        pipeline.settle()
    assert pipeline.clock.now_s() - start_s < 0.1


# Faults

UNKNOWN = [Offline("no answer"), ServerFault("500")]
DEFINITE = [Throttled("slow", retry_after_s=7.0), Busy("locked"), NotSignedIn("expired")]


def _step_until_running(pipeline: Pipeline) -> None:
    while pipeline.committer.current is None:
        pipeline.commit_steps(1)
    assert pipeline.states()[0][2] is ChangeState.COMMITTING


def _all_kinds(pipeline: Pipeline) -> None:
    pipeline.account.write("/moved", b"m")
    pipeline.account.write("/gone", b"g")
    pipeline.account.write("/changed", b"1")
    pipeline.account.mkdir("/folder-gone")
    pipeline.write("/new", b"n")
    pipeline.write("/changed", b"2")
    pipeline.mkdir("/folder")
    pipeline.unlink("/gone")
    pipeline.rmdir("/folder-gone")
    pipeline.rename("/moved", "/there")


def _check_all_kinds(pipeline: Pipeline) -> None:
    assert pipeline.account.files() == {"/new": b"n", "/changed": b"2", "/there": b"m"}
    assert pipeline.account.folders() == {"/folder"}
    assert pipeline.revisions_of("/new") == 1
    assert pipeline.revisions_of("/changed") == 2
    assert pipeline.journal.rows() == []
    assert pipeline.notices() == []
    assert pipeline.account.overlapping_submits == 0


@pytest.mark.parametrize("skip", range(4))
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", UNKNOWN)
def test_a_lost_reply_to_submit_commits_everything_once(
    pipeline: Pipeline, error: MountfsError, after: bool, skip: int
) -> None:
    _all_kinds(pipeline)
    pipeline.backend.fail("submit", error, skip=skip, after=after, times=2)
    pipeline.settle()
    _check_all_kinds(pipeline)
    assert pipeline.backend.is_spent()


@pytest.mark.parametrize("skip", range(4))
@pytest.mark.parametrize("error", UNKNOWN + DEFINITE)
def test_a_failed_question_after_a_job_commits_everything_once(
    pipeline: Pipeline, error: MountfsError, skip: int
) -> None:
    pipeline.account.job_polls = 2
    _all_kinds(pipeline)
    pipeline.backend.fail("poll", error, skip=skip, times=3)
    pipeline.settle()
    _check_all_kinds(pipeline)


@pytest.mark.parametrize("error", DEFINITE)
def test_a_refused_submit_is_made_again(pipeline: Pipeline, error: MountfsError) -> None:
    _all_kinds(pipeline)
    pipeline.backend.fail("submit", error, times=2)
    start_s = pipeline.clock.now_s()
    pipeline.settle()
    _check_all_kinds(pipeline)
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


def test_a_batch_that_is_too_big_is_split(pipeline: Pipeline) -> None:
    for index in range(10):
        pipeline.write(f"/f{index}", b"x")
    pipeline.backend.fail("submit", RequestTooBig("413"), times=2)
    pipeline.settle()
    assert len(pipeline.account.files()) == 10


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


def test_a_newer_version_stands_for_a_refused_one(pipeline: Pipeline) -> None:
    pipeline.account.write("/a", b"0")
    pipeline.write("/a", b"1")
    pipeline.write("/b", b"b")
    pipeline.backend.refuse("/a", NoSpace("full"))
    pipeline.account.job_polls = 2
    _step_until_running(pipeline)
    pipeline.write("/a", b"2")
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"2", "/b": b"b"}
    assert pipeline.states() == []


# Conflicts


def test_a_foreign_edit_keeps_both(pipeline: Pipeline) -> None:
    pipeline.account.write("/d/a.txt", b"0")
    pipeline.write("/d/a.txt", b"ours")
    pipeline.account.write("/d/a.txt", b"theirs")
    pipeline.settle()
    files = pipeline.account.files()
    assert files.pop("/d/a.txt") == b"theirs"
    (copy,) = files
    assert copy.startswith(f"/d/a (conflicted copy {HOST} {DAY}") and copy.endswith(").txt")
    assert files[copy] == b"ours"
    assert "somebody else changed it first" in pipeline.notices()[0]


def test_the_same_edit_by_somebody_else_is_no_conflict(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"same")
    pipeline.account.write("/a", b"same")
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"same"}
    assert pipeline.notices() == []


def test_a_new_revision_of_the_same_bytes_is_no_conflict(pipeline: Pipeline) -> None:
    pipeline.account.write("/a", b"0")
    pipeline.write("/a", b"1")
    pipeline.account.write("/a", b"x")
    pipeline.account.write("/a", b"0")
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"1"}
    assert pipeline.notices() == []


def test_a_folder_in_the_way_moves_the_file_beside(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"1")
    pipeline.account.mkdir("/a")
    pipeline.settle()
    assert pipeline.account.folders() == {"/a"}
    assert list(pipeline.account.files().values()) == [b"1"]


def test_a_delete_of_what_somebody_changed_is_dropped(pipeline: Pipeline) -> None:
    pipeline.account.write("/a", b"0")
    pipeline.unlink("/a")
    pipeline.account.write("/a", b"theirs")
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"theirs"}
    assert "not removed" in pipeline.notices()[0]
    assert pipeline.view.stat(RemotePath("/a")).size_bytes == 6


def test_a_move_never_replaces_what_somebody_put_there(pipeline: Pipeline) -> None:
    pipeline.account.write("/a", b"a")
    pipeline.rename("/a", "/b")
    pipeline.account.write("/b", b"theirs")
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"a", "/b": b"theirs"}
    assert pipeline.states() == [(ChangeKind.MOVE, "/b", ChangeState.FAILED)]


def test_a_move_whose_source_is_gone_is_refused(pipeline: Pipeline) -> None:
    pipeline.account.write("/a", b"a")
    pipeline.rename("/a", "/b")
    pipeline.account.remove("/a")
    pipeline.settle()
    assert [state for _, _, state in pipeline.states()] == [ChangeState.FAILED]


def test_a_folder_where_somebody_put_a_file_fails(pipeline: Pipeline) -> None:
    pipeline.mkdir("/d")
    pipeline.account.write("/d", b"file")
    pipeline.settle()
    assert pipeline.states() == [(ChangeKind.MKDIR, "/d", ChangeState.FAILED)]


def test_later_calls_follow_a_version_that_had_to_step_beside(pipeline: Pipeline) -> None:
    pipeline.account.write("/a", b"0")
    pipeline.write("/a", b"ours")
    pipeline.upload_all()
    pipeline.account.write("/a", b"theirs")
    pipeline.account.job_polls = 2
    _step_until_running(pipeline)
    pipeline.unlink("/a")
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"theirs"}


def test_an_edit_of_a_version_that_had_to_step_beside_steps_beside_too(pipeline: Pipeline) -> None:
    pipeline.account.write("/a", b"0")
    pipeline.write("/a", b"ours")
    pipeline.upload_all()
    pipeline.account.write("/a", b"theirs")
    pipeline.account.job_polls = 2
    _step_until_running(pipeline)
    pipeline.write("/a", b"ours, again")
    pipeline.settle()
    assert sorted(pipeline.account.files().values()) == [b"ours", b"ours, again", b"theirs"]
    assert pipeline.file("/a").size_bytes == 6


# Other processes


def test_the_account_s_lock_is_respected(pipeline: Pipeline, tmp_path: Path) -> None:
    import fcntl

    pipeline.write("/a", b"x")
    with (tmp_path / "account.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        pipeline.commit_steps(10)
        assert pipeline.account.submits == []
        assert pipeline.states() == [(ChangeKind.PUT, "/a", ChangeState.UPLOADED)]
        fcntl.flock(other, fcntl.LOCK_UN)
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"x"}


@pytest.mark.parametrize("steps", range(14))
@pytest.mark.parametrize("job_polls", [0, 2])
def test_a_crash_after_any_step_commits_everything_once(tmp_path: Path, steps: int, job_polls: int) -> None:
    account = MemoryAccount()
    account.job_polls = job_polls
    pipeline = Pipeline(tmp_path, account)
    _all_kinds(pipeline)
    pipeline.commit_steps(steps)
    pipeline.restart()
    pipeline.settle()
    _check_all_kinds(pipeline)
    pipeline.close()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("skip", range(4))
def test_a_crash_between_sending_and_reply_commits_everything_once(
    tmp_path: Path, skip: int, after: bool
) -> None:
    pipeline = Pipeline(tmp_path)
    _all_kinds(pipeline)
    pipeline.backend.fail("submit", Offline("cut"), skip=skip, after=after)
    while not pipeline.backend.is_spent():
        pipeline.commit_steps(1)
    pipeline.restart()
    pipeline.settle()
    _check_all_kinds(pipeline)
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
