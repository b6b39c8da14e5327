"""What was refused and stays here, when its folder is renamed or it is written anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.errors import Busy, Forbidden, NotFound, SessionLost
from mountfs.journal.recovery import recover
from mountfs.model.change import ChangeKind, ChangeState
from mountfs.model.path import RemotePath
from tests.fakes.pending import HOST, Pipeline


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline(tmp_path)
    yield made
    made.close()


def refused_in_renamed_folder(pipeline: Pipeline) -> None:
    """/d/x, refused, is shown as /e/x."""
    pipeline.backend.refuse("/d/x", Forbidden("no"))
    pipeline.write("/d/x", b"refused")
    pipeline.settle()
    assert pipeline.states() == [(ChangeKind.PUT, "/d/x", ChangeState.FAILED)]
    pipeline.rename("/d", "/e")


@pytest.mark.parametrize("is_new", [True, False])
def test_in_a_renamed_folder_it_is_replaced_by_what_is_written_over_it(
    pipeline: Pipeline, is_new: bool
) -> None:
    pipeline.mkdir("/d")
    if not is_new:
        pipeline.write("/d/x", b"first")
    pipeline.settle()
    refused_in_renamed_folder(pipeline)
    pipeline.write("/e/x", b"new")
    pipeline.settle()
    assert pipeline.account.files() == {"/e/x": b"new"}
    assert pipeline.states() == []
    assert pipeline.view.stat(RemotePath("/e/x")).size_bytes == 3


@pytest.mark.parametrize("is_new", [True, False])
def test_in_a_renamed_folder_it_goes_with_what_was_written_over_it(pipeline: Pipeline, is_new: bool) -> None:
    pipeline.mkdir("/d")
    if not is_new:
        pipeline.write("/d/x", b"first")
    pipeline.settle()
    refused_in_renamed_folder(pipeline)
    pipeline.write("/e/x", b"new")
    pipeline.unlink("/e/x")
    for _ in range(2):
        with pytest.raises(NotFound):
            pipeline.view.stat(RemotePath("/e/x"))
        pipeline.settle()
    assert pipeline.account.files() == {}
    assert pipeline.states() == []


def test_a_local_only_file_in_a_renamed_folder_goes_with_what_was_written_over_it(
    pipeline: Pipeline,
) -> None:
    pipeline.mkdir("/d")
    pipeline.settle()
    pipeline.write("/d/~$x", b"1")
    pipeline.rename("/d", "/e")
    pipeline.write("/e/~$x", b"2")
    pipeline.unlink("/e/~$x")
    with pytest.raises(NotFound):
        pipeline.view.stat(RemotePath("/e/~$x"))


def test_a_local_only_folder_that_left_a_folder_is_not_back_when_that_is_renamed(pipeline: Pipeline) -> None:
    for path in ("/d", "/d/~$x", "/~$x"):
        pipeline.mkdir(path)
    pipeline.rename("/d/~$x", "/~$x")
    pipeline.rename("/d", "/e")
    for _ in range(2):
        assert pipeline.view.children(RemotePath("/e")) == []
        assert pipeline.view.stat(RemotePath("/~$x")).is_folder
        pipeline.settle()


def test_a_refused_folder_is_sent_with_all_in_it_once_it_is_renamed(pipeline: Pipeline) -> None:
    pipeline.backend.refuse("/d", Forbidden("no"))
    pipeline.backend.refuse("/d/x", Forbidden("no"))
    pipeline.mkdir("/d")
    pipeline.settle()
    pipeline.write("/d/x", b"x")
    pipeline.settle()
    assert {state for _, _, state in pipeline.states()} == {ChangeState.FAILED}
    pipeline.rename("/d", "/e")
    pipeline.settle()
    assert pipeline.account.files() == {"/e/x": b"x"}
    assert pipeline.states() == []


def test_after_a_crash_it_is_replaced_by_what_was_closed_over_it(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"first")
    pipeline.settle()
    pipeline.backend.refuse("/a", Forbidden("no"))
    pipeline.write("/a", b"refused")
    pipeline.settle()
    change = pipeline.begin("/a", b"new")
    pipeline.names.flush(change.id, 3, pipeline.clock.wall_ns())
    kind = pipeline.backend.limits.hash_kind
    pipeline.journal.set_fact("boot_id", "boot")
    recover(pipeline.journal, pipeline.spool, boot_id="boot", host=HOST, clock=pipeline.clock, hash_kind=kind)
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"new"}
    assert pipeline.states() == []


def test_a_new_folder_has_no_time_of_one_that_had_its_name(pipeline: Pipeline) -> None:
    pipeline.mkdir("/d")
    pipeline.mkdir("/d/sub")
    for path in ("/d", "/d/sub"):
        pipeline.touch(path, 10**18)
    pipeline.rename("/d", "/e")
    for path in ("/d", "/d/sub"):
        pipeline.mkdir(path)
        assert pipeline.view.stat(RemotePath(path)).mtime_ns > 10**18


@pytest.mark.parametrize("is_sent", [True, False])
def test_a_folder_has_no_time_of_one_that_it_replaced(pipeline: Pipeline, is_sent: bool) -> None:
    pipeline.mkdir("/d")
    pipeline.mkdir("/e")
    if is_sent:
        pipeline.settle()
    pipeline.touch("/e", 10**18)
    pipeline.rename("/d", "/e")
    assert pipeline.view.stat(RemotePath("/e")).mtime_ns != 10**18
    pipeline.settle()
    assert pipeline.view.stat(RemotePath("/e")).mtime_ns != 10**18


def test_a_refused_folder_is_over_once_something_stands_in_it(pipeline: Pipeline) -> None:
    pipeline.backend.refuse("/d", Forbidden("no"), times=1)
    pipeline.mkdir("/d")
    pipeline.settle()
    pipeline.write("/d/x", b"1")
    pipeline.settle()
    assert pipeline.states() == []
    assert pipeline.view.stat(RemotePath("/d/x")).size_bytes == 1


def test_what_was_written_under_a_refused_new_name_of_a_folder_stays_reachable(pipeline: Pipeline) -> None:
    pipeline.mkdir("/c")
    pipeline.settle()
    pipeline.backend.refuse("/d", Forbidden("no"), times=5)
    pipeline.rename("/c", "/d")
    pipeline.write("/d/x", b"mine")
    pipeline.settle()
    assert pipeline.account.files() == {"/c/x": b"mine"}
    assert pipeline.view.stat(RemotePath("/c/x")).size_bytes == 4


def test_a_service_that_is_only_busy_never_makes_a_file_fail(pipeline: Pipeline) -> None:
    pipeline.backend.refuse("/a", Busy("locked"), times=3)
    pipeline.write("/a", b"x")
    pipeline.upload_all()
    pipeline.backend.refuse("/a", SessionLost("expired"), times=1)
    pipeline.settle()
    assert pipeline.states() == []
    assert pipeline.account.files() == {"/a": b"x"}
