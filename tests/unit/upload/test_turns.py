"""Where a session is bound to a path and a base, it begins only when nothing can change them any more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.backends.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from mountfs.errors import Busy
from mountfs.model.change import ChangeState
from mountfs.model.settling import SETTLE_S, TEMPORARY_SETTLE_S
from tests.fakes.pending import Pipeline
from tests.unit.upload.bodies import body_of

LIMITS = replace(SIDE_BY_SIDE_LIMITS, chunk_bytes=16, session_min_bytes=32)
BODY, NEWER = body_of(100), body_of(120, 7)


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(tmp_path, limits=LIMITS)
    yield pipeline
    pipeline.close()


def opened(pipeline: Pipeline) -> int:
    return pipeline.memory.calls().get("open_session", 0)


def uploader_steps(pipeline: Pipeline, count: int = 5) -> None:
    """With the clock standing still."""
    for _ in range(count):
        pipeline.uploader.step(pipeline.clock.now_s())


def test_it_waits_until_the_name_has_settled(pipeline: Pipeline) -> None:
    pipeline.write("/f", BODY)
    uploader_steps(pipeline)
    assert opened(pipeline) == 0
    due_s = pipeline.uploader.step(pipeline.clock.now_s())
    assert due_s == pytest.approx(pipeline.clock.now_s() + SETTLE_S)
    pipeline.clock.advance(SETTLE_S)
    uploader_steps(pipeline, 1)
    assert opened(pipeline) == 1


def test_a_name_that_looks_temporary_settles_for_longer_and_is_sent_once_under_its_real_one(
    pipeline: Pipeline,
) -> None:
    pipeline.write("/.film.aB3xYz", BODY)
    pipeline.clock.advance(TEMPORARY_SETTLE_S - 0.1)
    uploader_steps(pipeline)
    pipeline.rename("/.film.aB3xYz", "/film")
    pipeline.settle()
    assert pipeline.account.files() == {"/film": BODY}
    assert (opened(pipeline), pipeline.memory.calls()["append"]) == (1, 7)


def test_it_does_not_wait_while_somebody_waits_for_it(pipeline: Pipeline) -> None:
    pipeline.urgency.hurry()
    pipeline.write("/f", BODY)
    uploader_steps(pipeline, 1)
    assert opened(pipeline) == 1


def test_where_sessions_have_no_places_nothing_waits(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path, limits=replace(MEMORY_LIMITS, chunk_bytes=16, session_min_bytes=32))
    pipeline.write("/f", BODY)
    uploader_steps(pipeline, 1)
    assert opened(pipeline) == 1
    pipeline.close()


def test_a_file_that_is_renamed_while_it_is_sent_begins_anew_at_once(pipeline: Pipeline) -> None:
    pipeline.write("/f", BODY)
    pipeline.clock.advance(1.0)
    uploader_steps(pipeline, 3)
    sent = pipeline.memory.calls()["append"]
    assert 0 < sent < 7
    pipeline.rename("/f", "/g")
    pipeline.settle()
    assert pipeline.account.files() == {"/g": BODY}
    assert pipeline.memory.calls()["append"] == sent + 7
    assert pipeline.account.sessions == {}


def test_a_later_version_waits_for_the_fate_of_the_one_that_is_being_committed(pipeline: Pipeline) -> None:
    pipeline.account.job_polls = 5
    pipeline.write("/f", b"small")
    pipeline.upload_all()
    pipeline.clock.advance(1.0)
    pipeline.commit_steps(1)
    pipeline.write("/f", NEWER)
    pipeline.clock.advance(1.0)
    uploader_steps(pipeline)
    assert opened(pipeline) == 0
    pipeline.settle()
    assert pipeline.account.files() == {"/f": NEWER}
    assert (opened(pipeline), pipeline.notices()) == (1, [])


def test_a_file_in_a_new_folder_waits_for_the_folder(pipeline: Pipeline) -> None:
    pipeline.mkdir("/d")
    pipeline.write("/d/f", BODY)
    pipeline.clock.advance(1.0)
    uploader_steps(pipeline)
    assert opened(pipeline) == 0
    pipeline.settle()
    assert pipeline.account.files() == {"/d/f": BODY}


def test_a_new_folder_that_is_renamed_takes_its_files_along_unsent(pipeline: Pipeline) -> None:
    pipeline.mkdir("/d")
    pipeline.write("/d/f", BODY)
    uploader_steps(pipeline)
    pipeline.rename("/d", "/e")
    pipeline.settle()
    assert pipeline.account.files() == {"/e/f": BODY}
    assert pipeline.account.folders() == {"/e"}
    assert opened(pipeline) == 1


def test_a_file_in_a_folder_that_is_being_renamed_waits_for_the_rename(pipeline: Pipeline) -> None:
    pipeline.account.mkdir("/d")
    pipeline.write("/d/old", b"old")
    pipeline.settle()
    pipeline.rename("/d", "/e")
    pipeline.write("/e/f", BODY)
    pipeline.clock.advance(1.0)
    uploader_steps(pipeline)
    assert opened(pipeline) == 0
    pipeline.settle()
    assert pipeline.account.files() == {"/e/old": b"old", "/e/f": BODY}
    assert pipeline.account.folders() == {"/e"}


def test_a_file_where_a_file_is_being_made_a_folder_waits_for_that(pipeline: Pipeline) -> None:
    pipeline.write("/f", b"file")
    pipeline.settle()
    pipeline.unlink("/f")
    pipeline.mkdir("/f")
    pipeline.write("/f/big", BODY)
    pipeline.clock.advance(1.0)
    uploader_steps(pipeline)
    assert opened(pipeline) == 0
    pipeline.settle()
    assert pipeline.account.files() == {"/f/big": BODY}
    assert pipeline.notices() == []


def test_what_failed_before_it_does_not_hold_it_up_and_its_end_is_noticed(pipeline: Pipeline) -> None:
    rung: list[bool] = []
    pipeline.uploader.bell = lambda: rung.append(True)
    pipeline.account.mkdir("/d")
    pipeline.rename("/d", "/e")
    pipeline.write("/e/f", BODY)
    pipeline.clock.advance(1.0)
    uploader_steps(pipeline)
    assert opened(pipeline) == 0
    rung.clear()
    pipeline.backend.refuse("/e", Busy("locked"))
    pipeline.commit_steps(1)
    assert rung == []
    pipeline.clock.advance(60.0)
    pipeline.commit_steps(1)
    assert rung
    uploader_steps(pipeline, 1)
    assert opened(pipeline) == 1
    pipeline.settle()
    assert pipeline.account.files() == {"/e/f": BODY}


def test_a_session_of_a_former_process_is_taken_up_without_waiting(pipeline: Pipeline) -> None:
    pipeline.write("/f", BODY)
    pipeline.clock.advance(1.0)
    uploader_steps(pipeline, 3)
    sent = pipeline.memory.calls()["append"]
    pipeline.restart()
    pipeline.settle()
    assert pipeline.account.files() == {"/f": BODY}
    assert (opened(pipeline), pipeline.memory.calls()["append"]) == (1, 7)
    assert sent < 7
    assert [row for row in pipeline.journal.rows() if row.state is not ChangeState.COMMITTED] == []
