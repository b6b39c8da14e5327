"""What must have become of versions that two mounts gave to files of one folder."""

from __future__ import annotations

from tests.soak.claims import (
    Claim,
    committed_twice,
    in_two_files,
    lost,
    overwritten_unseen,
    strange,
)

EMPTY = "empty"
COPY = "f (conflicted copy host 2026-01-02)"


def told(mount: str, digest: str, saw: str | None = EMPTY) -> Claim:
    return Claim(mount, "f", digest, saw, is_told=True)


def tried(mount: str, digest: str, saw: str | None = EMPTY) -> Claim:
    return Claim(mount, "f", digest, saw)


def test_a_version_that_is_nowhere_is_lost() -> None:
    assert lost([told("A", "a1")], {"f": ["b1"]}) == ["f: lost what A wrote, a1"]
    assert lost([told("A", "a1")], {"f": ["b1"], COPY: ["a1"]}) == []


def test_a_version_is_replaced_by_a_later_one_of_the_same_mount_that_is_safe() -> None:
    assert lost([told("A", "a1"), told("A", "a2")], {"f": ["a2"]}) == []
    assert lost([told("A", "a1"), tried("A", "a2")], {"f": ["a2"]}) == []
    assert lost([told("A", "a1"), tried("A", "a2")], {"f": ["b1"]}) == ["f: lost what A wrote, a1"]
    assert lost([told("A", "a1"), told("B", "b1", saw="a1")], {"f": ["b1"]}) == ["f: lost what A wrote, a1"]


def test_nobody_replaces_a_version_that_its_writer_had_not_seen() -> None:
    claims = [told("A", "a1"), told("B", "b1", saw=EMPTY)]
    assert overwritten_unseen(claims, {"f": ["a1", "b1"]}, EMPTY) == ["f: b1 of B replaced a1 unseen"]
    assert overwritten_unseen([told("A", "a1"), told("B", "b1", saw="a1")], {"f": ["a1", "b1"]}, EMPTY) == []


def test_a_version_replaces_what_the_unsent_ones_before_it_had_seen() -> None:
    claims = [told("A", "a1"), told("B", "b1", saw="a1"), told("B", "b2", saw="b1")]
    assert overwritten_unseen(claims, {"f": ["a1", "b2"]}, EMPTY) == []
    claims = [told("A", "a1"), told("A", "a2", saw="a1"), told("B", "b1", saw="a2")]
    assert len(overwritten_unseen(claims, {"f": ["a1", "b1"]}, EMPTY)) == 1, "a2 was never at the service"


def test_of_what_was_renamed_over_a_file_nobody_knows_what_the_mount_had_seen() -> None:
    claims = [told("A", "a1"), told("B", "b1", saw=None), told("B", "b2", saw="b1")]
    assert overwritten_unseen(claims, {"f": ["a1", "b1"]}, EMPTY) == []
    assert overwritten_unseen(claims, {"f": ["a1", "b2"]}, EMPTY) == []


def test_names_and_versions_that_nobody_gave_are_told() -> None:
    claims = [told("A", "a1")]
    assert strange(claims, {"f": [EMPTY, "a1"], COPY: ["a1"]}, EMPTY) == []
    assert strange(claims, {"f": ["torn"]}, EMPTY) == ["f: nobody wrote torn"]
    assert strange(claims, {"f (1)": ["a1"]}, EMPTY) == ["f (1): nobody gave this name"]


def test_a_version_is_committed_once() -> None:
    assert committed_twice({"f": ["a1", "a2", "a1", EMPTY, EMPTY]}, EMPTY) == []
    assert committed_twice({"f": ["a1", "a1"]}, EMPTY) == ["f: a1 was committed twice in a row"]
    assert in_two_files({"f": ["a1", EMPTY], COPY: ["a2", EMPTY]}, EMPTY) == []
    for histories in (
        {"f": ["a2", "a1"], COPY: ["a1"]},
        {"f": ["a1", "a2"], "g": ["a1"]},
        {"f": ["a1", "b1"], COPY: ["a1"]},
    ):
        [line] = in_two_files(histories, EMPTY)
        assert line.startswith("a1 is a version of f")
