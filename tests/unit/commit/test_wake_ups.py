"""Whoever sleeps until something happens is woken when it does."""

from __future__ import annotations

import math

from mountfs.model.change import ChangeKind, ChangeState
from tests.fakes.pending import Pipeline


def lull(pipeline: Pipeline) -> list[None]:
    """Steps the committer until it would sleep for ever; its later rings."""
    rings: list[None] = []
    pipeline.committer.bell = lambda: rings.append(None)
    while not math.isinf(due_s := pipeline.committer.step(pipeline.clock.now_s())):
        pipeline.clock.advance(max(0.0, due_s - pipeline.clock.now_s()))
    rings.clear()
    return rings


def test_a_rename_goes_once_the_open_file_it_waited_for_is_renamed_away(pipeline: Pipeline) -> None:
    pipeline.account.mkdir("/d")
    pipeline.begin("/d/open")
    pipeline.rename("/d", "/e")
    rings = lull(pipeline)
    pipeline.rename("/e/open", "/open")
    assert rings
    lull(pipeline)
    assert pipeline.account.folders() == {"/e"}


def test_a_rename_goes_once_what_it_waited_for_got_a_name_that_stays_here(pipeline: Pipeline) -> None:
    pipeline.account.mkdir("/d")
    pipeline.write("/d/file", b"not up yet")
    pipeline.rename("/d", "/e")
    rings = lull(pipeline)
    pipeline.rename("/e/file", "/e/~$file")
    assert rings
    lull(pipeline)
    assert pipeline.account.folders() == {"/e"}
    assert pipeline.states() == [(ChangeKind.PUT, "/e/~$file", ChangeState.SEALED)]
