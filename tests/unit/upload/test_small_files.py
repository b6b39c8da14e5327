"""Small files on their way up, by the port's calls on a memory account."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.backends.memory_account import MEMORY_LIMITS
from mountfs.errors import (
    InvalidArgument,
    MountfsError,
    NoSpace,
    NotSignedIn,
    Offline,
    RequestTooBig,
    ServerFault,
    Throttled,
)
from mountfs.model.change import ChangeState
from mountfs.model.hashing import HashKind, content_hash
from mountfs.ports import Piece
from mountfs.upload.packlane import SINGLES_FOR_S
from tests.fakes.pending import Pipeline
from tests.unit.upload.bodies import assert_uploaded, body_of

MIB = 1024 * 1024
SMALL_LIMITS = replace(MEMORY_LIMITS, chunk_bytes=16, session_min_bytes=32, pack_bytes=64, pack_entries=10)


@pytest.fixture
def small(tmp_path: Path) -> Pipeline:
    """A service whose parts are 16 bytes, so that a large file has 32."""
    return Pipeline(tmp_path, limits=SMALL_LIMITS)


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


def test_a_new_file_does_not_wait_for_one_that_was_put_off(pipeline: Pipeline) -> None:
    """Whoever sleeps until that one is due is woken."""
    rings: list[None] = []
    pipeline.uploader.bell = lambda: rings.append(None)
    append_pack = pipeline.backend.append_pack

    def put_off(pieces: Sequence[Piece]) -> list[MountfsError | None]:
        pipeline.backend.append_pack = append_pack  # type: ignore[method-assign]
        return [ServerFault("500", retry_after_s=60.0), *append_pack(pieces[1:])]

    pipeline.backend.append_pack = put_off  # type: ignore[method-assign]
    for name in ("a", "b"):
        pipeline.write(f"/{name}", name.encode())
    pipeline.clock.advance(0.3)
    pipeline.uploader.step(pipeline.clock.now_s())
    assert pipeline.uploader.step(pipeline.clock.now_s()) == pytest.approx(pipeline.clock.now_s() + 60.0)
    rings.clear()
    pipeline.write("/c", b"c")
    assert rings
    pipeline.clock.advance(0.3)
    pipeline.uploader.step(pipeline.clock.now_s())
    assert [path for _, path, state in pipeline.states() if state is ChangeState.SEALED] == ["/a"]
