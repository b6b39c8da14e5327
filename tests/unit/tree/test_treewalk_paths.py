"""Paths that came twice in a recursive listing."""

from __future__ import annotations

import tracemalloc

from mountfs.tree.treewalk import Paths

FOLDERS, FILES = 100, 1000


def test_the_folders_of_paths_that_came_twice_are_found() -> None:
    paths = Paths()
    for number in range(1000):
        paths.note(f"/a/f{number}", 1)
        paths.note(f"/b/f{number}", 2)
    assert paths.doubled() == set()
    paths.note("/b/f7", 2)
    paths.note("/c/f", 3)
    paths.note("/c/f", 3)
    assert paths.doubled() == {2, 3}


def test_many_paths_take_little_memory_to_compare() -> None:
    paths = Paths()
    for folder in range(FOLDERS):
        for file in range(FILES):
            paths.note(f"/d{folder}/f{file}", folder)
    tracemalloc.start()
    try:
        assert paths.doubled() == set()
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * FOLDERS * FILES
