"""A service that fails, a reply that is lost, a process that dies: each version is committed once."""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mountfs.errors import (
    Busy,
    Corrupt,
    Forbidden,
    MountfsError,
    NoSpace,
    NotSignedIn,
    Offline,
    RequestTooBig,
    ServerFault,
    SessionLost,
    Throttled,
)
from mountfs.model.entry import File
from mountfs.model.order import Order
from mountfs.ports import BackendLimits, Done, Launch, Running
from tests.doubles.memory_account import MemoryAccount
from tests.doubles.world import World
from tests.unit.commit.scenarios import (
    all_kinds,
    check_all_kinds,
    check_nothing_is_left,
    step_until_running,
)
from tests.unit.upload.bodies import body_of

UNKNOWN: list[MountfsError] = [Offline("no answer"), ServerFault("500")]
DEFINITE: list[MountfsError] = [Throttled("slow", retry_after_s=7.0), Busy("locked"), NotSignedIn("expired")]


# Faults


@pytest.mark.parametrize(("skip", "times"), [(0, 2), (1, 2), (2, 2), (3, 1)])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", UNKNOWN)
def test_a_lost_reply_to_submit_commits_everything_once(
    world: World, error: MountfsError, after: bool, skip: int, times: int
) -> None:
    all_kinds(world)
    world.backend.fail("submit", error, skip=skip, after=after, times=times)
    world.settle()
    check_all_kinds(world)
    assert world.backend.is_spent()


@pytest.mark.parametrize("skip", range(4))
@pytest.mark.parametrize("error", UNKNOWN + DEFINITE)
def test_a_failed_question_after_a_job_commits_everything_once(
    world: World, error: MountfsError, skip: int
) -> None:
    world.account.job_polls = 2
    all_kinds(world)
    world.backend.fail("poll", error, skip=skip, times=3)
    world.settle()
    check_all_kinds(world)


@pytest.mark.parametrize("error", DEFINITE)
def test_a_refused_submit_is_made_again(world: World, error: MountfsError) -> None:
    all_kinds(world)
    world.backend.fail("submit", error, times=2)
    start_s = world.clock.now_s()
    world.settle()
    check_all_kinds(world)
    if isinstance(error, Throttled):
        assert world.clock.now_s() - start_s >= 14.0


def test_a_lost_job_with_a_lost_reply_and_a_job_that_still_runs(world: World) -> None:
    world.account.job_polls = 4
    world.put("/a", b"x")
    world.backend.fail("submit", Offline("lost"), after=True)
    world.settle()
    assert world.revisions_of("/a") == 1
    check_nothing_is_left(world)


def test_what_may_have_been_committed_is_not_replaced_under_the_service_s_hands(world: World) -> None:
    world.account.write("/a", b"0")
    world.put("/a", b"1")
    world.backend.fail("submit", Offline("lost"), after=True)
    world.commit_steps(3)
    world.put("/a", b"2")
    world.settle()
    assert world.account.files() == {"/a": b"2"}
    assert world.notices() == []


def test_a_batch_that_is_too_big_is_split(batches: World) -> None:
    for index in range(10):
        batches.put(f"/f{index}", b"x")
    batches.backend.fail("submit", RequestTooBig("413"), times=2)
    batches.settle()
    assert len(batches.account.files()) == 10


def test_a_job_that_is_too_big_is_split(batches: World) -> None:
    """Dropbox takes it, and says so once it is at work on it (create_folder_batch: too_many_files)."""
    submit, poll = batches.backend.submit, batches.backend.poll

    def submitting(orders: Sequence[Order]) -> Launch:
        return Running("too big") if len(orders) > 3 else submit(orders)

    def polling(job: str, orders: Sequence[Order]) -> Launch:
        if job == "too big":
            return Done(tuple(RequestTooBig("too_many_files") for _ in orders))
        return poll(job, orders)

    batches.backend.submit = submitting  # type: ignore[method-assign]
    batches.backend.poll = polling  # type: ignore[method-assign]
    for index in range(10):
        batches.mkdir(f"/d{index}")
    batches.settle()
    assert len(batches.account.folders()) == 10
    assert batches.notices() == []
    check_nothing_is_left(batches)


