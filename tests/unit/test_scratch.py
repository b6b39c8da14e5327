"""Where the files of tests are, and which of them stay."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from tests.scratch import KEPT, ROOM_BYTES, Scratch, in_memory

Usage = namedtuple("Usage", "total used free")
NO_PROCESS = 1 << 23
"""More than Linux numbers processes with."""


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(ROOM_BYTES, 0, ROOM_BYTES))


def test_mounts_have_a_disk_and_each_test_a_folder_of_its_own(tmp_path: Path) -> None:
    disk, memory = tmp_path / "disk", tmp_path / "memory"
    for each in (disk, memory):
        each.mkdir()
    made = Scratch(disk, memory)
    folders = [made.folder(test) for test in ("tests/mounted/test_a.py::b", *["tests/unit/test_a.py::b"] * 2)]
    assert [folder.parent for folder in folders] == [disk, memory, memory]
    assert len({*folders}) == 3


def test_where_memory_has_too_little_room_all_have_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(ROOM_BYTES, 1, ROOM_BYTES - 1))
    with in_memory(tmp_path) as memory:
        assert memory is None
        assert Scratch(tmp_path, memory).folder("tests/unit/test_a.py::b").parent == tmp_path


def test_where_no_memory_can_be_written_to_all_have_the_disk(tmp_path: Path) -> None:
    (tmp_path / "memory").write_text("")
    with in_memory(tmp_path / "memory") as memory:
        assert memory is None


def test_what_a_run_leaves_stays_until_others_have_left_something(tmp_path: Path) -> None:
    with in_memory(tmp_path) as memory:
        assert memory is not None
    assert not memory.exists()
    with in_memory(tmp_path) as memory:
        assert memory is not None
        (memory / "failed").mkdir()
    parent = memory.parent
    for number in range(KEPT + 2):
        ended = parent / f"{NO_PROCESS + number}-x"
        ended.mkdir()
        os.utime(ended, (number, number))
    with in_memory(tmp_path):
        left = {run.name for run in parent.iterdir() if run.name.startswith("83")}
    assert left == {f"{NO_PROCESS + number}-x" for number in range(2, KEPT + 2)}
    assert (memory / "failed").exists()  # of a process that runs: this one
