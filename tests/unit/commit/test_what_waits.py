"""What is sent while something else is on its way, or not ready, and what waits for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.commit.choosing import JOBS_WORTH, LONGEST_FILLING_S
from daemon.commit.jobcost import FIRST_GUESS_S
from mountfs.errors import Forbidden
from mountfs.model.entry import NS_PER_S
from mountfs.model.order import OrderKind
from mountfs.model.settling import SETTLE_S, TEMPORARY_SETTLE_S
from mountfs.tree.settling import FOLDER_ALONE_S
from tests.doubles.memory_account import MEMORY_LIMITS
from tests.doubles.world import World
from tests.fakes.clock import FakeClock
from tests.unit.commit.scenarios import (
    check_nothing_is_left,
    ready,
    sent,
    sent_paths,
    step_in_place,
)

OLD_NS = 1_000_000_000 * NS_PER_S
Act = Callable[[World], object]

THERE = ("/a", "/b", "/d/f", "/e/g")
"""Files that the account has at the beginning; the folder /empty, too."""

WAITS: dict[str, tuple[Act, tuple[Act, ...]]] = {
    # what is on its way, and what waits for its outcome
    "a new version": (lambda w: w.put("/a", b"1"), (lambda w: w.put("/a", b"2"),)),
    "a removal of a version": (lambda w: w.put("/a", b"1"), (lambda w: w.fs.unlink("/A"),)),
    "a rename of a version": (lambda w: w.put("/a", b"1"), (lambda w: w.rename("/a", "/d/a"),)),
    "a rename over a version": (lambda w: w.put("/a", b"1"), (lambda w: w.rename("/b", "/a"),)),
    "a removal of all in a folder": (
        lambda w: w.put("/d/f", b"1"),
        (lambda w: w.fs.unlink("/d/f"), lambda w: w.fs.rmdir("/d")),
    ),
    "a rename of a folder with a file on its way": (
        lambda w: w.put("/d/new", b"1"),
        (lambda w: w.rename("/d", "/x"),),
    ),
    "a file in the place of one being removed": (
        lambda w: w.fs.unlink("/a"),
        (lambda w: w.put("/a", b"2"),),
    ),
    "a file renamed to the place of one being removed": (
        lambda w: w.fs.unlink("/a"),
        (lambda w: w.rename("/b", "/a"),),
    ),
    "a folder in the place of one being removed": (
        lambda w: w.fs.rmdir("/empty"),
        (lambda w: w.mkdir("/empty"), lambda w: w.put("/empty/f", b"1")),
    ),
    "a removal of the folder that is being emptied": (
        lambda w: w.fs.unlink("/d/f"),
        (lambda w: w.fs.rmdir("/d"),),
    ),
    "a new version of a file being renamed": (
        lambda w: w.rename("/b", "/c"),
        (lambda w: w.put("/c", b"2"),),
    ),
    "a new file under the name of one being renamed": (
        lambda w: w.rename("/b", "/c"),
        (lambda w: w.put("/b", b"2"),),
    ),
    "a rename back": (lambda w: w.rename("/b", "/c"), (lambda w: w.rename("/c", "/b"),)),
    "a new file in a folder being renamed": (
        lambda w: w.rename("/e", "/x"),
        (lambda w: w.put("/x/f", b"1"),),
    ),
    "a new folder under the name of one being renamed": (
        lambda w: w.rename("/e", "/x"),
        (lambda w: w.mkdir("/e"), lambda w: w.put("/e/f", b"1")),
    ),
    "a new file in a folder being made": (lambda w: w.mkdir("/x"), (lambda w: w.put("/x/f", b"1"),)),
    "a file moved into a folder being made": (lambda w: w.mkdir("/x"), (lambda w: w.rename("/a", "/x/a"),)),
    "a rename of a folder being made": (lambda w: w.mkdir("/x"), (lambda w: w.rename("/x", "/y"),)),
    "a removal of a folder being made": (lambda w: w.mkdir("/x"), (lambda w: w.fs.rmdir("/x"),)),
    "another time": (lambda w: w.touch("/a", OLD_NS), (lambda w: w.touch("/a", OLD_NS + NS_PER_S),)),
    "a new version of a file given a time": (
        lambda w: w.touch("/a", OLD_NS),
        (lambda w: w.put("/a", b"2"),),
    ),
    "a removal of a file given a time": (lambda w: w.touch("/a", OLD_NS), (lambda w: w.fs.unlink("/a"),)),
    "a rename over a file given a time": (
        lambda w: w.touch("/a", OLD_NS),
        (lambda w: w.rename("/b", "/a"),),
    ),
    "a rename of the folder of a file given a time": (
        lambda w: w.touch("/d/f", OLD_NS),
        (lambda w: w.rename("/d", "/x"),),
    ),
}

GOES: dict[str, tuple[Act, Act]] = {
    # what is on its way, and what goes with it
    "another file in the folder": (lambda w: w.put("/d/new", b"1"), lambda w: w.put("/d/other", b"2")),
    "a folder with a longer name": (lambda w: w.put("/emptyish", b"1"), lambda w: w.fs.rmdir("/empty")),
    "a removal in the folder": (lambda w: w.put("/d/new", b"1"), lambda w: w.fs.unlink("/d/f")),
    "a folder in the folder": (lambda w: w.put("/d/new", b"1"), lambda w: w.mkdir("/d/x")),
    "a rename elsewhere": (lambda w: w.mkdir("/x"), lambda w: w.rename("/a", "/d/a")),
    "a new version beside a time": (lambda w: w.touch("/d/f", OLD_NS), lambda w: w.put("/d/new", b"1")),
    "a rename out of the folder": (lambda w: w.put("/d/new", b"1"), lambda w: w.rename("/d/f", "/f")),
}


def begin(world: World) -> None:
    for path in THERE:
        world.account.write(path, path.encode())
    world.account.mkdir("/empty")
    for folder in ("/", "/d", "/e", "/empty"):
        world.names(folder)


@pytest.mark.parametrize("case", WAITS)
def test_it_waits_for_what_is_on_its_way(side_by_side: World, case: str) -> None:
    earlier, later = WAITS[case]
    begin(side_by_side)
    side_by_side.account.job_polls = 3
    earlier(side_by_side)
    ready(side_by_side)
    step_in_place(side_by_side)
    assert len(sent(side_by_side)) == 1
    for act in later:
        act(side_by_side)
    ready(side_by_side)
    while len(side_by_side.core.committer.current) == len(side_by_side.account.submits) == 1:
        side_by_side.commit_steps(1)
    assert side_by_side.memory.calls()["poll"] == 3  # nothing was sent before the first had its outcome
    side_by_side.settle()
    shown = side_by_side.tree()
    assert side_by_side.remote() == shown
    assert side_by_side.account.overlapping_submits == 0
    assert side_by_side.notices() == []
    check_nothing_is_left(side_by_side)


@pytest.mark.parametrize("case", GOES)
def test_it_goes_with_what_is_on_its_way(side_by_side: World, case: str) -> None:
    earlier, later = GOES[case]
    begin(side_by_side)
    side_by_side.account.job_polls = 3
    earlier(side_by_side)
    ready(side_by_side)
    step_in_place(side_by_side)
    later(side_by_side)
    ready(side_by_side)
    step_in_place(side_by_side)
    assert len(side_by_side.core.committer.current) == len(sent(side_by_side)) == 2
    side_by_side.settle()
    assert side_by_side.remote() == side_by_side.tree()
    assert side_by_side.account.overlapping_submits == 0


@pytest.mark.parametrize("case", WAITS)
def test_what_is_done_before_anything_was_sent_ends_the_same(world: World, case: str) -> None:
    earlier, later = WAITS[case]
    begin(world)
    for act in (earlier, *later):
        act(world)
    shown = world.tree()
    world.settle()
    assert world.remote() == shown
    assert world.account.overlapping_submits == 0
    assert world.notices() == []
    check_nothing_is_left(world)


# Refused, or only for this machine


def test_a_refused_file_keeps_no_rename_of_its_folder_waiting(world: World) -> None:
    begin(world)
    world.put("/d/new", b"1")
    world.backend.refuse("/d/new", Forbidden("no"))
    world.settle()
    world.rename("/d", "/x")
    world.settle()
    assert world.account.folders() == {"/x", "/e", "/empty"}
    assert world.pending() == [("/x/new", "failed")]


def test_a_refused_file_can_be_removed(world: World) -> None:
    begin(world)
    world.put("/a", b"1")
    world.backend.refuse("/a", Forbidden("no"))
    world.settle()
    world.fs.unlink("/a")
    world.settle()
    assert "/a" not in world.account.files()
    check_nothing_is_left(world)


def test_a_refused_folder_can_be_removed(world: World) -> None:
    world.mkdir("/x")
    world.backend.refuse("/x", Forbidden("no"))
    world.settle()
    world.fs.rmdir("/x")
    world.settle()
    assert len(sent(world)) == 0
    check_nothing_is_left(world)


def test_what_is_in_a_refused_folder_fails_with_it_where_folders_are_made_first(side_by_side: World) -> None:
    side_by_side.mkdir("/x")
    side_by_side.put("/x/f", b"1")
    side_by_side.backend.refuse("/x", Forbidden("no"))
    side_by_side.settle()
    assert side_by_side.pending() == [("/x", "failed"), ("/x/f", "failed")]


def test_what_never_leaves_the_machine_keeps_nothing_waiting(world: World) -> None:
    begin(world)
    world.put("/d/.f.swp", b"1")
    world.rename("/d", "/x")
    world.settle()
    assert world.account.folders() == {"/x", "/e", "/empty"}
    assert world.pending() == [("/x/.f.swp", "local")]


def test_a_folder_is_renamed_although_a_new_file_in_it_is_open(world: World) -> None:
    begin(world)
    number = world.begin("/d/open", b"1")
    world.rename("/d", "/x")
    world.settle()
    assert world.account.folders() == {"/x", "/e", "/empty"}
    world.close_file(number)
    world.settle()
    assert world.remote() == world.tree()


# New folders, where files make those above them


def test_a_new_folder_takes_those_above_it_along(batches: World) -> None:
    """The service makes them by the way."""
    batches.mkdir("/d")
    batches.mkdir("/d/e")
    batches.advance(1.0)
    batches.mkdir("/x")
    ready(batches)
    step_in_place(batches)
    assert batches.account.folders() == {"/d", "/d/e", "/x"}
    assert len(batches.account.submits) == 1


@pytest.mark.parametrize("is_open", [False, True])
def test_a_new_folder_waits_for_the_first_file_in_it_but_not_for_ever(batches: World, is_open: bool) -> None:
    batches.mkdir("/d")
    number = batches.begin("/d/f", b"1")
    if not is_open:
        batches.close_file(number)
    batches.advance(FOLDER_ALONE_S - 1.0)
    step_in_place(batches)
    assert sent(batches) == []
    batches.advance(1.1)
    step_in_place(batches)
    batches.advance(LONGEST_FILLING_S)
    step_in_place(batches)
    assert sent(batches) == [(OrderKind.MAKE_FOLDER, "/d")]
    if is_open:
        batches.close_file(number)
    batches.settle()
    assert batches.account.files() == {"/d/f": b"1"}


def test_a_new_folder_goes_once_no_file_in_it_is_to_come(batches: World) -> None:
    batches.mkdir("/d")
    batches.put("/d/f", b"1")
    batches.advance(1.0)
    step_in_place(batches)
    assert sent(batches) == []
    batches.fs.unlink("/d/f")
    step_in_place(batches)
    batches.advance(SETTLE_S)
    step_in_place(batches)
    assert batches.account.folders() == {"/d"}


def test_a_new_folder_into_which_something_is_moved_is_made_first(batches: World) -> None:
    batches.account.write("/g", b"g")
    batches.mkdir("/d")
    batches.put("/d/f", b"1")
    batches.rename("/g", "/d/g")
    for _ in range(60):
        step_in_place(batches)
        batches.advance(0.2)
    assert sent(batches) == [(OrderKind.MAKE_FOLDER, "/d"), (OrderKind.MOVE, "/d/g")]


def test_only_the_folders_above_the_files_sent_are_made_by_them(batches: World) -> None:
    batches.mkdir("/d")
    batches.mkdir("/e")
    batches.put("/d/f", b"1")
    batches.upload_all()
    number = batches.begin("/e/f", b"1")
    batches.advance(1.0)
    step_in_place(batches)
    assert batches.account.folders() == {"/d"}
    assert batches.word("/d") == "clean"
    assert batches.word("/e") == "uploaded"
    batches.close_file(number)
    batches.settle()
    assert sent_paths(batches) == ["/d/f", "/e/f"]


# Settling


def test_a_name_settles_first(batches: World) -> None:
    batches.put("/b", b"1")
    batches.upload_all()
    batches.rename("/b", "/a")
    batches.advance(SETTLE_S - 0.05)
    step_in_place(batches)
    assert sent(batches) == []
    batches.advance(0.1)
    step_in_place(batches)
    assert sent_paths(batches) == ["/a"]


def test_a_name_that_changes_settles_anew_and_so_does_all_in_a_new_folder(batches: World) -> None:
    batches.mkdir("/d")
    batches.put("/d/f", b"1")
    batches.upload_all()
    batches.advance(SETTLE_S - 0.05)
    batches.rename("/d", "/e")
    batches.advance(SETTLE_S - 0.05)
    step_in_place(batches)
    assert sent(batches) == []
    batches.advance(0.1)
    step_in_place(batches)
    assert sent_paths(batches) == ["/e/f"]


def test_somebody_waiting_skips_the_settling_but_not_of_temporary_names(batches: World) -> None:
    batches.put("/b", b"1")
    batches.put("/c", b"2")
    batches.upload_all()
    batches.rename("/b", "/a")
    batches.rename("/c", "/.a.Xy12Zz")
    with batches.core.urgency.pressed():
        step_in_place(batches)
        assert sent_paths(batches) == ["/a"]
        batches.advance(TEMPORARY_SETTLE_S - 0.1)
        step_in_place(batches)
        assert sent_paths(batches) == ["/a"]
        batches.advance(0.2)
        step_in_place(batches)
        assert sent_paths(batches) == ["/a", "/.a.Xy12Zz"]


def test_a_clock_that_was_set_back_holds_nothing_up(batches: World) -> None:
    clock = batches.clock
    assert isinstance(clock, FakeClock)
    batches.put("/a", b"1")
    batches.upload_all()
    clock.set_wall_ns(clock.wall_ns() - 3600 * NS_PER_S)
    step_in_place(batches)
    step_in_place(batches)
    assert sent_paths(batches) == ["/a"]


# Company


def test_a_batch_waits_for_small_files_on_their_way_up_but_not_for_ever(batches: World) -> None:
    batches.put("/a", b"1")
    batches.upload_all()
    batches.put("/b", b"2")
    batches.advance(SETTLE_S + 0.01)
    step_in_place(batches)
    assert sent(batches) == []
    batches.advance(JOBS_WORTH * FIRST_GUESS_S)
    step_in_place(batches)
    assert sent_paths(batches) == ["/a"]


def test_a_large_file_on_its_way_up_is_not_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path, limits=replace(MEMORY_LIMITS, session_min_bytes=1024, chunk_bytes=512))
    world.put("/a", b"1")
    world.upload_all()
    world.put("/b", bytes(2048))
    world.advance(1.0)
    step_in_place(world)
    assert sent_paths(world) == ["/a"]
    world.settle()
    assert set(world.account.files()) == {"/a", "/b"}
    world.close()


def test_a_batch_waits_for_names_that_settled_since_the_last_look(batches: World) -> None:
    """Else the last files of a copy need a job of their own."""
    clock = batches.clock
    assert isinstance(clock, FakeClock)
    start_s = clock.now_s()
    batches.put("/a", b"1")
    batches.advance(0.02)
    batches.put("/b", b"2")
    batches.upload_all()
    for at_s in (SETTLE_S + 0.005, SETTLE_S + 0.025, SETTLE_S + 0.06):
        clock.advance(start_s + at_s - clock.now_s())
        step_in_place(batches)
    assert [len(orders) for orders in batches.account.submits] == [2]
