"""Where several calls run at once: each waits for itself only, and none overlaps with another."""

from __future__ import annotations

import fcntl
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.worker import Worker
from mountfs.backends.memory_account import SIDE_BY_SIDE_LIMITS
from mountfs.clock import SystemClock
from mountfs.errors import Busy, MountfsError, Offline, ServerFault, SessionLost, Throttled
from mountfs.model.change import ChangeKind, ChangeState
from mountfs.model.hashing import HashKind, content_hash
from mountfs.model.path import RemotePath
from tests.fakes.pending import Pipeline

AT_ONCE = SIDE_BY_SIDE_LIMITS.batches_at_once


def ready(pipeline: Pipeline) -> None:
    """All bytes are up and all names have settled."""
    pipeline.upload_all()
    pipeline.clock.advance(1.0)


def step_in_place(pipeline: Pipeline, count: int = 30) -> None:
    """Steps with the clock standing still."""
    for _ in range(count):
        pipeline.committer.step(pipeline.clock.now_s())


def sent(pipeline: Pipeline) -> list[str]:
    return [order.path.text for batch in pipeline.account.submits for order in batch]


def test_as_many_calls_run_at_once_as_the_service_likes(side_by_side: Pipeline) -> None:
    for index in range(10):
        side_by_side.write(f"/f{index}", bytes([index]))
    ready(side_by_side)
    side_by_side.memory.hold("submit")
    workers = [
        threading.Thread(target=side_by_side.committer.step, args=(side_by_side.clock.now_s(),))
        for _ in range(AT_ONCE)
    ]
    for worker in workers:
        worker.start()
    assert side_by_side.memory.wait_until_held("submit", calls=AT_ONCE)
    current = side_by_side.committer.current
    assert [(job.kind, job.entries) for job in current] == [(ChangeKind.PUT, 1)] * AT_ONCE
    side_by_side.memory.release("submit")
    for worker in workers:
        worker.join()
    assert sorted(side_by_side.account.files()) == [f"/f{index}" for index in range(AT_ONCE)]
    side_by_side.settle()
    assert len(side_by_side.account.files()) == 10
    assert len(sent(side_by_side)) == 10


def test_a_commit_the_service_takes_minutes_for_keeps_no_other_waiting(side_by_side: Pipeline) -> None:
    side_by_side.account.job_polls, side_by_side.account.poll_after_s = 3, 300.0
    for index in range(AT_ONCE):
        side_by_side.write(f"/slow{index}", b"x")
    ready(side_by_side)
    step_in_place(side_by_side)
    assert len(side_by_side.committer.current) == AT_ONCE
    side_by_side.account.job_polls = 0
    side_by_side.write("/quick", b"y")
    ready(side_by_side)
    step_in_place(side_by_side)
    assert [path for _, path, _ in side_by_side.states()] == [f"/slow{index}" for index in range(AT_ONCE)]
    assert "poll" not in side_by_side.memory.calls()
    started_s = side_by_side.clock.now_s()
    side_by_side.settle(most_s=2000.0)
    assert side_by_side.clock.now_s() - started_s >= 890.0
    assert len(sent(side_by_side)) == AT_ONCE + 1


@pytest.mark.parametrize("error", [ServerFault("500"), Busy("locked")])
def test_a_call_that_fails_alone_waits_alone(side_by_side: Pipeline, error: MountfsError) -> None:
    for name in ("a", "b", "c"):
        side_by_side.write(f"/{name}", name.encode())
    ready(side_by_side)
    side_by_side.backend.fail("submit", error)
    step_in_place(side_by_side)
    assert set(side_by_side.account.files()) == {"/b", "/c"}
    assert side_by_side.committer.last_error in (str(error), None)
    side_by_side.settle()
    assert set(side_by_side.account.files()) == {"/a", "/b", "/c"}
    assert side_by_side.committer.last_error is None


