"""Bytes on their way up, by the port's calls on a memory account."""

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
    InvalidArgument,
    MountfsError,
    NoSpace,
    NotSignedIn,
    Offline,
    RequestTooBig,
    ServerFault,
    SessionLost,
    Throttled,
)
from mountfs.model.change import ChangeEvent, ChangeState
from mountfs.model.hashing import HashKind, content_hash
from mountfs.upload.packlane import SINGLES_FOR_S
from tests.fakes.pending import Pipeline

MIB = 1024 * 1024
SMALL_LIMITS = replace(MEMORY_LIMITS, chunk_bytes=16, session_min_bytes=32, pack_bytes=64, pack_entries=10)


@pytest.fixture
def small(tmp_path: Path) -> Pipeline:
    """A service whose parts are 16 bytes, so that a large file has 32."""
    return Pipeline(tmp_path, limits=SMALL_LIMITS)


def body_of(size: int, seed: int = 0) -> bytes:
    return bytes((index * 7 + seed) % 251 for index in range(size))


def assert_uploaded(pipeline: Pipeline, path: str, body: bytes) -> None:
    (change,) = (row for row in pipeline.journal.live() if row.path.text == path)
    assert change.state is ChangeState.UPLOADED
    assert change.content_hash == content_hash(HashKind.DROPBOX, body)
    assert change.session is not None
    assert pipeline.account.sessions[change.session].body() == body


# Small files


def test_small_files_travel_together(pipeline: Pipeline) -> None:
    for index in range(250):
        pipeline.write(f"/f{index}", body_of(index))
    pipeline.upload_all()
    for index in range(250):
        assert_uploaded(pipeline, f"/f{index}", body_of(index))
    calls = pipeline.memory.calls()
    assert calls["append_pack"] == 3
    assert calls["new_sessions"] == 2


def test_a_single_file_needs_one_call(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"x")
    pipeline.upload_all()
    assert_uploaded(pipeline, "/a", b"x")
    calls = pipeline.memory.calls()
    assert {route: count for route, count in calls.items() if route != "list_folder"} == {"upload_whole": 1}


def test_an_empty_file_is_a_file(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"")
    pipeline.upload_all()
    assert_uploaded(pipeline, "/a", b"")


def test_files_wait_a_moment_for_company(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"x")
    due_s = pipeline.uploader.step(pipeline.clock.now_s())
    assert due_s == pytest.approx(pipeline.clock.now_s() + 0.25)
    assert "upload_whole" not in pipeline.memory.calls()


def test_a_pack_has_no_more_bytes_than_a_part(small: Pipeline) -> None:
    for index in range(6):
        small.write(f"/f{index}", body_of(10, index))
    small.upload_all()
    assert small.memory.calls()["upload_whole"] == 6
    small.close()


def test_where_packs_are_refused_files_go_one_by_one_for_a_while(pipeline: Pipeline) -> None:
    pipeline.memory.takes_packs = False
    for index in range(5):
        pipeline.write(f"/f{index}", body_of(5, index))
    pipeline.upload_all()
    for index in range(5):
        assert_uploaded(pipeline, f"/f{index}", body_of(5, index))
    assert pipeline.memory.calls()["append_pack"] == 1
    pipeline.memory.takes_packs = True
    pipeline.clock.advance(SINGLES_FOR_S)
    pipeline.write("/g1", b"1")
    pipeline.write("/g2", b"2")
    pipeline.upload_all()
    assert pipeline.memory.calls()["append_pack"] == 2


def test_a_pack_too_big_is_halved(pipeline: Pipeline) -> None:
    pipeline.backend.fail("append_pack", RequestTooBig("431"), times=2)
    for index in range(100):
        pipeline.write(f"/f{index}", body_of(5, index))
    pipeline.upload_all()
    assert {row.state for row in pipeline.journal.live()} == {ChangeState.UPLOADED}
    assert pipeline.backend.is_spent()


def test_where_small_files_travel_with_their_commit_only_their_hash_is_made(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path, limits=replace(MEMORY_LIMITS, pack_entries=0, hash_kind=HashKind.SHA1))
    pipeline.write("/a", b"hello")
    pipeline.upload_all()
    (change,) = pipeline.journal.live()
    assert change.state is ChangeState.UPLOADED
    assert change.session is None
    assert change.content_hash == content_hash(HashKind.SHA1, b"hello")
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"hello"}
    pipeline.close()


def test_sessions_taken_ahead_that_are_gone_are_not_tried_one_after_the_other(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"a")
    pipeline.write("/b", b"b")
    pipeline.upload_all()
    pipeline.account.lose_sessions()
    pipeline.write("/c", b"c")
    pipeline.write("/d", b"d")
    pipeline.upload_all()
    assert_uploaded(pipeline, "/c", b"c")
    assert_uploaded(pipeline, "/d", b"d")
    assert pipeline.memory.calls()["append_pack"] == 3


