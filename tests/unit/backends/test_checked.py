"""What a reply states, and what of it is believed."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from mountfs.backends import checked
from mountfs.errors import ServerFault


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0),
        (7, 7),
        (7.0, 7),
        ("7", 7),
        ("6.29644E5", 629644),
        (2**53, 2**53),
        (9.99999999999999e14, 999999999999999),
    ],
)
def test_a_count_is_a_whole_number(value: object, number: int) -> None:
    assert checked.count(value, "size") == number


@pytest.mark.parametrize(
    "value",
    [
        -1,
        "-1",
        1.5,
        "1.5",
        True,
        None,
        "",
        "many",
        "9" * 40,
        "٣",
        2**53 + 2,
        1e300,
        math.inf,
        -math.inf,
        math.nan,
        10**4000,
        [1],
        {"a": 1},
        json.loads("1e999"),
        json.loads("-0.5"),
    ],
)
def test_what_is_no_count_is_a_fault_that_names_it(value: object) -> None:
    with pytest.raises(ServerFault, match=r"^size makes no sense: ") as caught:
        checked.count(value, "size")
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(("value", "time_s"), [(0, 0.0), (1.5, 1.5), (10**400, 3600.0), (math.inf, 3600.0)])
def test_a_time_to_wait_is_never_endless(value: Any, time_s: float) -> None:
    assert checked.seconds(value, "backoff") == time_s


@pytest.mark.parametrize("value", [-1, -0.1, math.nan, True, None, "5", []])
def test_what_is_no_time_to_wait_is_a_fault(value: object) -> None:
    with pytest.raises(ServerFault, match=r"^backoff makes no sense: "):
        checked.seconds(value, "backoff")


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        "",
        "yesterday",
        "2020-01-01",
        "2020-13-01T00:00:00Z",
        "2020-01-01T00:00:00",
        "0000-01-01T00:00:00Z",
        "\ud800",
        "2020-01-01T00:00:00+99:00",
        ["2020"],
        {},
    ],
)
def test_what_is_no_time_is_a_fault(value: object) -> None:
    with pytest.raises(ServerFault):
        checked.time_ns(value, "modified")


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_the_first_and_the_last_time_are_told(value: str) -> None:
    assert abs(checked.time_ns(value, "modified")) > 10**20 // 2


@pytest.mark.parametrize("name", ["a", "ü.txt", "a\nb", "...", "a" * 1024, " ", "\u202e"])
def test_a_name_is_what_a_folder_can_show(name: str) -> None:
    assert checked.name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/", "a\0", "\ud800", "a" * 1025, "ü" * 513, None, 5, ["a"]]
)
def test_what_is_no_name_is_a_fault(name: object) -> None:
    with pytest.raises(ServerFault, match=r"^name"):
        checked.name(name)


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX: y", "ü", "\ud800", "a" * 5000, None, 5, []])
def test_what_is_no_token_is_a_fault(token: object) -> None:
    assert checked.token("dbid:AAH-_=", "id") == "dbid:AAH-_="
    assert checked.are_tokens("dbid:AAH-_=", "b")
    with pytest.raises(ServerFault, match=r"^id makes no sense: "):
        checked.token(token, "id")
    assert not checked.are_tokens("a", token)
    assert not checked.are_tokens(token, "a")


def test_words_for_people_are_cut() -> None:
    assert checked.text("x" * 5000, "name") == "x" * checked.MOST_TEXT_CHARS
    for bad in ("", None, 5, "\ud800"):
        with pytest.raises(ServerFault):
            checked.text(bad, "name")


def test_a_message_shows_little_of_what_came() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert checked.brief(deep) == "a list"
    assert checked.brief({"a": deep}) == "an object"
    assert len(checked.brief("x" * 10**6)) < 70
    assert checked.brief("\x1b[2J\u202e") == "'\\x1b[2J\\u202e'"
    while deep:
        (deep,) = deep  # one by one: Python ends a nest of lists by recursion
