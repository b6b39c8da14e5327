"""Renames of what was renamed already, before any of it was sent."""

from __future__ import annotations

import pytest

from tests.doubles.world import World


def test_a_file_keeps_its_new_name_when_its_folder_is_renamed(world: World) -> None:
    world.account.write("/old", b"x")
    world.account.mkdir("/d")
    world.rename("/old", "/d/New")
    world.rename("/d", "/e")
    assert world.names("/e") == {"New"}
    world.settle()
    assert world.account.files() == {"/e/New": b"x"}


def test_a_new_folder_may_take_the_name_of_what_was_moved_into_it(world: World) -> None:
    world.account.write("/a", b"x")
    world.mkdir("/b")
    world.rename("/a", "/b/a")
    world.rename("/b", "/a")
    assert world.names() == {"a"}
    assert world.names("/a") == {"a"}
    world.settle()
    assert world.account.files() == {"/a/a": b"x"}


def test_a_file_that_was_moved_twice_can_be_removed(world: World) -> None:
    """Each move of it, or of its folder, may give it another revision."""
    world.account.write("/a", b"x")
    world.account.mkdir("/b")
    world.rename("/a", "/b/a")
    world.rename("/b", "/c")
    world.fs.unlink("/c/a")
    world.settle()
    assert world.remote() == {"/c": None}
    assert world.notices() == []


def test_a_rename_that_was_not_sent_shows_nothing_of_what_stands_at_its_target_still(world: World) -> None:
    for path in ("/a", "/b", "/a/old"):
        world.account.mkdir(path)
    assert world.names("/a") == {"old"}
    world.rename("/a", "/b/b")
    world.rename("/b", "/a")
    world.mkdir("/a/old")
    world.settle()
    assert world.account.folders() == {"/a", "/a/b", "/a/b/old", "/a/old"}


@pytest.mark.parametrize("target", ["/c", "/B"])
def test_a_new_folder_takes_nothing_along_that_went_away_with_the_one_before_it(
    world: World, target: str
) -> None:
    world.account.mkdir("/b")
    world.put("/b/x", b"x")
    world.rename("/b", "/a")
    world.mkdir("/b")
    world.rename("/b", target)
    assert world.names("/a") == {"x"}
    assert world.names(target) == set()
    world.settle()
    assert world.remote() == {"/a": None, "/a/x": b"x", target: None}


# Names that change hands


def test_two_files_exchange_their_names_by_way_of_a_third(world: World) -> None:
    world.account.write("/a", b"a")
    world.account.write("/b", b"b")
    for source, target in (("/a", "/x"), ("/b", "/a"), ("/x", "/b")):
        world.rename(source, target)
    world.settle()
    assert world.account.files() == {"/a": b"b", "/b": b"a"}
    assert world.notices() == []


def test_a_folder_and_one_in_it_exchange_their_places(world: World) -> None:
    world.account.write("/a/b/x", b"x")
    world.rename("/a/b", "/c")
    world.rename("/a", "/c/a")
    world.rename("/c", "/a")
    world.settle()
    assert world.remote() == {"/a": None, "/a/a": None, "/a/x": b"x"}
    assert world.notices() == []


def test_a_name_that_only_changes_its_case_is_given_to_the_service(world: World) -> None:
    world.account.write("/a", b"x")
    world.rename("/a", "/A")
    world.settle()
    assert world.account.files() == {"/A": b"x"}
    assert world.names() == {"A"}


def test_a_file_that_was_renamed_over_another_takes_over_its_place_and_history(world: World) -> None:
    old = world.account.write("/a", b"old")
    world.put("/.a.new", b"new")
    world.rename("/.a.new", "/a")
    world.settle()
    assert world.account.files() == {"/a": b"new"}
    assert world.file("/a").id == old.id


def test_a_rename_there_and_back_tells_the_service_nothing(world: World) -> None:
    world.account.write("/a", b"x")
    world.rename("/a", "/b")
    world.rename("/b", "/a")
    world.settle()
    assert world.account.submits == []
    assert world.pending() == []


def test_a_renamed_folder_is_one_order_whatever_is_pending_below_it(world: World) -> None:
    world.account.write("/d/sub/old", b"old")
    world.put("/d/sub/new", b"new")
    world.rename("/d", "/e")
    world.settle()
    kinds = [order.kind.value for batch in world.account.submits for order in batch]
    assert sorted(kinds) == ["move", "put"]
    assert world.account.files() == {"/e/sub/old": b"old", "/e/sub/new": b"new"}
