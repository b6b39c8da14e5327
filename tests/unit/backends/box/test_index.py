"""Paths to ids and back, whatever order the news come in."""

from __future__ import annotations

from typing import Any

import pytest

from mountfs.backends.box import index as index_module
from mountfs.backends.box.index import Found, Index, Unlisted
from mountfs.model.path import ROOT, RemotePath


def item(
    item_id: str, name: str, parent: str = "0", *, kind: str = "file", sequence: int | None = 0
) -> dict[str, Any]:
    found: dict[str, Any] = {"type": kind, "id": item_id, "name": name, "parent": {"id": parent}}
    return found if sequence is None else {**found, "sequence_id": str(sequence)}


@pytest.fixture
def index() -> Index:
    """/A (1) with /A/b (2), a folder, and /A/b/x (3)."""
    index = Index("0")
    index.learn(item("1", "A", kind="folder"))
    index.learn(item("2", "b", "1", kind="folder"))
    index.learn(item("3", "x", "2"))
    return index


def path(text: str) -> RemotePath:
    return RemotePath(text)


def test_case_makes_no_difference_and_is_kept(index: Index) -> None:
    assert index.find(path("/a/B/X")) == Found("3", is_folder=False)
    assert index.path_of("3") == path("/A/b/x")


def test_the_root_is_known_from_the_start() -> None:
    assert Index("77").find(ROOT) == Found("77", is_folder=True)
    assert Index("77").path_of("77") == ROOT


def test_where_the_knowledge_ends_is_told(index: Index) -> None:
    assert index.find(path("/A/new/deep")) == Unlisted("1")
    assert index.find(path("/new")) == Unlisted("0")


def test_a_file_on_the_way_is_told(index: Index) -> None:
    assert index.find(path("/A/b/x/y/z")) == Found("3", is_folder=False, is_above=True)


def test_what_is_below_goes_along_with_a_rename(index: Index) -> None:
    index.learn(item("1", "Z", kind="folder", sequence=1))
    assert index.path_of("3") == path("/Z/b/x")
    assert index.find(path("/A")) == Unlisted("0")


def test_older_news_change_nothing(index: Index) -> None:
    assert index.learn(item("3", "y", "1", sequence=5))
    assert not index.learn(item("3", "x", "2", sequence=4))
    assert not index.forget("3", 4)
    assert index.path_of("3") == path("/A/y")


def test_what_was_removed_does_not_come_back_by_old_news(index: Index) -> None:
    index.learn(item("3", "x", "2", sequence=7))
    index.forget("3")
    assert not index.learn(item("3", "x", "2", sequence=7))
    assert index.learn(item("3", "x", "2", sequence=8))


def test_a_folder_is_forgotten_with_all_below(index: Index) -> None:
    index.forget("1")
    assert index.get("3") is None
    assert index.get("2") is None
    assert not index.has_gap()


def test_another_item_of_the_same_name_takes_the_place(index: Index) -> None:
    index.learn(item("9", "X", "2"))
    assert index.find(path("/A/b/x")) == Found("9", is_folder=False)
    assert index.get("3") is None


def test_a_listing_ends_what_it_does_not_name(index: Index) -> None:
    index.learn_listing("2", [item("4", "new", "2")], index.mark())
    assert index.find(path("/A/b/x")) == Unlisted("2")
    assert index.find(path("/A/b/new")) == Found("4", is_folder=False)


def test_what_came_while_a_listing_was_read_stays(index: Index) -> None:
    mark = index.mark()
    index.learn(item("5", "mine", "2", sequence=None))
    index.learn(item("3", "moved", "1", sequence=3))
    index.learn_listing("2", [item("3", "x", "2", sequence=2)], mark)
    assert index.find(path("/A/b/mine")) == Found("5", is_folder=False)
    assert index.path_of("3") == path("/A/moved")


def test_web_links_are_no_items(index: Index) -> None:
    assert not index.learn(item("6", "link", kind="web_link"))
    assert index.get("6") is None


def test_only_forgetting_what_was_told_leaves_a_gap(index: Index) -> None:
    index.forget("3")
    assert not index.has_gap()
    index.forget("2", is_gap=True)
    assert index.has_gap()
    index.clear()
    assert not index.has_gap()
    assert index.find(path("/A")) == Unlisted("0")


def test_a_circle_of_parents_has_no_path() -> None:
    index = Index("0")
    index.learn(item("1", "a", "2", kind="folder"))
    index.learn(item("2", "b", "1", kind="folder"))
    assert index.path_of("1") is None


def test_what_is_kept_is_bounded(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "ITEMS_KEPT", 10)
    index.learn_listing(
        "2", [item(str(number), f"f{number}", "2") for number in range(100, 120)], index.mark()
    )
    assert index.get("110") is None
    assert index.path_of("2") == path("/A/b")
    assert index.has_gap()


# Places that were left


def left(index: Index) -> list[str]:
    return [place.path.text for place in index.left() or ()]


def test_whoever_shows_that_an_item_left_its_place_the_place_is_kept_until_it_is_told(index: Index) -> None:
    index.learn(item("3", "y", "2", sequence=1))
    index.learn_listing("1", [item("3", "z", "1", sequence=2)], index.mark())
    index.forget("3")
    index.lose_sight("1")
    assert left(index) == ["/A/b/x", "/A/b/y", "/A/b", "/A/z", "/A"]
    index.told(3)
    assert left(index) == ["/A/z", "/A"]
    assert [place.path.text for place in index.left(4) or ()] == ["/A"]


def test_what_stays_leaves_nothing(index: Index) -> None:
    index.learn(item("3", "X", "2", sequence=1))
    index.learn_listing("2", [item("3", "x", "2", sequence=0)], index.mark())
    assert left(index) == []


def test_what_we_move_and_remove_leaves_nothing_to_tell_but_where_it_had_gone_meanwhile(
    index: Index,
) -> None:
    index.learn(item("3", "y", "1"), source=path("/a/B/x"))
    assert left(index) == []
    index.learn(item("3", "z", "1"), source=path("/A/b/x"))
    index.forget("3", source=path("/A/Z"))
    assert left(index) == ["/A/y"]


def test_a_listing_that_is_late_shows_a_place_that_was_left(index: Index) -> None:
    index.learn(item("4", "new", "1", sequence=5))
    index.learn_listing("2", [item("3", "x", "2"), item("4", "old", "2", sequence=4)], index.mark())
    assert index.path_of("4") == path("/A/new")
    assert left(index) == ["/A/b/old"]


def test_what_was_lost_sight_of_is_learned_where_it_is_found(index: Index) -> None:
    index.learn(item("3", "x", "2", sequence=6))
    index.lose_sight("3", 5)
    assert index.path_of("3") == path("/A/b/x")
    index.lose_sight("3", 6)
    assert index.path_of("3") is None
    assert index.learn(item("3", "x", "1", sequence=6))
