"""A world end to end on a memory account: what is sent, in what order, in how many calls."""

from __future__ import annotations

from mountfs.model.order import OrderKind
from tests.doubles.world import World
from tests.unit.commit.scenarios import calls, check_nothing_is_left, sent, sent_paths


def test_a_closed_file_is_committed(world: World) -> None:
    world.put("/a.txt", b"hello")
    world.settle()
    assert world.account.files() == {"/a.txt": b"hello"}
    check_nothing_is_left(world)
    assert world.core.spool.names() == []


def test_a_tree_needs_no_calls_for_its_folders(batches: World) -> None:
    batches.mkdir("/d")
    batches.mkdir("/d/e")
    batches.put("/d/e/f", b"x")
    batches.settle()
    assert batches.account.files() == {"/d/e/f": b"x"}
    assert sent(batches) == [(OrderKind.PUT, "/d/e/f")]


def test_an_empty_folder_is_made(world: World) -> None:
    world.mkdir("/d")
    world.settle()
    assert world.account.folders() == {"/d"}


def test_a_thousand_small_files_cost_a_few_calls(batches: World) -> None:
    batches.account.job_polls = 3
    for index in range(1000):
        batches.put(f"/f{index}", b"x" * 64 + str(index).encode())
        batches.core.uploader.step(batches.clock.now_s())
        batches.core.committer.step(batches.clock.now_s())
        batches.advance(0.01)
    batches.settle()
    assert len(batches.account.files()) == 1000
    assert sum(calls(batches).values()) <= 40
    assert batches.account.overlapping_submits == 0


def test_five_thousand_new_folders_cost_five_calls_and_three_looks_each(batches: World) -> None:
    for index in range(5000):
        batches.mkdir(f"/d{index}")
    batches.settle()
    assert len(batches.account.folders()) == 5000
    assert len(batches.account.submits) == 5
    assert batches.core.plan.looks <= 3 * 5000


def test_a_removed_tree_is_deleted_level_by_level(batches: World) -> None:
    for index in range(20):
        batches.account.write(f"/d/e/f{index}", b"x")
    for index in range(20):
        batches.fs.unlink(f"/d/e/f{index}")
    batches.fs.rmdir("/d/e")
    batches.fs.rmdir("/d")
    batches.settle()
    assert batches.account.folders() == set()
    assert [len(batch) for batch in batches.account.submits] == [20, 1, 1]


def test_a_folder_somebody_put_something_into_is_not_deleted(world: World) -> None:
    world.account.mkdir("/d")
    world.fs.rmdir("/d")
    world.account.write("/d/theirs", b"x")
    world.settle()
    assert world.account.files() == {"/d/theirs": b"x"}
    assert "not removed" in world.notices()[0]


def test_what_a_rename_replaces_is_removed_first(world: World) -> None:
    world.account.write("/a", b"new")
    world.account.write("/b", b"old")
    world.rename("/a", "/b")
    world.settle()
    assert world.account.files() == {"/b": b"new"}
    assert [batch[0].kind for batch in world.account.submits] == [OrderKind.DELETE, OrderKind.MOVE]


def test_a_temporary_name_never_reaches_the_service(world: World) -> None:
    world.put("/.name.aB3xYz", b"x")
    world.core.urgency.hurry()
    for _ in range(20):
        world.core.uploader.step(world.clock.now_s())
        world.core.committer.step(world.clock.now_s())
        world.advance(0.05)
    world.rename("/.name.aB3xYz", "/name")
    world.settle()
    assert sent_paths(world) == ["/name"]


def test_a_local_only_file_stays_here(world: World) -> None:
    world.put("/.f.swp", b"x")
    world.settle()
    assert calls(world) == {}
    assert world.pending() == [("/.f.swp", "local")]


def test_somebody_waiting_is_not_kept_waiting(world: World) -> None:
    world.put("/a", b"x")
    with world.core.urgency.pressed():
        start_s = world.clock.now_s()
        world.settle()
    assert world.clock.now_s() - start_s < 0.1
