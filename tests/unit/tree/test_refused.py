"""What was refused and stays here, when its folder is renamed or it is written anew."""

from __future__ import annotations

import pytest

from daemon.process.keeping import copies_kept
from mountfs.errors import Busy, Forbidden, NotFound, SessionLost
from tests.doubles.world import World

SET_NS = 10**18
BESIDE = "/a (conflicted copy testhost 2023-11-14)"


def check_all_is_well(world: World) -> None:
    """Nothing is to be sent, and nothing is refused."""
    assert world.pending() == []
    assert world.core.tree.refused == {}


def refused_in_renamed_folder(world: World) -> None:
    """/d/x, refused, is shown as /e/x."""
    world.backend.refuse("/d/x", Forbidden("no"))
    world.put("/d/x", b"refused")
    world.settle()
    assert world.pending() == [("/d/x", "failed")]
    world.rename("/d", "/e")


@pytest.mark.parametrize("is_new", [True, False])
def test_in_a_renamed_folder_it_is_replaced_by_what_is_written_over_it(world: World, is_new: bool) -> None:
    world.mkdir("/d")
    if not is_new:
        world.put("/d/x", b"first")
    world.settle()
    refused_in_renamed_folder(world)
    world.put("/e/x", b"new")
    world.settle()
    assert world.account.files() == {"/e/x": b"new"}
    check_all_is_well(world)
    assert world.get("/e/x") == b"new"


@pytest.mark.parametrize("is_new", [True, False])
def test_in_a_renamed_folder_it_goes_with_what_was_written_over_it(world: World, is_new: bool) -> None:
    world.mkdir("/d")
    if not is_new:
        world.put("/d/x", b"first")
    world.settle()
    refused_in_renamed_folder(world)
    world.put("/e/x", b"new")
    world.fs.unlink("/e/x")
    for _ in range(2):
        with pytest.raises(NotFound):
            world.node("/e/x")
        world.settle()
    assert world.account.files() == {}
    check_all_is_well(world)


def test_a_local_only_file_in_a_renamed_folder_goes_with_what_was_written_over_it(world: World) -> None:
    world.mkdir("/d")
    world.settle()
    world.put("/d/~$x", b"1")
    world.rename("/d", "/e")
    world.put("/e/~$x", b"2")
    world.fs.unlink("/e/~$x")
    with pytest.raises(NotFound):
        world.node("/e/~$x")


def test_a_local_only_folder_that_left_a_folder_is_not_back_when_that_is_renamed(world: World) -> None:
    for path in ("/d", "/d/~$x", "/~$x"):
        world.mkdir(path)
    world.rename("/d/~$x", "/~$x")
    world.rename("/d", "/e")
    for _ in range(2):
        assert world.names("/e") == set()
        assert world.node("/~$x").is_folder
        world.settle()


def test_a_refused_folder_is_sent_with_all_in_it_once_it_is_renamed(world: World) -> None:
    world.backend.refuse("/d", Forbidden("no"))
    world.backend.refuse("/d/x", Forbidden("no"))
    world.mkdir("/d")
    world.settle()
    world.put("/d/x", b"x")
    world.settle()
    assert {word for _, word in world.pending()} == {"failed"}
    world.rename("/d", "/e")
    world.settle()
    assert world.account.files() == {"/e/x": b"x"}
    check_all_is_well(world)


def test_after_a_crash_it_is_replaced_by_what_was_closed_over_it(world: World) -> None:
    world.put("/a", b"first")
    world.settle()
    world.backend.refuse("/a", Forbidden("no"))
    world.put("/a", b"refused")
    world.settle()
    assert world.pending() == [("/a", "failed")]
    world.fs.flush(world.begin("/a", b"new"))
    world.restart()
    world.settle()
    assert world.account.files() == {"/a": b"new"}
    check_all_is_well(world)


def test_a_new_folder_has_no_time_of_one_that_had_its_name(world: World) -> None:
    world.mkdir("/d")
    world.mkdir("/d/sub")
    for path in ("/d", "/d/sub"):
        world.touch(path, SET_NS)
    world.rename("/d", "/e")
    for path in ("/d", "/d/sub"):
        world.mkdir(path)
        assert world.fs.getattr(path).mtime_ns > SET_NS


@pytest.mark.parametrize("is_sent", [True, False])
def test_a_folder_has_no_time_of_one_that_it_replaced(world: World, is_sent: bool) -> None:
    world.mkdir("/d")
    world.mkdir("/e")
    if is_sent:
        world.settle()
    world.touch("/e", SET_NS)
    world.rename("/d", "/e")
    assert world.fs.getattr("/e").mtime_ns != SET_NS
    world.settle()
    assert world.fs.getattr("/e").mtime_ns != SET_NS


def test_a_refused_folder_is_over_once_something_stands_in_it(world: World) -> None:
    world.backend.refuse("/d", Forbidden("no"), times=1)
    world.mkdir("/d")
    world.settle()
    world.put("/d/x", b"1")
    world.settle()
    check_all_is_well(world)
    assert world.get("/d/x") == b"1"


