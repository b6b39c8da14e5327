"""Somebody else was first."""

from __future__ import annotations

from mountfs.model.change import ChangeKind, ChangeState
from mountfs.model.path import RemotePath
from tests.fakes.pending import HOST, Pipeline
from tests.unit.commit.scenarios import step_until_running

DAY = "2023-11-1"  # the 14th or 15th, by the machine's time zone


# Conflicts


def test_a_foreign_edit_keeps_both(pipeline: Pipeline) -> None:
    pipeline.account.mkdir("/d")
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
    step_until_running(pipeline)
    pipeline.unlink("/a")
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"theirs"}


def test_an_edit_of_a_version_that_had_to_step_beside_steps_beside_too(pipeline: Pipeline) -> None:
    pipeline.account.write("/a", b"0")
    pipeline.write("/a", b"ours")
    pipeline.upload_all()
    pipeline.account.write("/a", b"theirs")
    pipeline.account.job_polls = 2
    step_until_running(pipeline)
    pipeline.write("/a", b"ours, again")
    pipeline.settle()
    assert sorted(pipeline.account.files().values()) == [b"ours", b"ours, again", b"theirs"]
    assert pipeline.file("/a").size_bytes == 6


def test_no_session_stays_open_of_what_somebody_else_did_too(side_by_side: Pipeline) -> None:
    pipeline = side_by_side
    pipeline.write("/a", b"same")
    pipeline.upload_all()
    pipeline.account.write("/a", b"same")
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"same"}
    assert pipeline.account.sessions == {}
    assert pipeline.journal.orphans.all() == []
