"""Giving up what is pending of a path, as in the table of ``tree.discard``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from mountfs.errors import Forbidden
from mountfs.tree import discard as discard_module
from mountfs.tree.discard import OPEN, TAKEN, UNDER_WAY, Discard, GivenUp
from mountfs.tree.node import Node, above
from tests.doubles.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.account.write("/a", b"theirs")
    made.account.write("/d/x", b"x")
    made.account.write("/d/y", b"y")
    made.follow()
    made.names()
    made.names("/d")
    yield made
    made.close()


THEIRS: dict[str, bytes | None] = {"/a": b"theirs", "/d": None, "/d/x": b"x", "/d/y": b"y"}


def discard(world: World, path: str = "", *, is_trial: bool = False) -> GivenUp:
    core = world.core
    node = world.node(path) if path else core.tree.root
    return Discard(core.tree, core.listings, core.copies).run(node, is_trial=is_trial)


def assert_clean(world: World) -> None:
    """Nothing is left to be told to the service, nor any spool file of ours."""
    assert world.pending() == []
    world.settle()
    assert world.tree() == world.remote() == THEIRS
    world.restart()
    assert world.pending() == []
    assert world.tree() == THEIRS


def test_a_changed_file_shows_the_service_s_version(world: World) -> None:
    world.put("/a", b"mine")
    told = discard(world, "/a")
    assert (told.count, told.size_bytes, told.paths, told.left) == (1, 4, ["/a"], [])
    assert world.get("/a") == b"theirs"
    assert_clean(world)


def test_a_new_file_and_a_new_folder_with_what_is_in_it_are_gone(world: World) -> None:
    world.put("/n", b"n")
    world.mkdir("/m")
    world.mkdir("/m/m")
    world.put("/m/m/f", b"f")
    assert discard(world).count == 4
    assert_clean(world)


def test_renames_and_removals_that_were_not_sent_are_undone(world: World) -> None:
    world.rename("/a", "/d/b")
    world.fs.unlink("/d/x")
    world.rename("/d/y", "/y")
    assert discard(world).count == 3
    assert_clean(world)


def test_a_removed_folder_is_shown_again_with_what_was_in_it(world: World) -> None:
    for name in ("x", "y"):
        world.fs.unlink(f"/d/{name}")
    world.fs.rmdir("/d")
    discard(world)
    assert_clean(world)


def test_what_left_a_removed_folder_brings_the_folder_back(world: World) -> None:
    world.rename("/d/x", "/x")
    world.fs.unlink("/d/y")
    world.fs.rmdir("/d")
    discard(world, "/x")
    assert world.get("/d/x") == b"x"
    world.settle()
    assert world.remote() == {"/a": b"theirs", "/d": None, "/d/x": b"x"}


def test_a_file_that_replaced_a_removed_one_makes_room_for_it(world: World) -> None:
    world.fs.unlink("/a")
    world.put("/a", b"new")
    discard(world)
    assert_clean(world)


def test_a_folder_renamed_with_a_new_file_in_it_has_its_name_back(world: World) -> None:
    world.rename("/d", "/e")
    world.put("/e/n", b"n")
    discard(world, "/e")
    assert_clean(world)


def test_only_what_is_below_the_path_is_given_up(world: World) -> None:
    world.put("/a", b"mine")
    world.put("/d/n", b"n")
    discard(world, "/d")
    assert world.get("/a") == b"mine"
    world.settle()
    assert world.remote() == {**THEIRS, "/a": b"mine"}


def test_what_was_refused_is_given_up_and_not_listed_any_more(world: World) -> None:
    world.backend.refuse("/a", Forbidden("no"))
    world.put("/a", b"mine")
    world.settle()
    discard(world, "/a")
    assert not world.core.tree.refused
    assert_clean(world)


def test_a_trial_tells_the_same_and_changes_nothing(world: World) -> None:
    world.put("/a", b"mine")
    world.put("/d/n", b"n")
    before = world.pending()
    told = discard(world, is_trial=True)
    assert (told.count, told.size_bytes, sorted(told.paths)) == (2, 5, ["/a", "/d/n"])
    assert world.pending() == before
    assert world.get("/a") == b"mine"


def test_what_is_on_its_way_or_open_for_writing_is_left(world: World) -> None:
    world.put("/a", b"mine")
    world.account.job_polls = 3
    while not world.core.committer.current:
        world.commit_steps(1)
    number = world.begin("/open", b"open")
    told = discard(world)
    assert (told.count, sorted(told.left)) == (0, [("/a", UNDER_WAY), ("/open", OPEN)])
    world.close_file(number)
    world.settle()
    assert world.remote() == {**THEIRS, "/a": b"mine", "/open": b"open"}


def test_a_new_folder_with_something_open_in_it_is_left(world: World) -> None:
    world.mkdir("/m")
    number = world.begin("/m/open", b"open")
    world.put("/m/whole", b"whole")
    told = discard(world)
    assert (told.paths, {path for path, _ in told.left}) == (["/m/whole"], {"/m", "/m/open"})
    world.close_file(number)
    world.settle()
    assert world.remote() == {**THEIRS, "/m": None, "/m/open": b"open"}


def test_names_that_stay_here_are_not_pending(world: World) -> None:
    world.put("/~$a", b"lock")
    assert discard(world).count == 0
    assert world.get("/~$a") == b"lock"


def test_what_others_put_under_the_name_meanwhile_shows(world: World) -> None:
    world.put("/new", b"mine")
    world.theirs("/new", b"from somebody else")
    discard(world, "/new")
    assert world.get("/new") == b"from somebody else"


def test_uploaded_bytes_that_are_given_up_leave_no_session(world: World) -> None:
    world.put("/a", b"mine")
    world.upload_all()
    discard(world, "/a")
    world.settle()
    assert world.core.tree.store.orphans.count() == 0
    assert_clean(world)


def test_a_folder_is_doubted_once_for_all_that_is_given_up_in_it_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        world.put(f"/d/{number}", b"n")
    doubted: list[str] = []
    monkeypatch.setattr(world.core.listings, "doubt", lambda folder: doubted.append(folder.state.name))
    assert discard(world).count == 10
    assert doubted == ["d"]


def test_no_hold_of_the_lock_walks_up_from_more_than_a_part_of_what_is_pending(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discard_module, "GIVEN_UP_AT_ONCE", 4)
    for number in range(10):
        world.put(f"/d/{number}", b"n")
    lock = CountingLock(world.core.tree.lock)
    monkeypatch.setattr(world.core.tree, "lock", lock)

    def counted(node: Node) -> Iterator[Node]:
        lock.walks += 1
        return above(node)

    monkeypatch.setattr(discard_module, "above", counted)
    assert discard(world, is_trial=True).count == 10
    assert sum(lock.walks_by_hold) == 10
    assert max(lock.walks_by_hold) == 4


class CountingLock:
    """The tree's lock, and how many walks up were made in each hold of it."""

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        self._lock = lock
        self._depth = 0
        self.walks = 0
        self.walks_by_hold: list[int] = []

    def __enter__(self) -> None:
        self._lock.__enter__()
        self._depth += 1

    def __exit__(self, *error: Any) -> None:
        self._depth -= 1
        if not self._depth:
            self.walks_by_hold.append(self.walks)
            self.walks = 0
        self._lock.__exit__(*error)


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_rename_whose_old_name_was_given_to_something_new_is_given_up_with_that(
    world: World, is_folder: bool
) -> None:
    """As an editor saves that keeps the old version: `mv a a~; echo > a`."""
    source = "/d" if is_folder else "/a"
    world.rename(source, "/b")
    if is_folder:
        world.mkdir("/d")
    else:
        world.put("/a", b"mine")
    told = discard(world)
    assert (told.count, told.left) == (2, [])
    assert_clean(world)


