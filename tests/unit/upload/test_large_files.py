"""Large files on their way up, by the port's calls on a memory account."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.worker import Worker
from mountfs.backends.memory_account import MEMORY_LIMITS
from mountfs.clock import SystemClock
from mountfs.errors import (
    BatchRefused,
    Corrupt,
    Forbidden,
    MountfsError,
    NoSpace,
    NotSignedIn,
    Offline,
    ServerFault,
    SessionLost,
    Throttled,
)
from mountfs.model.change import ChangeEvent, ChangeState
from tests.fakes.pending import Pipeline
from tests.unit.upload.bodies import assert_uploaded, body_of

MIB = 1024 * 1024
SMALL_LIMITS = replace(MEMORY_LIMITS, chunk_bytes=16, session_min_bytes=32, pack_bytes=64, pack_entries=10)


@pytest.fixture
def small(tmp_path: Path) -> Pipeline:
    """A service whose parts are 16 bytes, so that a large file has 32."""
    return Pipeline(tmp_path, limits=SMALL_LIMITS)


TRANSIENT = [Offline("x"), ServerFault("x"), Throttled("x", 9.0), NotSignedIn("x")]


# Large files


def test_a_large_file_goes_up_in_parts(small: Pipeline) -> None:
    body = body_of(100)
    small.write("/a", body)
    small.upload_all()
    assert_uploaded(small, "/a", body)
    assert small.memory.calls()["append"] == 7
    small.settle()
    assert small.account.files() == {"/a": body}
    small.close()


def test_a_large_file_goes_up_while_it_is_written(small: Pipeline) -> None:
    body = body_of(100)
    change = small.begin("/a")
    for offset in range(0, 100, 10):
        small.overwrite(change, offset, body[offset : offset + 10])
        small.upload_all()
    assert small.memory.calls()["append"] == 6
    assert small.states()[0][2] is ChangeState.OPEN
    small.names.seal(change.id, 100, small.clock.wall_ns())
    small.upload_all()
    assert small.memory.calls()["append"] == 7
    assert_uploaded(small, "/a", body)
    small.close()


def test_where_the_size_must_be_known_nothing_starts_before(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path, limits=replace(SMALL_LIMITS, size_known_at_start=True))
    change = pipeline.begin("/a")
    pipeline.overwrite(change, 0, body_of(100))
    pipeline.upload_all()
    assert "open_session" not in pipeline.memory.calls()
    pipeline.names.seal(change.id, 100, pipeline.clock.wall_ns())
    pipeline.upload_all()
    assert_uploaded(pipeline, "/a", body_of(100))
    pipeline.close()


def test_a_write_behind_what_was_sent_begins_again_from_the_spool(small: Pipeline) -> None:
    body = bytearray(body_of(100))
    change = small.begin("/a")
    small.overwrite(change, 0, bytes(body))
    small.upload_all()
    spoiled = small.journal.live()[0].session
    body[3:5] = b"!!"
    small.overwrite(change, 3, b"!!")
    assert small.journal.parts(change.id) == ()
    assert small.journal.live()[0].session is None
    small.names.seal(change.id, 100, small.clock.wall_ns())
    small.upload_all()
    assert_uploaded(small, "/a", bytes(body))
    assert small.journal.orphans.all() == [spoiled]
    small.settle()
    assert spoiled not in small.account.sessions
    small.close()


def test_a_file_written_over_and_over_is_sent_only_once_it_is_whole(small: Pipeline) -> None:
    body = body_of(100)
    change = small.begin("/a")
    for _ in range(5):
        small.overwrite(change, 0, body)
        small.upload_all()
    assert small.memory.calls()["open_session"] == 2
    small.names.seal(change.id, 100, small.clock.wall_ns())
    small.upload_all()
    assert_uploaded(small, "/a", body)
    small.close()


def test_a_file_cut_short_after_it_was_large_is_a_small_one(small: Pipeline) -> None:
    change = small.begin("/a")
    small.overwrite(change, 0, body_of(100))
    small.upload_all()
    assert change.spool is not None
    file = small.spool.open(change.spool)
    file.truncate(5)
    file.close()
    small.uploader.truncated(change.id, 5)
    small.names.seal(change.id, 5, small.clock.wall_ns())
    small.upload_all()
    assert_uploaded(small, "/a", body_of(5))
    small.settle()
    assert small.account.sessions == {}
    small.close()


def test_a_large_file_removed_while_open_lets_go_of_its_session(small: Pipeline) -> None:
    change = small.begin("/a")
    small.overwrite(change, 0, body_of(100))
    small.upload_all()
    assert small.account.sessions
    small.unlink("/a")
    small.settle()
    assert small.account.sessions == {}
    assert small.journal.rows() == []
    small.close()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("skip", [0, 3, 6])
@pytest.mark.parametrize("error", [*TRANSIENT, Corrupt("x"), SessionLost("x")])
def test_a_large_file_survives_a_failing_service(
    small: Pipeline, error: MountfsError, skip: int, after: bool
) -> None:
    small.backend.fail("append", error, skip=skip, times=2, after=after)
    small.write("/a", body_of(100))
    small.upload_all()
    assert_uploaded(small, "/a", body_of(100))
    small.settle()
    assert small.account.files() == {"/a": body_of(100)}
    assert small.notices() == []
    small.close()


@pytest.mark.parametrize("error", TRANSIENT)
def test_a_session_that_cannot_be_opened_now_is_opened_later(small: Pipeline, error: MountfsError) -> None:
    small.backend.fail("open_session", error, times=3)
    small.write("/a", body_of(100))
    small.upload_all()
    assert_uploaded(small, "/a", body_of(100))
    small.close()


def test_a_session_is_let_go_of_once_the_far_side_is_back(small: Pipeline) -> None:
    change = small.begin("/a")
    small.overwrite(change, 0, body_of(100))
    small.upload_all()
    small.overwrite(change, 3, b"!!")
    small.backend.fail("abandon", ServerFault("500"), times=2)
    small.names.seal(change.id, 100, small.clock.wall_ns())
    small.settle()
    assert small.backend.is_spent()
    assert small.account.sessions == {}
    assert small.journal.orphans.all() == []
    small.close()


def test_a_refused_part_fails_the_file(small: Pipeline) -> None:
    small.backend.fail("append", Forbidden("no"), skip=1)
    small.write("/a", body_of(100))
    small.upload_all()
    assert [row.state for row in small.journal.live()] == [ChangeState.FAILED]
    small.close()


def test_a_refusal_while_it_is_written_is_asked_again_once_it_is_whole(small: Pipeline) -> None:
    small.backend.fail("append", NoSpace("full"))
    change = small.begin("/a")
    small.overwrite(change, 0, body_of(100))
    small.upload_all()
    assert small.states()[0][2] is ChangeState.OPEN
    small.names.seal(change.id, 100, small.clock.wall_ns())
    small.upload_all()
    assert_uploaded(small, "/a", body_of(100))
    small.close()


@pytest.mark.parametrize("steps", range(1, 9))
def test_a_restart_resumes_at_the_first_missing_part(small: Pipeline, steps: int) -> None:
    small.write("/a", body_of(100))
    for _ in range(steps):
        small.uploader.step(small.clock.now_s())
    small.restart()
    small.upload_all()
    assert_uploaded(small, "/a", body_of(100))
    assert small.memory.calls()["append"] == 7
    assert small.memory.calls()["open_session"] == 1
    small.close()


def test_a_large_file_whose_session_expired_is_sent_from_the_start(small: Pipeline) -> None:
    small.write("/a", body_of(100))
    for _ in range(4):
        small.uploader.step(small.clock.now_s())
    small.account.lose_sessions()
    small.upload_all()
    assert_uploaded(small, "/a", body_of(100))
    small.close()


def test_a_file_to_be_sent_again_gets_a_new_session(small: Pipeline) -> None:
    small.write("/a", body_of(100))
    small.upload_all()
    (change,) = small.journal.live()
    small.account.lose_sessions()
    small.journal.clear_parts(change.id)
    small.journal.advance(change, ChangeEvent.RESEND, session=None)
    small.upload_all()
    assert_uploaded(small, "/a", body_of(100))
    small.close()


def test_small_and_large_files_take_turns(small: Pipeline) -> None:
    small.write("/large", body_of(1600))
    for index in range(20):
        small.write(f"/f{index}", bytes([index]))
    small.clock.advance(1.0)
    for _ in range(8):
        small.uploader.step(small.clock.now_s())
    calls = small.memory.calls()
    assert calls["append_pack"] == 2
    assert calls["append"] >= 2
    small.close()


def test_many_workers_send_everything_once(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path, limits=SMALL_LIMITS, clock=SystemClock())
    workers = [Worker(f"upload-{index}", pipeline.uploader.step, pipeline.clock) for index in range(6)]

    def ring() -> None:
        for worker in workers:
            worker.wake()

    done = threading.Event()

    def look(before: object, after: object) -> None:
        if all(row.state is ChangeState.UPLOADED for row in pipeline.journal.live()):
            done.set()

    bodies = {f"/l{index}": body_of(1000 + index, index) for index in range(4)}
    bodies |= {f"/s{index}": body_of(index % 30, index) for index in range(100)}
    for path, body in bodies.items():
        pipeline.write(path, body)
    pipeline.uploader.bell = ring
    pipeline.journal.watch(look)
    for worker in workers:
        worker.start()
    assert done.wait(30)
    for worker in workers:
        worker.stop()
        worker.join()
    for path, body in bodies.items():
        assert_uploaded(pipeline, path, body)
    assert pipeline.memory.calls()["append"] == sum(
        -(-len(body) // 16) for body in bodies.values() if len(body) >= 32
    )
    pipeline.close()


def test_batches_refused_for_a_single_file_refuse_nothing(pipeline: Pipeline) -> None:
    pipeline.backend.fail("append_pack", BatchRefused("no"))
    pipeline.write("/a", b"a")
    pipeline.write("/b", b"b")
    pipeline.upload_all()
    assert {row.state for row in pipeline.journal.live()} == {ChangeState.UPLOADED}


def test_a_file_that_gets_a_local_name_while_its_last_part_travels_is_sent_once_it_has_a_real_one(
    small: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = body_of(100)
    append = small.memory.append

    def renaming(session: str, offset: int, part: bytes, *, closing: bool, size_bytes: int | None) -> str:
        if closing:
            small.rename("/a", "/~$a")
        return append(session, offset, part, closing=closing, size_bytes=size_bytes)

    monkeypatch.setattr(small.memory, "append", renaming)
    small.write("/a", body)
    small.upload_all()
    small.rename("/~$a", "/a")
    small.settle()
    assert small.account.files() == {"/a": body}
    small.close()


def test_a_session_opened_for_a_file_that_is_gone_is_ended(small: Pipeline) -> None:
    small.write("/a", body_of(100))
    inner = small.memory.open_session

    def open_late(*arguments: object) -> str:
        session = inner(*arguments)  # type: ignore[arg-type]
        small.unlink("/a")
        return session

    small.memory.open_session = open_late  # type: ignore[method-assign]
    small.settle()
    assert small.memory.calls()["open_session"] == 1
    assert small.account.sessions == {}
    small.close()


def test_a_session_that_cannot_be_begun_with_is_ended(small: Pipeline) -> None:
    small.write("/a", body_of(100))
    inner, asked = small.memory.part_bytes, list[str]()

    def part_bytes(session: str) -> int:
        asked.append(session)
        if len(asked) == 1:
            raise SessionLost("makes no sense")
        return inner(session)

    small.memory.part_bytes = part_bytes  # type: ignore[method-assign]
    small.settle()
    assert small.account.files() == {"/a": body_of(100)}
    assert small.account.sessions == {}
    small.close()


def test_half_a_session_is_ended_when_the_next_process_takes_its_file_for_a_small_one(
    small: Pipeline,
) -> None:
    small.backend.fail("append", NotSignedIn("x"), skip=2, times=10**6)
    small.write("/a", body_of(100))
    for _ in range(4):
        small.uploader.step(small.clock.now_s())
    assert len(small.account.sessions) == 1
    small.committer.close()
    small.journal.close()
    small.spool.close()
    small.account.limits = replace(SMALL_LIMITS, session_min_bytes=1000, pack_bytes=1000)
    again = Pipeline(small.directory, small.account, clock=small.clock)
    again.settle()
    assert again.account.files() == {"/a": body_of(100)}
    assert again.account.sessions == {}
    again.close()
