"""Where several calls run at once: each waits for itself only, and none overlaps with another."""

from __future__ import annotations

import fcntl
import threading
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from daemon.commit.planlooks import LOOK_EVERY_S
from daemon.commit.verdicts import TRIES
from daemon.process.worker import Worker
from mountfs.clock import SystemClock
from mountfs.errors import Busy, MountfsError, Offline, ServerFault, SessionLost, Throttled
from mountfs.model.hashing import HashKind, content_hash
from mountfs.model.order import OrderKind, Put
from mountfs.model.troublelog import TroubleLog
from mountfs.ports import FolderPage
from tests.doubles.memory_account import SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World
from tests.unit.commit.scenarios import calls, check_nothing_is_left, ready, sent_paths, step_in_place
from tests.waiting import until

AT_ONCE = SIDE_BY_SIDE_LIMITS.batches_at_once


def test_as_many_calls_run_at_once_as_the_service_likes(side_by_side: World) -> None:
    for index in range(10):
        side_by_side.put(f"/f{index}", bytes([index]))
    ready(side_by_side)
    side_by_side.memory.hold("submit")
    workers = [
        threading.Thread(target=side_by_side.core.committer.step, args=(side_by_side.clock.now_s(),))
        for _ in range(AT_ONCE)
    ]
    for worker in workers:
        worker.start()
    assert side_by_side.memory.wait_until_held("submit", calls=AT_ONCE)
    current = side_by_side.core.committer.current
    assert [(job.kind, job.entries) for job in current] == [(OrderKind.PUT, 1)] * AT_ONCE
    side_by_side.memory.release("submit")
    for worker in workers:
        worker.join()
    assert sorted(side_by_side.account.files()) == [f"/f{index}" for index in range(AT_ONCE)]
    side_by_side.settle()
    assert len(side_by_side.account.files()) == 10
    assert len(sent_paths(side_by_side)) == 10


def test_a_commit_the_service_takes_minutes_for_keeps_no_other_waiting(side_by_side: World) -> None:
    side_by_side.account.job_polls, side_by_side.account.poll_after_s = 3, 300.0
    for index in range(AT_ONCE):
        side_by_side.put(f"/slow{index}", b"x")
    ready(side_by_side)
    step_in_place(side_by_side)
    assert len(side_by_side.core.committer.current) == AT_ONCE
    side_by_side.account.job_polls = 0
    side_by_side.put("/quick", b"y")
    ready(side_by_side)
    step_in_place(side_by_side)
    assert [path for path, _ in side_by_side.pending()] == [f"/slow{index}" for index in range(AT_ONCE)]
    assert "poll" not in side_by_side.memory.calls()
    started_s = side_by_side.clock.now_s()
    side_by_side.settle(most_s=2000.0)
    assert side_by_side.clock.now_s() - started_s >= 890.0
    assert len(sent_paths(side_by_side)) == AT_ONCE + 1


@pytest.mark.parametrize("error", [ServerFault("500"), Busy("locked")])
def test_a_call_that_fails_alone_waits_alone(side_by_side: World, error: MountfsError) -> None:
    for name in ("a", "b", "c"):
        side_by_side.put(f"/{name}", name.encode())
    ready(side_by_side)
    side_by_side.backend.fail("submit", error)
    step_in_place(side_by_side)
    assert set(side_by_side.account.files()) == {"/b", "/c"}
    assert side_by_side.core.committer.last_error in (str(error), None)
    side_by_side.settle()
    assert set(side_by_side.account.files()) == {"/a", "/b", "/c"}
    assert side_by_side.core.committer.last_error is None


@pytest.mark.parametrize("error", [Throttled("slow", retry_after_s=7.0), Offline("away")])
def test_what_would_fail_for_all_stops_all(side_by_side: World, error: MountfsError) -> None:
    for name in ("a", "b", "c"):
        side_by_side.put(f"/{name}", name.encode())
    ready(side_by_side)
    side_by_side.backend.fail("submit", error, skip=1)
    step_in_place(side_by_side)
    assert side_by_side.memory.calls()["submit"] == 1
    if isinstance(error, Throttled):
        side_by_side.advance(6.9)
        step_in_place(side_by_side)
        assert side_by_side.memory.calls()["submit"] == 1
    side_by_side.settle()
    assert set(side_by_side.account.files()) == {"/a", "/b", "/c"}