def test_names_that_were_exchanged_are_given_up_together(world: World) -> None:
    world.rename("/a", "/t")
    world.rename("/d", "/a")
    world.rename("/t", "/d")
    assert discard(world).left == []
    assert_clean(world)


def test_names_that_were_passed_on_are_given_up_together(world: World) -> None:
    for source, target in [("/d/x", "/d/z"), ("/d/y", "/d/x"), ("/a", "/d/y")]:
        world.rename(source, target)
    world.put("/a", b"new")
    assert discard(world).left == []
    assert_clean(world)


CHAIN = 60


def numbered(world: World) -> dict[str, bytes | None]:
    """The account, with CHAIN files more."""
    for number in range(CHAIN):
        world.account.write(f"/d/{number}", b"%d" % number)
    world.follow()
    world.names("/d")
    return world.remote()


def looks(monkeypatch: pytest.MonkeyPatch) -> list[Node]:
    """Every look at whether a node can be given up, from here on."""
    seen: list[Node] = []
    original = Discard._holder

    def counted(self: Discard, node: Node) -> Node | None:
        seen.append(node)
        return original(self, node)

    monkeypatch.setattr(Discard, "_holder", counted)
    return seen


@pytest.mark.parametrize("is_upwards", [True, False])
def test_a_long_row_of_renames_is_given_up_in_as_many_steps(
    world: World, monkeypatch: pytest.MonkeyPatch, is_upwards: bool
) -> None:
    """`mv 59 60; mv 58 59; ...` waits at each name for the next one, from whichever end it is begun."""
    before, pairs = numbered(world), [(number, number + 1) for number in range(1, CHAIN)]
    for source, target in reversed(pairs):
        world.rename(f"/d/{source}", f"/d/{target}")
    nodes = list(world.core.tree.dirty.items())
    world.core.tree.dirty.clear()
    world.core.tree.dirty.update(nodes if is_upwards else reversed(nodes))
    seen = looks(monkeypatch)
    told = discard(world)
    assert (told.count, told.left) == (CHAIN - 1, [])
    assert len(seen) <= 2 * CHAIN
    world.settle()
    assert world.tree() == world.remote() == before


