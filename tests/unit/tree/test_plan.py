"""What is sent next, and that finding it costs no more when much is pending."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mountfs.errors import Forbidden
from mountfs.model.order import OrderKind
from mountfs.tree import plan
from mountfs.tree.chunks import CHUNK
from mountfs.tree.launch import LAUNCHED_AT_ONCE, fill, launch
from mountfs.tree.plan import LOOKED_AT_ONCE
from tests.doubles.counting_lock import CountingLock, counted, longest_hold
from tests.doubles.memory_account import MEMORY_LIMITS, SIDE_BY_SIDE_LIMITS
from tests.doubles.world import World

MANY = 1_500
FEW = 12
"""Far above what one call needs, and far below what is pending."""
BATCH = MEMORY_LIMITS.batch_entries[OrderKind.PUT]


@pytest.fixture(scope="module")
def pending(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Thousands of new files in a folder that the service has, all ready to be sent; nothing is."""
    made = World(tmp_path_factory.mktemp("pending"))
    made.account.mkdir("/d")
    made.account.mkdir("/empty")
    made.follow()
    made.tree()
    for number in range(MANY):
        made.put(f"/d/{number}", b"")
    look(made)
    made.upload_all()
    look(made)
    assert made.core.plan.ready.count(OrderKind.PUT) == MANY
    yield made
    made.close()


def look(world: World) -> None:
    """All names have settled, and the plan is up to date."""
    world.advance(3.0)
    now_s = world.clock.now_s()
    while world.core.plan.look(now_s) <= now_s:
        pass


def looks(world: World, act: Callable[[], object]) -> int:
    """How many nodes are looked at because of *act*."""
    before = world.core.plan.looks
    act()
    look(world)
    world.upload_all()
    look(world)
    return world.core.plan.looks - before


def test_with_much_pending_a_renamed_file_is_looked_at_alone(pending: World) -> None:
    assert looks(pending, lambda: pending.rename("/d/0", "/d/renamed")) <= FEW


def test_with_much_pending_a_new_file_is_looked_at_alone(pending: World) -> None:
    assert looks(pending, lambda: pending.put("/d/new", b"")) <= FEW


def test_with_much_pending_a_removed_file_is_looked_at_alone(pending: World) -> None:
    assert looks(pending, lambda: pending.fs.unlink("/d/1")) <= FEW


def test_with_much_pending_a_removed_folder_is_looked_at_alone(pending: World) -> None:
    assert looks(pending, lambda: pending.fs.rmdir("/empty")) <= FEW


def test_with_much_pending_a_folder_made_and_removed_is_looked_at_alone(pending: World) -> None:
    def make_and_remove() -> None:
        pending.mkdir("/d/made")
        look(pending)
        pending.fs.rmdir("/d/made")

    assert looks(pending, make_and_remove) <= FEW


def test_the_folder_above_all_that_is_pending_is_looked_at_alone_when_it_is_renamed(pending: World) -> None:
    assert looks(pending, lambda: pending.rename("/d", "/e")) <= FEW
    assert looks(pending, lambda: pending.rename("/e", "/d")) <= FEW


def chosen(world: World) -> tuple[int, int]:
    """How many files a batch takes, and how many were looked at for it; nothing is sent."""
    plan, before = world.core.plan, world.core.plan.looks
    tree, now_s = world.core.tree, world.clock.now_s()
    sent = launch(tree, plan, OrderKind.PUT, BATCH, now_s)
    while sent is not None and fill(tree, plan, sent, BATCH, now_s):
        pass
    return 0 if sent is None else len(sent.flights), plan.looks - before


def test_choosing_a_batch_looks_at_what_is_in_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.mkdir("/d")
    for number in range(MANY):
        world.put(f"/d/{number}", b"")
    look(world)
    world.upload_all()
    look(world)
    files, looked = chosen(world)
    assert files == BATCH
    assert looked <= BATCH + FEW
    world.close()


def test_choosing_a_batch_looks_at_few_of_those_that_have_to_wait(tmp_path: Path) -> None:
    """The folder above thousands of ready files is renamed: they wait for it, and nobody for all of them."""
    world = World(tmp_path)
    world.account.mkdir("/d")
    for number in range(MANY):
        world.put(f"/d/{number}", b"")
    look(world)
    world.upload_all()
    look(world)
    world.rename("/d", "/e")
    look(world)
    files, looked = chosen(world)
    assert files == 0
    assert looked <= LOOKED_AT_ONCE + FEW
    world.settle()
    assert len(world.account.files()) == MANY
    assert "/d" not in world.remote()
    world.close()


# Nobody waits for the lock long


def hold_of_listing(directory: Path, entries: int, *, is_stored: bool) -> int:
    world, lock = counted(directory)
    for number in range(entries):
        world.account.write(f"/d/{number}", b"")
    world.follow()
    world.names()
    if is_stored:
        world.names("/d")
        world.restart()
        world.names()
    found = longest_hold(lock, lambda: world.names("/d"))
    assert len(world.names("/d")) == entries
    world.close()
    return found