def test_what_was_written_under_a_refused_new_name_of_a_folder_stays_reachable(world: World) -> None:
    world.mkdir("/c")
    world.settle()
    world.backend.refuse("/d", Forbidden("no"), times=5)
    world.rename("/c", "/d")
    world.put("/d/x", b"mine")
    world.settle()
    assert world.account.files() == {"/c/x": b"mine"}
    assert world.get("/c/x") == b"mine"


def test_a_service_that_is_only_busy_never_makes_a_file_fail(world: World) -> None:
    world.backend.refuse("/a", Busy("locked"), times=3)
    world.put("/a", b"x")
    world.upload_all()
    world.backend.refuse("/a", SessionLost("expired"), times=1)
    world.settle()
    check_all_is_well(world)
    assert world.account.files() == {"/a": b"x"}


# A refused rename or removal has no effect here either


def test_a_refused_rename_is_taken_back_and_says_why(world: World) -> None:
    world.account.write("/a", b"x")
    world.backend.refuse("/b", Forbidden("no"))
    world.rename("/a", "/b")
    world.settle()
    assert world.names() == {"a"}
    assert world.pending() == []
    assert world.word("/a") == "failed"
    assert world.core.view.state_of(["a"]) == ("failed", "no")
    assert world.notices() == ["not renamed: no"]


def test_a_refused_removal_is_taken_back_and_says_why(world: World) -> None:
    world.account.write("/a", b"x")
    world.backend.refuse("/a", Forbidden("no"))
    world.fs.unlink("/a")
    world.settle()
    assert world.get("/a") == b"x"
    assert world.pending() == []
    assert world.notices() == ["not removed: no"]


def test_a_file_whose_removal_was_refused_is_shown_again_and_a_new_folder_of_its_name_beside(
    world: World,
) -> None:
    world.account.write("/a", b"theirs")
    world.backend.refuse("/a", Forbidden("no"))
    world.fs.unlink("/a")
    world.mkdir("/a")
    world.settle()
    beside = "/a (conflicted copy testhost 2023-11-14)"
    assert world.remote() == world.tree() == {"/a": b"theirs", beside: None}
    assert world.pending() == []
    world.rename(beside, "/b")
    world.settle()
    assert world.remote() == world.tree() == {"/a": b"theirs", "/b": None}


def test_a_refused_move_back_of_folders_nested_into_each_other_leaves_no_circle(world: World) -> None:
    """`mv d/in in; mv d in/d`: when the first is refused, in goes back into d, and d cannot stay in it."""
    world.account.write("/d/in/x", b"x")
    assert world.tree() == world.remote()
    world.backend.refuse("/in", Forbidden("no"))
    world.rename("/d/in", "/in")
    world.rename("/d", "/in/d")
    world.settle()
    assert world.tree() == world.remote() == {"/d": None, "/d/in": None, "/d/in/x": b"x"}
    assert world.pending() == []
    assert world.notices() == ["not renamed: no"]
    world.restart()
    assert world.tree() == world.remote()


TAKEN = [(False, True), (True, False), (True, True)]


def renamed_and_replaced(world: World, *, is_folder: bool, is_new_folder: bool) -> None:
    """`mv a b; mkdir a`: what cannot become b is to be shown beside a, which is one more rename."""
    if is_folder:
        world.account.mkdir("/a")
    else:
        world.account.write("/a", b"theirs")
    world.names()
    world.rename("/a", "/b")
    if is_new_folder:
        world.mkdir("/a")
    else:
        world.put("/a", b"ours")


@pytest.mark.parametrize(("is_folder", "is_new_folder"), TAKEN)
def test_a_refused_rename_whose_old_name_is_taken_is_set_beside(
    world: World, is_folder: bool, is_new_folder: bool
) -> None:
    world.backend.refuse("/b", Forbidden("you may not"), times=50)
    renamed_and_replaced(world, is_folder=is_folder, is_new_folder=is_new_folder)
    world.settle()
    check_all_is_well(world)
    theirs, ours = None if is_folder else b"theirs", None if is_new_folder else b"ours"
    assert world.remote() == {"/a": ours, BESIDE: theirs}
    assert world.notices() == [f"not renamed: you may not; it is kept as {BESIDE[1:]}"]
    [copy] = copies_kept(world.core.tree, str)
    assert copy.path == BESIDE


@pytest.mark.parametrize(("is_folder", "is_new_folder"), TAKEN)
def test_one_that_may_not_have_the_name_beside_either_is_not_tried_again_by_itself(
    world: World, is_folder: bool, is_new_folder: bool
) -> None:
    for path in ("/b", BESIDE, f"{BESIDE[:-1]} 2)"):
        world.backend.refuse(path, Forbidden("you may not"), times=50)
    renamed_and_replaced(world, is_folder=is_folder, is_new_folder=is_new_folder)
    world.settle()
    [beside] = [path for path, _ in world.pending() if path != "/a"]
    assert dict(world.pending()) == {beside: "failed", "/a": "failed"}
    assert len(world.notices()) == 2
    world.backend.forgive()
    world.rename(beside, "/c")
    world.settle()
    check_all_is_well(world)
    theirs, ours = None if is_folder else b"theirs", None if is_new_folder else b"ours"
    assert world.remote() == {"/a": ours, "/c": theirs}