def test_many_names_that_were_exchanged_are_given_up_in_as_many_steps(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = numbered(world)
    for number in range(0, CHAIN, 2):
        world.rename(f"/d/{number}", "/d/t")
        world.rename(f"/d/{number + 1}", f"/d/{number}")
        world.rename("/d/t", f"/d/{number + 1}")
    seen = looks(monkeypatch)
    told = discard(world)
    assert (told.count, told.left) == (CHAIN, [])
    assert len(seen) <= 6 * CHAIN
    world.settle()
    assert world.tree() == world.remote() == before


def test_a_new_folder_full_of_what_waits_is_looked_at_once_for_each(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.rename("/d", "/t")
    world.mkdir("/d")
    for number in range(CHAIN):
        world.put(f"/d/{number}", b"n")
    seen = looks(monkeypatch)
    assert discard(world).left == []
    assert len(seen) <= 2 * CHAIN
    assert_clean(world)


@pytest.mark.parametrize("is_trial", [True, False])
def test_a_rename_whose_old_name_is_kept_by_something_else_is_left_as_it_is(
    world: World, is_trial: bool
) -> None:
    world.rename("/a", "/b")
    world.put("/a", b"mine")
    told = discard(world, "/b", is_trial=is_trial)
    assert (told.count, told.left) == (0, [("/b", TAKEN)])
    assert sorted(world.pending()) == [("/a", "sealed"), ("/b", "uploaded")]


def test_a_rename_whose_old_name_is_open_for_writing_is_left_as_it_is(world: World) -> None:
    world.rename("/a", "/b")
    number = world.begin("/a", b"mine")
    told = discard(world)
    assert (told.count, told.left) == (0, [("/a", OPEN), ("/b", TAKEN)])
    world.close_file(number)
    assert discard(world).left == []
    assert_clean(world)


def test_renames_of_which_one_waits_for_another_that_is_left_are_left(world: World) -> None:
    world.rename("/d/x", "/x")
    world.rename("/a", "/d/x")
    number = world.begin("/a", b"mine")
    world.rename("/d/y", "/y")
    told = discard(world)
    assert sorted(told.left) == [("/a", OPEN), ("/d/x", TAKEN), ("/x", TAKEN)]
    assert told.paths == ["/y"]
    world.close_file(number)
    discard(world)
    assert_clean(world)


def test_what_was_moved_into_a_new_folder_of_its_old_name_is_given_up_with_that(world: World) -> None:
    world.rename("/d", "/t")
    world.mkdir("/d")
    world.mkdir("/d/new")
    world.rename("/t", "/d/new/d")
    world.rename("/a", "/d/new/a")
    assert discard(world).left == []
    assert_clean(world)


def taken_back(world: World, path: str) -> GivenUp:
    core = world.core
    folder, _, name = path.rpartition("/")
    with core.tree.lock:
        node = core.tree.base_child(world.node(folder) if folder else core.tree.root, name)
    assert node is not None
    discard = Discard(core.tree, core.listings, core.copies)
    return discard.take_back(discard.removals(node))


def test_of_what_is_pending_only_the_removals_are_taken_back(world: World) -> None:
    world.put("/d/new", b"new")
    world.put("/d/x", b"changed")
    world.fs.unlink("/d/y")
    told = taken_back(world, "/d")
    assert (told.count, told.paths, told.left) == (1, ["/d/y"], [])
    assert world.tree() == {**THEIRS, "/d/x": b"changed", "/d/new": b"new"}
    world.settle()
    assert world.remote() == {**THEIRS, "/d/x": b"changed", "/d/new": b"new"}


def test_a_removed_folder_is_taken_back_with_all_that_was_in_it(world: World) -> None:
    for name in ("x", "y"):
        world.fs.unlink(f"/d/{name}")
    world.fs.rmdir("/d")
    assert taken_back(world, "/d").left == []
    assert_clean(world)


def test_a_removal_is_not_taken_back_over_what_has_the_name_by_now(world: World) -> None:
    world.fs.unlink("/d/x")
    world.put("/d/x", b"another")
    world.fs.unlink("/d/y")
    world.mkdir("/d/y")
    told = taken_back(world, "/d")
    assert told.count == 0
    assert {path for path, why in told.left} <= {"/d/x", "/d/y"}
    world.settle()
    assert world.tree() == world.remote()
    assert world.get("/d/x") == b"another"


def test_a_removal_that_is_on_its_way_is_told(world: World) -> None:
    world.fs.unlink("/d/x")
    world.lose_reply()
    told = taken_back(world, "/d")
    assert told.left == [("/d/x", UNDER_WAY)]


def test_a_removal_of_a_folder_that_may_still_arrive_does_not_take_what_is_put_there(world: World) -> None:
    """It was given up, since nothing was heard of it: the folder is not shown again until it is known."""
    world.account.mkdir("/e")
    world.follow()
    world.tree()
    world.account.clock = world.clock
    world.fs.rmdir("/e")
    world.lose_reply()
    world.give_up()
    assert "/e" in world.remote()
    for is_trial in (True, False):
        told = discard(world, is_trial=is_trial)
        assert (told.count, told.left) == (0, [("/e", UNDER_WAY)])
    world.mkdir("/e")
    world.put("/e/new", b"new")
    world.settle()
    world.advance(60.0)
    world.account.job_s = 0.0
    world.settle()
    world.follow()
    assert world.tree() == world.remote() == {**THEIRS, "/e": None, "/e/new": b"new"}