def test_a_reply_to_an_older_call_does_not_end_the_wait_the_service_asked_for(side_by_side: World) -> None:
    for name in ("a", "b", "c"):
        side_by_side.put(f"/{name}", name.encode())
    ready(side_by_side)
    side_by_side.memory.hold("submit")
    older = threading.Thread(target=side_by_side.core.committer.step, args=(side_by_side.clock.now_s(),))
    older.start()
    assert side_by_side.memory.wait_until_held("submit")
    side_by_side.advance(0.1)
    side_by_side.backend.fail("submit", Throttled("slow", retry_after_s=7.0))
    step_in_place(side_by_side)
    side_by_side.memory.release("submit")
    older.join()
    step_in_place(side_by_side)
    assert side_by_side.memory.calls()["submit"] == 1
    side_by_side.settle()
    assert set(side_by_side.account.files()) == {"/a", "/b", "/c"}


def test_a_folder_that_cannot_be_listed_keeps_only_its_own_removal_waiting(tmp_path: Path) -> None:
    side_by_side = World(tmp_path, limits=replace(SIDE_BY_SIDE_LIMITS, deletes_recursively=True))
    side_by_side.account.mkdir("/d")
    side_by_side.fs.rmdir("/d")
    side_by_side.put("/a", b"a")
    ready(side_by_side)
    side_by_side.backend.fail("list_folder", ServerFault("500"), times=2)
    step_in_place(side_by_side)
    assert set(side_by_side.account.files()) == {"/a"}
    side_by_side.settle()
    assert side_by_side.account.folders() == set()
    check_nothing_is_left(side_by_side)
    side_by_side.close()


def test_empty_folders_are_removed_without_a_look(side_by_side: World) -> None:
    for number in range(5):
        side_by_side.mkdir(f"/d{number}")
    side_by_side.settle()
    assert len(side_by_side.account.folders()) == 5
    for number in range(5):
        assert side_by_side.names(f"/d{number}") == set()
    before = Counter(side_by_side.memory.calls())
    for number in range(5):
        side_by_side.fs.rmdir(f"/d{number}")
    side_by_side.settle()
    assert side_by_side.account.folders() == set()
    assert Counter(side_by_side.memory.calls()) - before == {"submit": 5}


def test_a_folder_that_somebody_filled_meanwhile_stays(side_by_side: World) -> None:
    side_by_side.mkdir("/d")
    side_by_side.settle()
    side_by_side.fs.rmdir("/d")
    side_by_side.account.write("/d/theirs", b"1")
    side_by_side.settle()
    assert side_by_side.account.files() == {"/d/theirs": b"1"}
    assert "not removed" in side_by_side.notices()[0]
    assert side_by_side.pending() == []
    assert side_by_side.names("/d") == {"theirs"}


def test_folders_are_made_level_by_level_and_side_by_side_before_what_is_in_them(side_by_side: World) -> None:
    side_by_side.account.job_polls = 1
    for path in ("/a", "/b", "/c", "/a/d", "/b/e", "/a/d/f"):
        side_by_side.mkdir(path)
    for path in ("/a/1", "/a/d/f/2", "/3"):
        side_by_side.put(path, path.encode())
    side_by_side.settle()
    order = sent_paths(side_by_side)
    assert len(order) == len(set(order)) == 9
    for path in order:
        parent = path.rpartition("/")[0]
        assert not parent or order.index(parent) < order.index(path)
    assert {"/a", "/b", "/c", "/3"} == set(order[:4])
    assert side_by_side.account.most_at_once >= 4
    assert side_by_side.account.overlapping_submits == 0


def test_a_removed_tree_is_deleted_from_below(side_by_side: World) -> None:
    side_by_side.account.mkdir("/d")
    side_by_side.account.mkdir("/d/e")
    for index in range(5):
        side_by_side.account.write(f"/d/e/f{index}", b"x")
    for index in range(5):
        side_by_side.fs.unlink(f"/d/e/f{index}")
    side_by_side.fs.rmdir("/d/e")
    side_by_side.fs.rmdir("/d")
    side_by_side.settle()
    assert side_by_side.account.folders() == set()
    assert sent_paths(side_by_side)[-2:] == ["/d/e", "/d"]


def test_a_file_written_twice_is_committed_one_after_the_other(side_by_side: World) -> None:
    side_by_side.account.job_polls = 2
    side_by_side.put("/a", b"1")
    ready(side_by_side)
    step_in_place(side_by_side)
    side_by_side.put("/a", b"2")
    side_by_side.settle()
    assert side_by_side.account.files() == {"/a": b"2"}
    assert side_by_side.revisions_of("/a") == 2
    assert side_by_side.account.overlapping_submits == 0