TRANSIENT = [Offline("x"), ServerFault("x"), Throttled("x", 9.0), NotSignedIn("x")]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("route", ["new_sessions", "append_pack"])
@pytest.mark.parametrize("error", TRANSIENT)
def test_small_files_survive_a_failing_service(
    pipeline: Pipeline, route: str, error: MountfsError, after: bool
) -> None:
    pipeline.backend.fail(route, error, times=3, after=after)
    for index in range(3):
        pipeline.write(f"/f{index}", body_of(5, index))
    pipeline.upload_all()
    for index in range(3):
        assert_uploaded(pipeline, f"/f{index}", body_of(5, index))


def test_status_says_why_nothing_goes_up(pipeline: Pipeline) -> None:
    pipeline.write("/a", b"x")
    pipeline.memory.is_online = False
    with pytest.raises(AssertionError):
        pipeline.upload_all(most_s=100)
    assert pipeline.uploader.is_offline
    assert pipeline.uploader.last_error == "the memory account does not answer"
    tries = pipeline.memory.calls()["upload_whole"]
    assert tries < 16
    pipeline.memory.is_online = True
    pipeline.upload_all()
    assert not pipeline.uploader.is_offline
    assert pipeline.uploader.last_error is None


def test_a_refused_file_fails_alone(pipeline: Pipeline) -> None:
    pipeline.backend.fail("append_pack", InvalidArgument("malformed"), times=1)
    pipeline.backend.fail("upload_whole", NoSpace("full"), times=1)
    pipeline.write("/a", b"a")
    pipeline.write("/b", b"b")
    pipeline.upload_all()
    assert sorted(row.state for row in pipeline.journal.live()) == [ChangeState.FAILED, ChangeState.UPLOADED]
    assert pipeline.notices() == ["not uploaded: full"]


def test_bytes_that_cannot_be_read_back_fail(pipeline: Pipeline) -> None:
    change = pipeline.write("/a", b"hello")
    assert change.spool is not None
    pipeline.spool.path(change.spool).unlink()
    pipeline.upload_all()
    (row,) = pipeline.journal.live()
    assert row.state is ChangeState.FAILED
    assert "cannot be read" in (row.error or "")


def test_a_spool_file_that_is_too_short_fails(pipeline: Pipeline) -> None:
    change = pipeline.write("/a", b"hello")
    pipeline.spool.truncate(change.spool or "", 2)
    pipeline.upload_all()
    assert [row.state for row in pipeline.journal.live()] == [ChangeState.FAILED]


def test_a_file_removed_while_it_travels_does_no_harm(pipeline: Pipeline) -> None:
    pipeline.memory.hold("upload_whole")
    pipeline.write("/a", b"x")
    pipeline.clock.advance(1.0)
    worker = threading.Thread(target=pipeline.uploader.step, args=(pipeline.clock.now_s(),))
    worker.start()
    assert pipeline.memory.wait_until_held("upload_whole")
    pipeline.unlink("/a")
    pipeline.memory.release("upload_whole")
    worker.join()
    pipeline.settle()
    assert pipeline.journal.rows() == []
    assert pipeline.account.files() == {}


def test_a_file_renamed_while_it_travels_arrives_under_its_new_name(pipeline: Pipeline) -> None:
    pipeline.memory.hold("upload_whole")
    pipeline.write("/a", b"x")
    pipeline.clock.advance(1.0)
    worker = threading.Thread(target=pipeline.uploader.step, args=(pipeline.clock.now_s(),))
    worker.start()
    assert pipeline.memory.wait_until_held("upload_whole")
    pipeline.rename("/a", "/b")
    pipeline.memory.release("upload_whole")
    worker.join()
    pipeline.settle()
    assert pipeline.account.files() == {"/b": b"x"}
    assert pipeline.memory.calls()["upload_whole"] == 1


def test_a_local_only_name_holds_the_bytes_back_until_it_gets_a_real_one(pipeline: Pipeline) -> None:
    pipeline.write("/.a.swp", b"x")
    pipeline.settle()
    assert "upload_whole" not in pipeline.memory.calls()
    pipeline.rename("/.a.swp", "/a")
    pipeline.settle()
    assert pipeline.account.files() == {"/a": b"x"}


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
    pipeline = Pipeline(tmp_path, limits=SMALL_LIMITS)
    workers = [Worker(f"upload-{index}", pipeline.uploader.step, SystemClock()) for index in range(6)]

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
