from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.sweeper import Sweeper
from mountfs.errors import Forbidden, Offline, ServerFault, Throttled
from mountfs.model.entry import File
from mountfs.reading.blocks import Blocks
from tests.fakes.pending import Pipeline


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline(tmp_path)
    yield made
    made.close()


def sweeper_of(pipeline: Pipeline, blocks: Blocks) -> Sweeper:
    return Sweeper(pipeline.journal, pipeline.spool, blocks, pipeline.backend, pipeline.clock)


def test_a_committed_file_stays_readable_without_a_download(pipeline: Pipeline, tmp_path: Path) -> None:
    blocks = Blocks(tmp_path / "blocks", 10**6)
    pipeline.sweeper = sweeper_of(pipeline, blocks)
    pipeline.write("/a", b"hello")
    pipeline.settle()
    entry = pipeline.account.get("/a")
    assert isinstance(entry, File)
    assert blocks.peek(entry, 0, 100) == b"hello"
    assert pipeline.spool.names() == []
    assert pipeline.journal.rows() == []


def test_what_the_cache_does_not_take_is_removed(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.sweeper = sweeper_of(pipeline, Blocks(tmp_path / "blocks", 3))
    pipeline.write("/a", b"hello")
    pipeline.settle()
    assert pipeline.spool.names() == []


def test_a_dropped_file_lets_go_of_its_session_and_its_bytes(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"hello")
    pipeline.upload_all()
    assert pipeline.account.sessions
    pipeline.unlink("/a")
    pipeline.settle()
    assert pipeline.account.sessions == {}
    assert pipeline.spool.names() == []
    assert pipeline.journal.rows() == []


def test_bytes_go_even_while_the_far_side_is_away(pipeline: Pipeline) -> None:
    for index in range(5):
        pipeline.write(f"/f{index}", b"hello")
    pipeline.upload_all()
    pipeline.backend.fail("abandon", Offline("away"), times=5)
    for index in range(5):
        pipeline.unlink(f"/f{index}")
    pipeline.sweeper.step(pipeline.clock.now_s())
    assert pipeline.spool.names() == []
    assert pipeline.journal.rows() == []
    assert not pipeline.backend.is_spent()


def test_a_session_is_let_go_of_once_the_far_side_is_back(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"hello")
    pipeline.upload_all()
    pipeline.backend.fail("abandon", Offline("away"), times=3)
    pipeline.unlink("/a")
    pipeline.settle()
    assert pipeline.account.sessions == {}


def test_sessions_that_a_former_process_left_are_ended(pipeline: Pipeline) -> None:
    left = [pipeline.account.start_session(is_large=True) for _ in range(3)]
    for session in left:
        pipeline.journal.orphans.add(session)
    pipeline.restart()
    pipeline.backend.fail("abandon", Forbidden("no"))
    pipeline.settle()
    # What the service refuses to end is not asked for again.
    assert list(pipeline.account.sessions) == left[:1]
    assert pipeline.journal.orphans.all() == []
    assert pipeline.memory.calls()["abandon"] == 2


def test_a_session_the_service_cannot_end_now_stays_for_the_next_process(pipeline: Pipeline) -> None:
    session = pipeline.account.start_session(is_large=True)
    pipeline.journal.orphans.add(session)
    pipeline.backend.fail("abandon", Throttled("later", retry_after_s=600.0))
    due_s = pipeline.sweeper.step(pipeline.clock.now_s())
    assert due_s == pipeline.clock.now_s() + 600.0
    assert pipeline.sweeper.step(pipeline.clock.now_s()) == due_s
    pipeline.restart()
    assert pipeline.journal.orphans.all() == [session]
    pipeline.settle()
    assert pipeline.account.sessions == {}


def test_the_bell_rings_when_a_session_is_to_be_ended(pipeline: Pipeline) -> None:
    rung: list[None] = []
    pipeline.sweeper.bell = lambda: rung.append(None)
    pipeline.journal.orphans.add("s")
    assert rung


def test_what_a_former_process_left_is_swept(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"hello")
    pipeline.unlink("/a")
    assert len(pipeline.journal.rows()) == 1
    pipeline.restart()
    pipeline.sweeper.step(pipeline.clock.now_s())
    assert pipeline.journal.rows() == []
    assert pipeline.spool.names() == []


def test_the_bell_rings_when_there_is_something_to_sweep(pipeline: Pipeline) -> None:
    rung: list[None] = []
    pipeline.sweeper.bell = lambda: rung.append(None)
    pipeline.write("/a", b"hello")
    assert rung == []
    pipeline.unlink("/a")
    assert rung
    assert pipeline.sweeper.step(pipeline.clock.now_s()) < math.inf
    assert pipeline.sweeper.step(pipeline.clock.now_s()) == math.inf


def test_one_session_that_the_service_cannot_end_keeps_no_other_from_its_end(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    def abandon(session: str) -> None:
        if session == "stuck":
            raise ServerFault("500")
        ended.append(session)

    monkeypatch.setattr(pipeline.memory, "abandon", abandon)
    for session in ("stuck", "one", "two"):
        pipeline.journal.orphans.add(session)
    for _ in range(10):
        pipeline.sweeper.step(pipeline.clock.now_s())
        pipeline.clock.advance(60.0)
    assert ended == ["one", "two"]
    assert pipeline.journal.orphans.first() == "stuck"
