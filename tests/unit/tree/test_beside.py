from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from mountfs.errors import Busy
from mountfs.model.entry import NS_PER_S
from mountfs.tree.beside import name_beside
from tests.doubles.world import HOST, World

MAY_1_NS = round(datetime(2024, 5, 1, 12).timestamp()) * NS_PER_S


def beside(
    name: str,
    host: str = "box",
    most_chars: int = 255,
    is_taken: Callable[[str], bool] = lambda _: False,
    what: str = "conflicted",
) -> str:
    return name_beside(name, what, host, MAY_1_NS, most_chars, is_taken)


@pytest.mark.parametrize(
    ("name", "copy"),
    [
        ("a.txt", "a (conflicted copy box 2024-05-01).txt"),
        ("a", "a (conflicted copy box 2024-05-01)"),
        ("a.tar.gz", "a.tar (conflicted copy box 2024-05-01).gz"),
        (".profile", ".profile (conflicted copy box 2024-05-01)"),
        ("a (conflicted copy old 2020-01-01).txt", "a (conflicted copy box 2024-05-01).txt"),
        ("a (recovered copy old 2020-01-01 3).txt", "a (conflicted copy box 2024-05-01).txt"),
        ("a (conflicted copy pc.example.com 2020-01-01)", "a (conflicted copy box 2024-05-01)"),
        ("a (conflicted copy pc.example.com 2020-01-01).txt", "a (conflicted copy box 2024-05-01).txt"),
    ],
)
def test_the_copy_keeps_its_type(name: str, copy: str) -> None:
    assert beside(name) == copy


def test_a_recovered_copy_says_so() -> None:
    assert beside("a.txt", what="recovered") == "a (recovered copy box 2024-05-01).txt"


def test_a_taken_name_gets_a_number() -> None:
    taken = {"a (conflicted copy box 2024-05-01).txt", "a (conflicted copy box 2024-05-01 2).txt"}
    assert beside("a.txt", is_taken=taken.__contains__) == "a (conflicted copy box 2024-05-01 3).txt"


def test_a_long_name_is_cut_before_its_mark() -> None:
    copy = beside("x" * 255)
    assert len(copy) == 255
    assert copy.endswith("x (conflicted copy box 2024-05-01)")


@pytest.mark.parametrize("name", ["a." + "x" * 253, "\u3000", " (conflicted copy old 2020-01-01).txt"])
def test_the_copy_has_a_name_that_the_service_takes(name: str) -> None:
    copy = beside(name)
    assert copy[0] == name[0]
    assert len(copy) <= 255
    assert "(conflicted copy box 2024-05-01)" in copy


@pytest.mark.parametrize("most_chars", [60, 255])
@pytest.mark.parametrize("name", ["é" * 127, "漢" * 85, "漢" * 80 + ".txt", "a." + "漢" * 84])
def test_the_copy_has_a_name_that_linux_takes(name: str, most_chars: int) -> None:
    copy = beside(name, most_chars=most_chars)
    assert copy[0] == name[0]
    assert len(copy) <= most_chars
    assert len(copy.encode()) <= 255


def test_a_host_name_that_no_service_takes_is_cleaned() -> None:
    assert beside("a", host="my/box ") == "a (conflicted copy my-box 2024-05-01)"


@pytest.mark.parametrize("is_ours", [False, True])
def test_a_copy_takes_the_name_of_nothing_that_stands_here_or_at_the_service(
    tmp_path: Path, is_ours: bool
) -> None:
    world = World(tmp_path)
    day = datetime.fromtimestamp(world.clock.wall_ns() // NS_PER_S).date().isoformat()
    first, second = f"/a (conflicted copy {HOST} {day}).txt", f"/a (conflicted copy {HOST} {day} 2).txt"
    if is_ours:
        world.put(first.upper(), b"taken")
    else:
        world.account.write(first, b"taken")
        world.fs.unlink(first)
        world.backend.refuse(first, Busy("locked"), times=3)  # so that the service has it still
    world.account.write("/a.txt", b"0")
    number = world.begin("/a.txt", b"ours")
    world.account.write("/a.txt", b"theirs")
    world.close_file(number)
    world.settle()
    assert world.account.files()[second] == b"ours"
    world.close()