@pytest.mark.parametrize("takes_effect", [False, True])
def test_a_job_that_never_ends_is_looked_into_and_the_others_go_on(world: World, takes_effect: bool) -> None:
    submit, poll = world.backend.submit, world.backend.poll
    endless: list[Sequence[Order]] = []

    def submitting(orders: Sequence[Order]) -> Launch:
        if endless:
            return submit(orders)
        endless.append(orders)
        if takes_effect:
            submit(orders)
        return Running("endless")

    world.backend.submit = submitting  # type: ignore[method-assign]
    world.backend.poll = (  # type: ignore[method-assign]
        lambda job, orders: Running(job) if job == "endless" else poll(job, orders)
    )
    world.put("/a", b"a")
    world.commit_steps(3)
    world.put("/b", b"b")
    world.settle(most_s=4000.0)
    assert world.account.files() == {"/a": b"a", "/b": b"b"}
    assert world.revisions_of("/a") == world.revisions_of("/b") == 1
    check_nothing_is_left(world)


def test_one_poisonous_entry_fails_alone(world: World) -> None:
    for index in range(5):
        world.put(f"/f{index}", bytes([index]))
    world.backend.refuse("/f3", Forbidden("no"))
    world.settle()
    assert len(world.account.files()) == 4
    assert world.pending() == [("/f3", "failed")]
    assert world.notices() == ["not committed: no"]
    assert world.core.spool.names() != []


def test_an_item_that_fails_for_now_does_not_hold_up_the_others(world: World) -> None:
    world.put("/a", b"a")
    world.put("/b", b"b")
    world.backend.refuse("/a", Busy("locked"), times=5)
    world.settle()
    assert world.account.files() == {"/a": b"a", "/b": b"b"}
    assert world.notices() == []


def test_of_a_large_file_whose_commit_is_put_off_no_byte_is_sent_again(
    tmp_path: Path, limits: BackendLimits
) -> None:
    world = World(tmp_path, limits=replace(limits, session_min_bytes=32, chunk_bytes=16))
    world.put("/large", body_of(100))
    world.backend.refuse("/large", Busy("too many writes"), times=5)
    world.settle()
    assert world.account.files() == {"/large": body_of(100)}
    assert world.memory.calls()["append"] == 7
    assert world.memory.calls()["open_session"] == 1
    world.close()


def test_of_small_files_whose_commit_is_put_off_no_byte_is_sent_again(batches: World) -> None:
    for index in range(10):
        batches.put(f"/f{index}", bytes([index]))
    for index in (3, 4):
        batches.backend.refuse(f"/f{index}", Busy("too many writes"), times=5)
    batches.settle()
    assert len(batches.account.files()) == 10
    assert batches.memory.calls()["append_pack"] == 1


def test_an_expired_session_is_sent_again(world: World) -> None:
    world.put("/a", b"x")
    world.upload_all()
    world.account.lose_sessions()
    world.settle()
    assert world.account.files() == {"/a": b"x"}
    assert world.revisions_of("/a") == 1


def test_nothing_goes_before_the_service_states_our_hash(world: World) -> None:
    world.put("/a", b"x")
    world.upload_all()
    node = world.node("/a")
    content = node.state.content
    assert content is not None
    wrong = replace(content, content_hash="0" * 64)
    world.core.tree.change((node, node.state.holding(wrong, None)))
    world.settle()
    assert world.account.files() == {"/a": b"x"}
    assert "another hash" in world.notices()[0]
    check_nothing_is_left(world)


def test_bytes_whose_hash_the_reply_leaves_out_are_not_sent_again(world: World) -> None:
    submit = world.backend.submit

    def submitting(orders: Sequence[Order]) -> Launch:
        launch = submit(orders)
        assert isinstance(launch, Done)
        return Done(
            tuple(
                replace(each, content_hash=None) if isinstance(each, File) else each
                for each in launch.outcomes
            )
        )

    world.backend.submit = submitting  # type: ignore[method-assign]
    world.put("/a", b"x")
    world.settle()
    assert world.account.files() == {"/a": b"x"}
    assert world.revisions_of("/a") == len(world.account.submits) == 1
    assert world.notices() == []
    check_nothing_is_left(world)


