"""Paths: spelled for people, folded to compare."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mountfs.model.path import ROOT, RemotePath, fold

NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=6
)
PATHS = st.lists(NAMES, max_size=4).map(lambda names: RemotePath("".join("/" + name for name in names)))


@pytest.mark.parametrize(
    ("kernel", "text"),
    [("/", ""), ("", ""), ("//", ""), ("/a", "/a"), ("/a/", "/a"), ("//a//b/", "/a/b"), ("a/b", "/a/b")],
)
def test_the_kernels_form_is_understood(kernel: str, text: str) -> None:
    assert RemotePath.parse(kernel) == RemotePath(text)


def test_the_root_is_its_own_parent_and_has_no_name() -> None:
    assert ROOT.is_root
    assert ROOT.parent == ROOT
    assert ROOT.name == ""
    assert ROOT.components == ()
    assert list(ROOT.ancestors()) == []
    assert str(ROOT) == "/"


def test_the_pieces_of_a_path() -> None:
    path = RemotePath("/Docs/Old/A.txt")
    assert path.name == "A.txt"
    assert path.name_key == "a.txt"
    assert path.parent == RemotePath("/Docs/Old")
    assert path.components == ("Docs", "Old", "A.txt")
    assert list(path.ancestors()) == [RemotePath("/Docs/Old"), RemotePath("/Docs"), ROOT]
    assert str(path) == path.text


@pytest.mark.parametrize(
    ("one", "other"),
    [("A.TXT", "a.txt"), ("ÄÖ", "äö"), ("e\u0301", "\u00e9"), ("STRASSE", "strasse"), ("Ж", "ж")],
)
def test_spellings_the_services_hold_equal(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize("name", ["\u0399\u0308\u0301", "\u03a5\u0308\u0301", "\u0391\u0301\u0345", "\u0130"])
def test_a_name_in_small_letters_has_the_key_of_the_name(name: str) -> None:
    """A recursive listing tells paths in small letters, and news tell them as they are spelled."""
    assert fold(name.lower()) == fold(name) == fold(fold(name))


def test_spellings_differ_though_their_key_is_one() -> None:
    assert RemotePath("/A") != RemotePath("/a")
    assert RemotePath("/A").key == RemotePath("/a").key


def test_a_name_that_merely_begins_alike_is_not_below() -> None:
    assert not RemotePath("/ab").is_below(RemotePath("/a"))
    assert RemotePath("/A/b").is_below(RemotePath("/a"))
    assert not RemotePath("/a").is_below(RemotePath("/a"))


def test_a_rename_carries_what_is_below_in_its_spelling() -> None:
    source, target = RemotePath("/old"), RemotePath("/New/Place")
    assert RemotePath("/OLD/Sub/A").moved(source, target) == RemotePath("/New/Place/Sub/A")
    assert RemotePath("/old").moved(source, target) == target
    assert RemotePath("/İx/a").moved(RemotePath("/i̇x"), RemotePath("/y")) == RemotePath("/y/a")


@given(PATHS)
def test_parse_gives_back_what_str_shows(path: RemotePath) -> None:
    assert RemotePath.parse(str(path)) == path


@given(PATHS, NAMES)
def test_a_child_is_below_all_its_ancestors(path: RemotePath, name: str) -> None:
    child = path.child(name)
    assert child.parent == path
    assert child.name == name
    for ancestor in child.ancestors():
        assert child.is_below(ancestor)
        assert not ancestor.is_below(child)
    assert len(list(child.ancestors())) == len(child.components)


@given(PATHS, PATHS, NAMES)
def test_a_move_there_and_back_changes_nothing(path: RemotePath, target: RemotePath, name: str) -> None:
    source = path.parent
    there = path.moved(source, target.child(name))
    assert there.moved(target.child(name), source) == path