def test_running_jobs_are_asked_after_by_the_next_process(side_by_side: World) -> None:
    side_by_side.account.job_polls = 2
    for name in ("a", "b", "c"):
        side_by_side.put(f"/{name}", name.encode())
    side_by_side.mkdir("/d")
    ready(side_by_side)
    step_in_place(side_by_side, 4)
    assert len(side_by_side.core.committer.current) == 4
    side_by_side.restart()
    side_by_side.settle()
    assert side_by_side.account.files() == {"/a": b"a", "/b": b"b", "/c": b"c"}
    assert side_by_side.account.folders() == {"/d"}
    assert len(sent_paths(side_by_side)) == 4


def test_calls_cut_between_sending_and_reply_are_looked_up_by_the_next_process(side_by_side: World) -> None:
    side_by_side.backend.fail("submit", ServerFault("cut"), times=3, after=True)
    side_by_side.put("/a", b"a")
    side_by_side.put("/b", b"b")
    side_by_side.mkdir("/d")
    ready(side_by_side)
    step_in_place(side_by_side, 3)
    assert {word for _, word in side_by_side.pending()} == {"committing"}
    side_by_side.restart()
    side_by_side.settle()
    assert side_by_side.account.files() == {"/a": b"a", "/b": b"b"}
    assert side_by_side.account.folders() == {"/d"}
    assert side_by_side.revisions_of("/a") == side_by_side.revisions_of("/b") == 1
    assert side_by_side.notices() == []


def test_no_process_keeps_another_waiting(side_by_side: World) -> None:
    side_by_side.put("/a", b"x")
    with side_by_side.places.commit_lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        side_by_side.settle()
    assert side_by_side.account.files() == {"/a": b"x"}


def test_a_step_that_breaks_off_leaves_the_others_in_flight(side_by_side: World) -> None:
    side_by_side.account.job_polls = 2
    side_by_side.put("/a", b"a")
    ready(side_by_side)
    step_in_place(side_by_side, 1)
    side_by_side.put("/b", b"b")
    ready(side_by_side)
    submit = side_by_side.memory.remote.submit
    side_by_side.memory.remote.submit = None  # type: ignore[assignment,method-assign]
    with pytest.raises(TypeError):
        step_in_place(side_by_side, 3)
    side_by_side.memory.remote.submit = submit  # type: ignore[method-assign]
    in_flight = [path for path, word in side_by_side.pending() if word == "committing"]
    assert in_flight == ["/a", "/b"]
    side_by_side.settle()
    assert side_by_side.account.files() == {"/a": b"a", "/b": b"b"}
    assert sent_paths(side_by_side) == ["/a", "/b"]


def test_many_workers_commit_everything_once(tmp_path: Path) -> None:
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS, clock=SystemClock())
    core = world.core
    commits = [Worker(f"commit-{at}", core.committer.step, world.clock) for at in range(AT_ONCE)]
    uploads = [Worker(f"upload-{at}", core.uploader.step, world.clock) for at in range(2)]
    written, done = threading.Event(), threading.Event()

    def look(*_: object) -> None:
        if written.is_set() and not core.tree.dirty:
            done.set()

    def wake(workers: list[Worker]) -> None:
        for worker in workers:
            worker.wake()

    core.committer.wake = partial(wake, commits)
    core.uploader.wake = partial(wake, uploads)
    core.tree.watch(look)
    world.mkdir("/keeps")
    for worker in (*commits, *uploads):
        worker.start()
    bodies: dict[str, bytes] = {}
    for folder in range(8):
        world.mkdir(f"/d{folder}")
        for index in range(12):
            body = f"{folder} {index}".encode()
            world.put(f"/d{folder}/f{index}", body)
            if index % 3:
                bodies[f"/d{folder}/f{index}"] = body
            else:
                world.rename(f"/d{folder}/f{index}", f"/keeps/{folder}-{index}")
                bodies[f"/keeps/{folder}-{index}"] = body
    written.set()
    look()
    with core.urgency.pressed():
        assert done.wait(30)
    for worker in (*commits, *uploads):
        worker.stop()
    assert all(worker.join(10) for worker in (*commits, *uploads))
    assert world.account.files() == bodies
    assert [path for path in bodies if world.revisions_of(path) != 1] == []
    assert world.notices() == []
    world.close()


# Small files, whose bytes travel with the commit


def test_a_small_file_is_one_call_with_its_bytes(side_by_side: World) -> None:
    side_by_side.put("/a", b"hello")
    side_by_side.settle()
    ((order,),) = side_by_side.account.submits
    assert isinstance(order, Put)
    assert order.session is None
    assert order.content_hash == content_hash(HashKind.SHA1, b"hello")
    assert order.body is not None and order.size_bytes == 5
    assert calls(side_by_side) == {"submit": 1}


