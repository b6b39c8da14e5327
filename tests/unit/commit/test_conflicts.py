from __future__ import annotations

import pytest

from daemon.commit.conflicts import copy_beside
from mountfs.model.path import RemotePath


@pytest.mark.parametrize(
    ("path", "copy"),
    [
        ("/d/a.txt", "/d/a (conflicted copy box 2024-05-01).txt"),
        ("/a", "/a (conflicted copy box 2024-05-01)"),
        ("/a.tar.gz", "/a.tar (conflicted copy box 2024-05-01).gz"),
        ("/.profile", "/.profile (conflicted copy box 2024-05-01)"),
        ("/a (conflicted copy old 2020-01-01).txt", "/a (conflicted copy box 2024-05-01).txt"),
    ],
)
def test_the_copy_lands_beside_and_keeps_its_type(path: str, copy: str) -> None:
    assert copy_beside(RemotePath(path), "box", "2024-05-01", 255, lambda _: False).text == copy


def test_a_taken_name_gets_a_number() -> None:
    taken = {"/a (conflicted copy box d).txt", "/a (conflicted copy box d 2).txt"}
    copy = copy_beside(RemotePath("/a.txt"), "box", "d", 255, lambda path: path.text in taken)
    assert copy.text == "/a (conflicted copy box d 3).txt"


def test_a_long_name_is_cut_before_its_mark() -> None:
    copy = copy_beside(RemotePath("/" + "x" * 255), "box", "2024-05-01", 255, lambda _: False)
    assert len(copy.name) == 255
    assert copy.name.endswith("x (conflicted copy box 2024-05-01)")


@pytest.mark.parametrize("name", ["a." + "x" * 253, "\u3000", " (conflicted copy old 2020-01-01).txt"])
def test_the_copy_has_a_name_that_the_service_takes(name: str) -> None:
    copy = copy_beside(RemotePath(f"/{name}"), "box", "2024-05-01", 255, lambda _: False)
    assert copy.name[0] == name[0]
    assert len(copy.name) <= 255
    assert "(conflicted copy box 2024-05-01)" in copy.name


def test_a_host_name_that_no_service_takes_is_cleaned() -> None:
    assert "copy my-box d" in copy_beside(RemotePath("/a"), "my/box ", "d", 255, lambda _: False).name