@pytest.mark.parametrize("error", [Throttled("slow", retry_after_s=7.0), Offline("away")])
def test_what_would_fail_for_all_stops_all(side_by_side: Pipeline, error: MountfsError) -> None:
    for name in ("a", "b", "c"):
        side_by_side.write(f"/{name}", name.encode())
    ready(side_by_side)
    side_by_side.backend.fail("submit", error, skip=1)
    step_in_place(side_by_side)
    assert side_by_side.memory.calls()["submit"] == 1
    if isinstance(error, Throttled):
        side_by_side.clock.advance(6.9)
        step_in_place(side_by_side)
        assert side_by_side.memory.calls()["submit"] == 1
    side_by_side.settle()
    assert set(side_by_side.account.files()) == {"/a", "/b", "/c"}


def test_a_reply_to_an_older_call_does_not_end_the_wait_the_service_asked_for(side_by_side: Pipeline) -> None:
    for name in ("a", "b", "c"):
        side_by_side.write(f"/{name}", name.encode())
    ready(side_by_side)
    side_by_side.memory.hold("submit")
    older = threading.Thread(target=side_by_side.committer.step, args=(side_by_side.clock.now_s(),))
    older.start()
    assert side_by_side.memory.wait_until_held("submit")
    side_by_side.clock.advance(0.1)
    side_by_side.backend.fail("submit", Throttled("slow", retry_after_s=7.0))
    step_in_place(side_by_side)
    side_by_side.memory.release("submit")
    older.join()
    step_in_place(side_by_side)
    assert side_by_side.memory.calls()["submit"] == 1
    side_by_side.settle()
    assert set(side_by_side.account.files()) == {"/a", "/b", "/c"}


def test_a_folder_that_cannot_be_listed_keeps_only_its_own_removal_waiting(tmp_path: Path) -> None:
    side_by_side = Pipeline(tmp_path, limits=replace(SIDE_BY_SIDE_LIMITS, deletes_recursively=True))
    side_by_side.account.mkdir("/d")
    side_by_side.rmdir("/d")
    side_by_side.write("/a", b"a")
    ready(side_by_side)
    side_by_side.backend.fail("list_folder", ServerFault("500"), times=2)
    step_in_place(side_by_side)
    assert set(side_by_side.account.files()) == {"/a"}
    side_by_side.settle()
    assert side_by_side.account.folders() == set()
    assert side_by_side.journal.rows() == []
    side_by_side.close()


def test_empty_folders_are_removed_without_a_look(side_by_side: Pipeline) -> None:
    for number in range(5):
        side_by_side.mkdir(f"/d{number}")
    side_by_side.settle()
    assert len(side_by_side.account.folders()) == 5
    for number in range(5):
        side_by_side.view.children(RemotePath(f"/d{number}"))
    before = Counter(side_by_side.memory.calls())
    for number in range(5):
        side_by_side.rmdir(f"/d{number}")
    side_by_side.settle()
    assert side_by_side.account.folders() == set()
    assert Counter(side_by_side.memory.calls()) - before == {"submit": 5}


def test_a_folder_that_somebody_filled_meanwhile_stays(side_by_side: Pipeline) -> None:
    side_by_side.mkdir("/d")
    side_by_side.settle()
    side_by_side.rmdir("/d")
    side_by_side.account.write("/d/theirs", b"1")
    side_by_side.settle()
    assert side_by_side.account.files() == {"/d/theirs": b"1"}
    assert "not removed" in side_by_side.notices()[0]
    assert side_by_side.states() == []
    assert [node.path.text for node in side_by_side.view.children(RemotePath("/d"))] == ["/d/theirs"]