@pytest.mark.parametrize("size_bytes", [0, 1, 3 * 1024 * 1024 + 1])
def test_small_files_of_any_size_arrive_whole(side_by_side: World, size_bytes: int) -> None:
    body = bytes(range(251)) * (size_bytes // 251 + 1)
    side_by_side.put("/a", body[:size_bytes])
    side_by_side.settle()
    assert side_by_side.account.files() == {"/a": body[:size_bytes]}


def test_bytes_that_did_not_arrive_are_sent_again(side_by_side: World) -> None:
    side_by_side.put("/a", b"hello")
    side_by_side.backend.refuse("/a", SessionLost("cut short"), times=2)
    side_by_side.settle()
    assert side_by_side.account.files() == {"/a": b"hello"}
    assert side_by_side.revisions_of("/a") == 1
    check_nothing_is_left(side_by_side)


def test_pending_bytes_that_are_gone_fail_the_file_alone(side_by_side: World) -> None:
    side_by_side.put("/a", b"hello")
    side_by_side.put("/b", b"b")
    side_by_side.upload_all()
    lost = side_by_side.state("/a").content
    assert lost is not None
    side_by_side.core.spool.remove(lost.spool)
    side_by_side.settle()
    assert side_by_side.account.files() == {"/b": b"b"}
    assert side_by_side.pending() == [("/a", "failed")]


@pytest.mark.parametrize("reply", ["in time", "lost"])
def test_what_the_log_was_told_is_guarded_by_the_lock_that_all_commit_threads_share(
    side_by_side: World, monkeypatch: pytest.MonkeyPatch, reply: str
) -> None:
    lock = side_by_side.core.tree.lock
    held: list[bool] = []
    succeeded = TroubleLog.succeeded

    def looking(log: TroubleLog) -> None:
        held.append(lock._is_owned())  # type: ignore[attr-defined]
        succeeded(log)

    monkeypatch.setattr(TroubleLog, "succeeded", looking)
    side_by_side.put("/a", b"a")
    if reply == "lost":
        side_by_side.backend.fail("submit", Offline("cut"), after=True)
    side_by_side.settle()
    assert held
    assert all(held)


@pytest.mark.parametrize("is_new", [True, False], ids=["new file", "new version"])
def test_a_version_that_arrives_after_it_was_given_up_makes_no_copy_of_the_next_one(
    side_by_side: World, is_new: bool
) -> None:
    """The connection is cut, the look finds nothing, the file is saved again, and only then the service ends
    its work on the version before."""
    world = side_by_side
    world.account.clock = world.clock
    if not is_new:
        world.theirs("/f", b"old")
    world.put("/f", b"first")
    ready(world)
    world.account.job_s = 5.0
    world.backend.fail("submit", Offline("lost"), after=True)
    step_in_place(world)
    world.advance(1.5)
    world.core.committer.step(world.clock.now_s())  # looks, and gives the first try up
    assert world.core.committer.current == ()
    world.put("/f", b"second")
    world.advance(5.0)
    world.settle()
    assert world.remote() == world.tree() == {"/f": b"second"}
    assert world.notices() == []
    assert world.revisions_of("/f") == (2 if is_new else 3)


def test_a_file_is_not_refused_while_one_worker_still_asks_what_became_of_its_folder(
    side_by_side: World,
) -> None:
    """The others would send it again and again meanwhile, until it had been refused often enough."""
    world = side_by_side
    world.account.write("/d/common", b"common")
    world.tree()
    world.put("/d/new", b"ours")
    ready(world)
    world.account.remove("/d")
    world.account.write("/d", b"theirs")
    list_page = world.backend.list_page
    others: list[threading.Thread] = []

    def slow(*arguments: Any, **named: Any) -> FolderPage:
        while len(others) < TRIES:
            world.advance(LOOK_EVERY_S)
            sent = len(world.account.submits)
            others.append(threading.Thread(target=world.core.committer.step, args=(world.clock.now_s(),)))
            others[-1].start()
            until(lambda: len(world.account.submits) > sent or not others[-1].is_alive(), "it had its turn")  # noqa: B023
        return list_page(*arguments, **named)

    with patch.object(world.backend, "list_page", slow):
        world.commit_steps(1)
    for other in others:
        other.join(10)
    assert len(others) == TRIES
    world.settle()
    world.tree()
    assert b"ours" in world.account.files().values()
    assert world.pending() == []