@pytest.mark.parametrize("is_stored", [False, True], ids=["listed", "stored"])
def test_a_large_folder_is_read_in_parts(tmp_path: Path, is_stored: bool) -> None:
    small = hold_of_listing(tmp_path / "small", 2 * CHUNK, is_stored=is_stored)
    large = hold_of_listing(tmp_path / "large", 10 * CHUNK, is_stored=is_stored)
    assert large <= small * 1.2


def hold_of_launch(directory: Path, files: int) -> int:
    world, lock = counted(directory)
    for number in range(files):
        world.put(f"/{number}", b"")
    world.upload_all()
    world.account.job_polls = 1

    def send() -> None:
        while not world.core.committer.current:
            world.commit_steps(1)

    found = longest_hold(lock, send)
    assert [len(orders) for orders in world.account.submits] == [min(files, BATCH)]
    world.close()
    return found


def test_a_batch_is_written_down_in_parts(tmp_path: Path) -> None:
    """A step may look at a part of what is pending and write down a part of the batch, whatever the sizes."""
    looked_at = hold_of_launch(tmp_path / "looked at", LOOKED_AT_ONCE)
    written = hold_of_launch(tmp_path / "written", LAUNCHED_AT_ONCE)
    assert hold_of_launch(tmp_path / "batch", MANY) <= looked_at + written


def test_names_that_settle_at_one_moment_are_taken_up_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "EXPIRED_AT_ONCE", 3)
    world = World(tmp_path)
    for number in range(10):
        world.put(f"/{number}", b"")
    settled = world.core.plan
    assert settled.look(world.clock.now_s()) > world.clock.now_s()
    world.advance(3.0)
    now_s, before = world.clock.now_s(), settled.looks
    looked: list[int] = []
    while settled.look(now_s) <= now_s:
        looked.append(settled.looks - before)
    assert looked == [3, 6, 9]
    assert settled.looks - before == 10
    world.settle()
    assert len(world.remote()) == 10
    world.close()


def test_what_changes_after_a_start_is_looked_at_before_what_a_former_process_left(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.account.write("/theirs", b"")
    world.follow()
    world.tree()
    for number in range(2 * LOOKED_AT_ONCE):
        world.put(f"/{number}", b"")
    world.restart()
    world.fs.unlink("/theirs")
    world.advance(3.0)
    world.core.plan.look(world.clock.now_s())
    assert world.core.plan.looks == LOOKED_AT_ONCE
    assert world.core.plan.ready.count(OrderKind.DELETE) == 1
    assert world.core.plan.has_changed
    world.settle()
    assert world.remote() == {f"/{number}": b"" for number in range(2 * LOOKED_AT_ONCE)}
    world.close()


def hold_of_reply(world: World, lock: CountingLock) -> int:
    """The longest while a batch that is on its way is answered and booked."""
    world.account.job_polls = 1
    while not world.core.committer.current:
        world.commit_steps(1)

    def answer() -> None:
        while world.core.committer.current:
            world.commit_steps(1)

    return longest_hold(lock, answer)


def hold_of_moves(directory: Path, folders: int) -> int:
    world, lock = counted(directory)
    for number in range(folders):
        world.account.write(f"/d{number}/x", b"")
    world.account.mkdir("/in")
    world.follow()
    world.tree()
    for number in range(folders):
        world.rename(f"/d{number}", f"/in/d{number}")
    found = hold_of_reply(world, lock)
    assert world.pending() == []
    world.follow()
    assert world.tree() == world.remote()
    world.close()
    return found


def test_a_reply_of_three_hundred_folder_moves_is_booked_in_parts(tmp_path: Path) -> None:
    small, large = hold_of_moves(tmp_path / "small", 100), hold_of_moves(tmp_path / "large", 300)
    assert large <= small * 1.2


def hold_of_removals(directory: Path, files: int) -> int:
    world, lock = counted(directory)
    for number in range(files):
        world.account.write(f"/d/{number}", b"")
    world.follow()
    world.tree()
    for number in range(files):
        world.fs.unlink(f"/d/{number}")
    found = hold_of_reply(world, lock)
    assert world.remote() == {"/d": None}
    assert world.pending() == []
    world.close()
    return found


def test_a_reply_of_three_hundred_removals_is_booked_in_parts(tmp_path: Path) -> None:
    small, large = hold_of_removals(tmp_path / "small", 100), hold_of_removals(tmp_path / "large", 300)
    assert large <= small * 1.2


def hold_of_others_removals(directory: Path, files: int) -> int:
    world, lock = counted(directory)
    for number in range(files):
        world.account.write(f"/d/{number}", b"")
    world.follow()
    world.tree()
    for number in range(files):
        world.account.remove(f"/d/{number}")
    world.follow()
    found = longest_hold(lock, lambda: world.names("/d"))
    assert world.names("/d") == set()
    world.close()
    return found


def test_three_thousand_files_that_others_removed_are_let_go_of_in_parts(tmp_path: Path) -> None:
    small = hold_of_others_removals(tmp_path / "small", 2 * CHUNK)
    assert hold_of_others_removals(tmp_path / "large", 6 * CHUNK) <= small * 1.2


def hold_of_side_by_side(directory: Path, folders: int) -> int:
    world, lock = counted(directory, limits=SIDE_BY_SIDE_LIMITS)
    for number in range(folders):
        world.mkdir(f"/d{number}")
    found = longest_hold(lock, world.settle)
    assert len(world.account.folders()) == folders
    world.close()
    return found


def test_a_service_without_batches_is_told_of_three_hundred_folders_one_by_one(tmp_path: Path) -> None:
    small = hold_of_side_by_side(tmp_path / "small", 250)
    assert hold_of_side_by_side(tmp_path / "large", 750) <= small * 1.2


def test_what_waits_for_a_new_folder_that_is_renamed_is_taken_up_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "RELEASED_AT_ONCE", 2)
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    world.mkdir("/d")
    for number in range(7):
        world.put(f"/d/{number}", b"")
    look(world)
    world.rename("/d", "/e")
    world.advance(3.0)
    now_s = world.clock.now_s()
    due_s = [world.core.plan.look(now_s) for _ in range(5)]
    assert due_s[:3] == [now_s] * 3
    assert due_s[-1] > now_s
    world.settle()
    assert world.tree() == world.remote() == {"/e": None} | {f"/e/{number}": b"" for number in range(7)}
    world.close()


