"""Nothing is left lying: whoever sleeps is woken, and what a step dropped is taken up."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from mountfs.model.change import Change, ChangeKind, ChangeState
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


class Interrupted:
    """A lock before which somebody else gets a turn, once."""

    def __init__(self, lock: Any, turn: Callable[[], object]) -> None:
        self._lock = lock
        self._turns = [turn]

    def __enter__(self) -> None:
        while self._turns:
            self._turns.pop()()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_a_step_that_breaks_off_while_another_one_looks_leaves_nothing_behind(side_by_side: Pipeline) -> None:
    side_by_side.write("/a", b"a")
    side_by_side.upload_all()
    side_by_side.clock.advance(1.0)
    submit, lock = side_by_side.backend.submit, side_by_side.journal.lock

    def break_off(orders: object) -> None:
        side_by_side.backend.submit = submit  # type: ignore[method-assign]
        side_by_side.journal.lock = Interrupted(  # type: ignore[assignment]
            lock, lambda: side_by_side.committer.step(side_by_side.clock.now_s())
        )
        raise TypeError

    side_by_side.backend.submit = break_off  # type: ignore[assignment,method-assign]
    with pytest.raises(TypeError):
        side_by_side.committer.step(side_by_side.clock.now_s())
    side_by_side.journal.lock = lock
    side_by_side.settle()
    assert side_by_side.account.files() == {"/a": b"a"}


def test_who_had_to_wait_before_a_look_takes_no_longer_rest_for_that(pipeline: Pipeline) -> None:
    """A disk that stalls somebody else's transaction stalls whoever wants the journal."""
    pipeline.write("/a", b"a")
    pipeline.upload_all()
    lock = pipeline.journal.lock
    pipeline.journal.lock = Interrupted(lock, lambda: pipeline.clock.advance(3.0))  # type: ignore[assignment]
    pipeline.committer.step(pipeline.clock.now_s())
    pipeline.journal.lock = lock
    pipeline.write("/b", b"b")
    pipeline.settle(most_s=2.0)
    assert pipeline.account.files() == {"/a": b"a", "/b": b"b"}


def test_a_look_in_which_the_machine_stood_still_is_followed_by_a_short_rest(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"a")
    pipeline.upload_all()
    live = pipeline.journal.live

    def stall() -> list[Change]:
        pipeline.journal.live = live  # type: ignore[method-assign]
        pipeline.clock.advance(600.0)
        return live()

    pipeline.journal.live = stall  # type: ignore[method-assign]
    pipeline.committer.step(pipeline.clock.now_s())
    pipeline.write("/b", b"b")
    pipeline.settle(most_s=10.0)
    assert pipeline.account.files() == {"/a": b"a", "/b": b"b"}
