"""What several tests of the committer do to a pipeline, and expect of it."""

from __future__ import annotations

from mountfs.model.change import ChangeState
from tests.fakes.pending import Pipeline


def step_until_running(pipeline: Pipeline) -> None:
    while not pipeline.committer.current:
        pipeline.commit_steps(1)
    assert pipeline.states()[0][2] is ChangeState.COMMITTING


def all_kinds(pipeline: Pipeline) -> None:
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


def check_all_kinds(pipeline: Pipeline) -> None:
    assert pipeline.account.files() == {"/new": b"n", "/changed": b"2", "/there": b"m"}
    assert pipeline.account.folders() == {"/folder"}
    assert pipeline.revisions_of("/new") == 1
    assert pipeline.revisions_of("/changed") == 2
    assert pipeline.journal.rows() == []
    assert pipeline.notices() == []
    assert pipeline.account.overlapping_submits == 0