def test_folders_are_made_level_by_level_and_side_by_side_before_what_is_in_them(
    side_by_side: Pipeline,
) -> None:
    side_by_side.account.job_polls = 1
    for path in ("/a", "/b", "/c", "/a/d", "/b/e", "/a/d/f"):
        side_by_side.mkdir(path)
    for path in ("/a/1", "/a/d/f/2", "/3"):
        side_by_side.write(path, path.encode())
    side_by_side.settle()
    order = sent(side_by_side)
    assert len(order) == len(set(order)) == 9
    for path in order:
        parent = path.rpartition("/")[0]
        assert not parent or order.index(parent) < order.index(path)
    assert {"/a", "/b", "/c", "/3"} == set(order[:4])
    assert side_by_side.account.most_at_once >= 4
    assert side_by_side.account.overlapping_submits == 0


def test_a_removed_tree_is_deleted_from_below(side_by_side: Pipeline) -> None:
    side_by_side.account.mkdir("/d")
    side_by_side.account.mkdir("/d/e")
    for index in range(5):
        side_by_side.account.write(f"/d/e/f{index}", b"x")
    for index in range(5):
        side_by_side.unlink(f"/d/e/f{index}")
    side_by_side.rmdir("/d/e")
    side_by_side.rmdir("/d")
    side_by_side.settle()
    assert side_by_side.account.folders() == set()
    assert sent(side_by_side)[-2:] == ["/d/e", "/d"]


def test_a_file_written_twice_is_committed_one_after_the_other(side_by_side: Pipeline) -> None:
    side_by_side.account.job_polls = 2
    side_by_side.write("/a", b"1")
    ready(side_by_side)
    step_in_place(side_by_side)
    side_by_side.write("/a", b"2")
    side_by_side.settle()
    assert side_by_side.account.files() == {"/a": b"2"}
    assert side_by_side.revisions_of("/a") == 2
    assert side_by_side.account.overlapping_submits == 0


def test_running_jobs_are_asked_after_by_the_next_process(side_by_side: Pipeline) -> None:
    side_by_side.account.job_polls = 2
    for name in ("a", "b", "c"):
        side_by_side.write(f"/{name}", name.encode())
    side_by_side.mkdir("/d")
    ready(side_by_side)
    step_in_place(side_by_side, 4)
    assert len(side_by_side.committer.current) == 4
    side_by_side.restart()
    side_by_side.settle()
    assert side_by_side.account.files() == {"/a": b"a", "/b": b"b", "/c": b"c"}
    assert side_by_side.account.folders() == {"/d"}
    assert len(sent(side_by_side)) == 4


def test_calls_cut_between_sending_and_reply_are_each_made_again(side_by_side: Pipeline) -> None:
    side_by_side.backend.fail("submit", ServerFault("cut"), times=3, after=True)
    side_by_side.write("/a", b"a")
    side_by_side.write("/b", b"b")
    side_by_side.mkdir("/d")
    ready(side_by_side)
    step_in_place(side_by_side, 3)
    assert {state for _, _, state in side_by_side.states()} == {ChangeState.COMMITTING}
    side_by_side.restart()
    side_by_side.settle()
    assert side_by_side.account.files() == {"/a": b"a", "/b": b"b"}
    assert side_by_side.account.folders() == {"/d"}
    assert side_by_side.revisions_of("/a") == side_by_side.revisions_of("/b") == 1
    assert side_by_side.notices() == []