def taken_up(world: World, number: int) -> list[int]:
    """How many nodes were looked at by the end of each of so many looks; after each of them more is due."""
    now_s, before, found = world.clock.now_s(), world.core.plan.looks, list[int]()
    for _ in range(number):
        assert world.core.plan.look(now_s) == now_s
        found.append(world.core.plan.looks - before)
    return found


def test_what_waits_for_a_folder_in_a_refused_one_is_taken_up_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the folder waits for something refused is told to those that wait for it in turn."""
    monkeypatch.setattr(plan, "RELEASED_AT_ONCE", 2)
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    world.backend.refuse("/d", Forbidden("no"))
    world.mkdir("/d")
    world.mkdir("/d/e")
    for number in range(7):
        world.put(f"/d/e/{number}", b"")
    look(world)
    while world.word("/d") != "failed":
        world.core.committer.step(world.clock.now_s())
        world.advance(0.1)
    folder = world.node("/d/e").pending
    assert folder is not None
    assert not folder.is_stuck
    assert taken_up(world, 3) == [2, 2, 2]
    assert folder.is_stuck
    look(world)
    stuck = [world.node(f"/d/e/{number}").pending for number in range(7)]
    assert all(each is not None and each.is_stuck for each in stuck)
    world.close()


def test_what_a_folder_no_longer_keeps_waiting_is_left_to_the_next_look_when_a_batch_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "RELEASED_AT_ONCE", 2)
    world = World(tmp_path, limits=SIDE_BY_SIDE_LIMITS)
    world.put("/x", b"")
    world.mkdir("/d")
    for number in range(7):
        world.put(f"/d/{number}", b"")
    look(world)
    world.upload_all()
    look(world)
    world.rename("/d", "/e")
    assert chosen(world) == (1, 1)
    assert taken_up(world, 3) == [0, 0, 0]
    world.restart()
    world.settle()
    assert world.remote() == {"/e": None, "/x": b""} | {f"/e/{number}": b"" for number in range(7)}
    world.close()


def test_what_goes_into_a_folder_that_is_moved_waits_for_its_move(tmp_path: Path) -> None:
    """`mv a x/; mv l a; mv x a/l`: sent together, a would go to where x was, and make x anew there."""
    world = World(tmp_path)
    for name in ("/x", "/a", "/l"):
        world.account.mkdir(name)
    world.names()
    world.rename("/a", "/x/a")
    world.rename("/l", "/a")
    world.rename("/x", "/a/l")
    world.put("/x", b"new")
    world.settle()
    assert world.remote() == world.tree() == {"/a": None, "/a/l": None, "/a/l/a": None, "/x": b"new"}
    world.close()


def test_a_rename_is_one_hold_of_the_lock(tmp_path: Path) -> None:
    world, lock = counted(tmp_path)
    for name in ("/a", "/b"):
        world.put(name, b"x")
    lock.holds.clear()
    world.rename("/a", "/b")
    assert len(lock.holds) == 1
    world.close()


def test_a_rename_over_what_was_synced_syncs_what_takes_its_place(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put("/old", b"1")
    world.core.durability.step(world.clock.now_s())
    world.put("/new", b"2")
    world.rename("/new", "/old")
    content = world.node("/old").state.content
    assert content is not None
    assert content.is_synced
    world.close()
