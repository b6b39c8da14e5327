"""What people see of text that comes from elsewhere."""

from __future__ import annotations

import pytest

from daemon.printable import printable
from tests.unit.daemon.hostile import HOSTILE


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain, ü, 日本, é", "plain, ü, 日本, é"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\u202e", "\\u202e"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("a\x85b\x7f", "a\\x85b\\x7f"),
    ],
)
def test_what_does_not_print_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_is_left_that_does_not_print(text: str) -> None:
    assert printable(text).isprintable()
    printable(text).encode()