def test_no_process_keeps_another_waiting(side_by_side: Pipeline, tmp_path: Path) -> None:
    side_by_side.write("/a", b"x")
    with (tmp_path / "account.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        side_by_side.settle()
    assert side_by_side.account.files() == {"/a": b"x"}


def test_a_step_that_breaks_off_leaves_the_others_in_flight(side_by_side: Pipeline) -> None:
    side_by_side.account.job_polls = 2
    side_by_side.write("/a", b"a")
    ready(side_by_side)
    step_in_place(side_by_side, 1)
    side_by_side.write("/b", b"b")
    ready(side_by_side)
    submit = side_by_side.memory.remote.submit
    side_by_side.memory.remote.submit = None  # type: ignore[assignment,method-assign]
    with pytest.raises(TypeError):
        step_in_place(side_by_side, 3)
    side_by_side.memory.remote.submit = submit  # type: ignore[method-assign]
    assert len(side_by_side.committer.current) == 1
    side_by_side.settle()
    assert side_by_side.account.files() == {"/a": b"a", "/b": b"b"}
    assert sent(side_by_side) == ["/a", "/b"]


def test_many_workers_commit_everything_once(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path, limits=SIDE_BY_SIDE_LIMITS, clock=SystemClock())
    commits = [Worker(f"commit-{at}", pipeline.committer.step, pipeline.clock) for at in range(AT_ONCE)]
    uploads = [Worker(f"upload-{at}", pipeline.uploader.step, pipeline.clock) for at in range(2)]
    written, done = threading.Event(), threading.Event()

    def look(before: object = None, after: object = None) -> None:
        if written.is_set() and not pipeline.journal.live():
            done.set()

    pipeline.committer.bell = lambda: [worker.wake() for worker in commits] and None
    pipeline.uploader.bell = lambda: [worker.wake() for worker in uploads] and None
    pipeline.journal.watch(look)
    pipeline.mkdir("/keeps")
    for worker in (*commits, *uploads):
        worker.start()
    bodies: dict[str, bytes] = {}
    for folder in range(8):
        pipeline.mkdir(f"/d{folder}")
        for index in range(12):
            body = f"{folder} {index}".encode()
            pipeline.write(f"/d{folder}/f{index}", body)
            if index % 3:
                bodies[f"/d{folder}/f{index}"] = body
            else:
                pipeline.rename(f"/d{folder}/f{index}", f"/keeps/{folder}-{index}")
                bodies[f"/keeps/{folder}-{index}"] = body
    written.set()
    look()
    with pipeline.urgency.pressed():
        assert done.wait(30)
    for worker in (*commits, *uploads):
        worker.stop()
    assert all(worker.join(10) for worker in (*commits, *uploads))
    assert pipeline.account.files() == bodies
    assert [path for path in bodies if pipeline.revisions_of(path) != 1] == []
    assert pipeline.notices() == []
    pipeline.close()


# Small files, whose bytes travel with the commit


def test_a_small_file_is_one_call_with_its_bytes(side_by_side: Pipeline) -> None:
    side_by_side.write("/a", b"hello")
    side_by_side.settle()
    ((order,),) = side_by_side.account.submits
    assert order.session is None
    assert order.content_hash == content_hash(HashKind.SHA1, b"hello")
    assert order.read is not None and order.size_bytes == 5
    calls = side_by_side.memory.calls()
    assert {route: count for route, count in calls.items() if route != "list_folder"} == {"submit": 1}


@pytest.mark.parametrize("size_bytes", [0, 1, 3 * 1024 * 1024 + 1])
def test_small_files_of_any_size_arrive_whole(side_by_side: Pipeline, size_bytes: int) -> None:
    body = bytes(range(251)) * (size_bytes // 251 + 1)
    side_by_side.write("/a", body[:size_bytes])
    side_by_side.settle()
    assert side_by_side.account.files() == {"/a": body[:size_bytes]}


def test_bytes_that_did_not_arrive_are_sent_again(side_by_side: Pipeline) -> None:
    side_by_side.write("/a", b"hello")
    side_by_side.backend.refuse("/a", SessionLost("cut short"), times=2)
    side_by_side.settle()
    assert side_by_side.account.files() == {"/a": b"hello"}
    assert side_by_side.revisions_of("/a") == 1
    assert side_by_side.journal.rows() == []


def test_pending_bytes_that_are_gone_fail_the_file_alone(side_by_side: Pipeline) -> None:
    lost = side_by_side.write("/a", b"hello")
    side_by_side.write("/b", b"b")
    side_by_side.upload_all()
    assert lost.spool is not None
    side_by_side.spool.remove(lost.spool)
    side_by_side.settle()
    assert side_by_side.account.files() == {"/b": b"b"}
    assert side_by_side.states() == [(ChangeKind.PUT, "/a", ChangeState.FAILED)]