def test_bytes_that_never_match_are_kept(world: World) -> None:
    world.put("/a", b"x")
    world.backend.refuse("/a", Corrupt("mismatch"), times=100)
    world.settle()
    assert world.pending() == [("/a", "failed")]
    assert world.core.spool.names() != []


def test_a_full_account_keeps_the_file_and_takes_it_when_it_has_room(world: World) -> None:
    world.put("/a", b"x")
    world.backend.refuse("/a", NoSpace("the account is full"))
    world.commit_steps(3)
    assert [word for _, word in world.pending()] == ["uploaded"]
    assert world.get("/a") == b"x"
    world.settle()
    assert world.remote() == {"/a": b"x"}


def test_a_newer_version_stands_for_a_refused_one(batches: World) -> None:
    batches.account.write("/a", b"0")
    batches.put("/a", b"1")
    batches.put("/b", b"b")
    batches.backend.refuse("/a", Forbidden("no"))
    batches.account.job_polls = 2
    step_until_running(batches)
    batches.put("/a", b"2")
    batches.settle()
    assert batches.account.files() == {"/a": b"2", "/b": b"b"}
    assert batches.pending() == []


# Other processes


def test_the_account_s_lock_is_respected(batches: World) -> None:
    batches.put("/a", b"x")
    with batches.places.commit_lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        batches.commit_steps(10)
        assert batches.account.submits == []
        assert batches.pending() == [("/a", "uploaded")]
        fcntl.flock(other, fcntl.LOCK_UN)
    batches.settle()
    assert batches.account.files() == {"/a": b"x"}


@pytest.mark.parametrize("steps", range(14))
@pytest.mark.parametrize("job_polls", [0, 2])
def test_a_crash_after_any_step_commits_everything_once(
    tmp_path: Path, limits: BackendLimits, steps: int, job_polls: int
) -> None:
    account = MemoryAccount(limits)
    account.job_polls = job_polls
    world = World(tmp_path, account)
    all_kinds(world)
    world.commit_steps(steps)
    world.restart()
    world.settle()
    check_all_kinds(world)
    world.close()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("skip", range(4))
def test_a_crash_between_sending_and_reply_commits_everything_once(
    world: World, skip: int, after: bool
) -> None:
    all_kinds(world)
    world.backend.fail("submit", Offline("cut"), skip=skip, after=after)
    while not world.backend.is_spent():
        world.commit_steps(1)
    world.restart()
    world.settle()
    check_all_kinds(world)


@pytest.mark.parametrize("steps", range(8))
@pytest.mark.parametrize("job_polls", [0, 2])
def test_a_rename_over_a_file_that_is_cut_anywhere_is_finished_by_the_next_process(
    world: World, steps: int, job_polls: int
) -> None:
    world.account.job_polls = job_polls
    world.account.write("/source", b"source")
    world.account.write("/target", b"target")
    world.rename("/source", "/target")
    world.commit_steps(steps)
    assert b"source" in world.account.files().values()
    world.restart()
    world.settle()
    assert world.account.files() == {"/target": b"source"}
    assert world.revisions_of("/target") == 2
    check_nothing_is_left(world)


def test_a_job_nobody_remembers_is_sent_again(world: World) -> None:
    world.account.job_polls = 3
    world.put("/a", b"x")
    world.commit_steps(3)
    tree = world.core.tree
    with tree.transaction():
        for row in tree.store.flights():
            tree.store.set_job(row.batch, "unheard-of")
    world.restart()
    world.settle()
    assert world.account.files() == {"/a": b"x"}
    assert world.revisions_of("/a") == 1


def test_no_session_stays_open_of_bytes_that_go_up_again_or_are_refused(world: World) -> None:
    world.put("/a", b"1")
    world.upload_all()
    world.backend.fail("submit", SessionLost("another place"))
    world.settle()
    assert world.account.files() == {"/a": b"1"}
    world.put("/b", b"2")
    world.upload_all()
    world.backend.fail("submit", Forbidden("no"), times=10)
    world.settle()
    assert world.pending() == [("/b", "failed")]
    assert world.account.sessions == {}
