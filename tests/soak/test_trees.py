"""What a call that failed may leave, and what is a lost or a torn file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.trees import Copy, Reach, Tree, copy_of, differences, is_between, tree_below, unexplained

OLD, NEW, OTHER = b"o" * 2000, b"n" * 3000, b"x" * 2000
RECOVERED = "f (recovered copy host 2026-01-02)"


def test_a_tree_has_the_bytes_of_files_and_the_names_of_folders(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(b"f")
    assert tree_below(tmp_path) == {"d/": b"", "d/f": b"f"}
    with pytest.raises(FileNotFoundError):
        tree_below(tmp_path / "none")


def test_each_path_that_differs_has_a_line() -> None:
    assert differences({"a": b"1", "b": b"1", "c": b"1"}, {"a": b"1", "b": b"2", "d": b"1"}) == [
        "b differs",
        "c is missing",
        "d should not be there",
    ]


@pytest.mark.parametrize(
    ("path", "copy"),
    [
        ("d/f (conflicted copy host 2026-01-02 2).tar", Copy("conflicted", "d/f.tar")),
        (RECOVERED, Copy("recovered", "f")),
        ("f (copy)", None),
    ],
)
def test_the_name_of_a_copy_tells_of_what(path: str, copy: Copy | None) -> None:
    assert copy_of(path) == copy


@pytest.mark.parametrize(
    ("found", "is_fine"),
    [
        (OLD, True),
        (NEW, True),
        (NEW[:700], True),
        (b"", True),
        (NEW[:700] + OLD[700:], True),
        (OTHER, False),
        (NEW + b"n", False),
    ],
)
def test_what_was_written_in_part_has_bytes_of_the_one_or_the_other_version(
    found: bytes, is_fine: bool
) -> None:
    assert is_between(OLD, NEW, found) == is_fine
    wrong = unexplained({"f": OLD}, {"f": NEW}, {"f": found}, Reach(frozenset({"f"})), may_be_torn=True)
    assert (wrong == []) == is_fine


WRITES_F = Reach(frozenset({"f"}), scratch=("f.tmp",))
SAVES_F_ASIDE = Reach(frozenset({"f"}), scratch=("f~",))
UNPACKS_F = Reach(frozenset({"f"}), unlinks=True)
MOVES_D = Reach(frozenset({"d", "e"}))


@pytest.mark.parametrize(
    ("reach", "before", "after", "found"),
    [
        (WRITES_F, {"f": OLD}, {"f": NEW}, {"f": OLD}),
        (WRITES_F, {"f": OLD}, {"f": NEW}, {"f": NEW, "f.tmp": b"whatever"}),
        (WRITES_F, {"f": OLD}, {"f": NEW}, {"f": OLD, RECOVERED: NEW[:10]}),
        (WRITES_F, {}, {"f": NEW}, {}),
        (SAVES_F_ASIDE, {"f": OLD}, {"f": NEW}, {"f~": OLD}),
        (UNPACKS_F, {"f": OLD}, {"f": NEW}, {}),
        (MOVES_D, {"d/": b"", "d/f": OLD}, {"e/": b"", "e/f": OLD}, {"e/": b"", "e/f": OLD}),
    ],
)
def test_a_call_that_failed_left_the_one_or_the_other_version(
    reach: Reach, before: Tree, after: Tree, found: Tree
) -> None:
    assert unexplained(before, after, found, reach, may_be_torn=False) == []


@pytest.mark.parametrize(
    ("reach", "before", "after", "found", "word"),
    [
        (WRITES_F, {"f": OLD}, {"f": NEW}, {}, "f is gone"),
        (WRITES_F, {"f": OLD}, {"f": NEW}, {"f": NEW[:10]}, "neither"),
        (WRITES_F, {"f": OLD}, {"f": NEW}, {"f": OLD, RECOVERED: OTHER}, "neither"),
        (
            WRITES_F,
            {"f": OLD, "g": OTHER},
            {"f": NEW, "g": OTHER},
            {"f": NEW},
            "g, which the call did not concern",
        ),
        (WRITES_F, {}, {"f": NEW}, {"f (conflicted copy host 2026-01-02)": NEW}, "did not concern"),
        (SAVES_F_ASIDE, {"f": OLD}, {"f": NEW}, {"f~": OTHER}, "f is gone"),
        (MOVES_D, {"d/": b"", "d/f": OLD}, {"e/": b"", "e/f": OLD}, {"e/": b""}, "d/f is nowhere"),
    ],
)
def test_what_it_cannot_have_left_is_told(
    reach: Reach, before: Tree, after: Tree, found: Tree, word: str
) -> None:
    [line] = unexplained(before, after, found, reach, may_be_torn=False)
    assert word in line
