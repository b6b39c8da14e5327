"""Names that the kernel was told, the oldest first."""

from __future__ import annotations

from mountfs.fuse.lookups import FOLDERS_IN_USE, Lookups


def _looked_up(*folders: str) -> Lookups:
    """One file in each of *folders*, and in others that are in use."""
    lookups = Lookups()
    for folder in (*folders, *(f"/used{number}" for number in range(FOLDERS_IN_USE))):
        lookups.note(f"{folder}/f")
    return lookups


def test_names_of_the_folder_that_was_used_longest_ago_come_first() -> None:
    lookups = _looked_up("/a", "", "/b/c")
    lookups.note("/a/g")
    assert [lookups.take(10) for _ in range(4)] == [("", ["f"]), ("/b/c", ["f"]), ("/used0", ["f"]), None]
    assert lookups.count == FOLDERS_IN_USE + 1


def test_a_name_counts_once_and_not_after_its_removal() -> None:
    lookups = _looked_up("/a")
    before = lookups.count
    lookups.note("/a/f")
    lookups.note("/a/g")
    assert lookups.count == before + 1
    assert lookups.left("/a/f") and not lookups.left("/a/f") and not lookups.left("/other/f")
    assert lookups.count == before
    assert lookups.left("/a/g")
    assert lookups.take(10) is None  # only those in use are left


def test_a_large_folder_is_taken_in_parts() -> None:
    lookups = Lookups()
    for folder, names in [("/a", "fgh"), *((f"/used{number}", "f") for number in range(FOLDERS_IN_USE))]:
        for name in names:
            lookups.note(f"{folder}/{name}")
    parts = [part for part in (lookups.take(2), lookups.take(2)) if part is not None]
    assert [(folder, len(names)) for folder, names in parts] == [("/a", 2), ("/a", 1)]
    assert sorted(name for _, names in parts for name in names) == ["f", "g", "h"]


def test_names_in_folders_in_use_are_not_noted_without_end() -> None:
    lookups = Lookups()
    for path in ("/large/f", "/large/g", "/other/f"):
        lookups.note(path)
    lookups.forget(3)
    assert lookups.count == 3
    lookups.forget(2)
    assert lookups.count == 1
    assert lookups.left("/other/f") and not lookups.left("/large/f")
    lookups.note("/large/f")
    assert lookups.count == 1
