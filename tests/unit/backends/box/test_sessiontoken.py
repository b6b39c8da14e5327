"""What the journal keeps of a session."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mountfs.backends.box.sessiontoken import SessionToken, StoredPart, whole_file
from mountfs.errors import ServerFault, SessionLost
from mountfs.model.order import Part

TOKEN = SessionToken("F97", 2500, 1000, "", "11", "big.bin", "http://u/part", "http://u/list", "c", "a")


def part(offset: int, length: int, stated: int | None = None) -> Part:
    stored = StoredPart(f"P{offset}", offset if stated is None else stated, length, "00" * 20)
    return Part(offset, length, stored.receipt)


def test_a_token_is_read_back() -> None:
    assert SessionToken.parse(TOKEN.text) == TOKEN
    taken = replace(TOKEN, id="", is_taken=True)
    assert SessionToken.parse(taken.text) == taken


def test_a_token_of_an_earlier_mountfs_is_of_a_name_not_known_to_be_taken() -> None:
    kept = json.loads(TOKEN.text)
    del kept["taken"]
    assert SessionToken.parse(json.dumps(kept)) == TOKEN


@pytest.mark.parametrize("text", ["", "unknown", "3", "{}", "null", json.dumps({"id": "x", "size": "many"})])
def test_what_is_no_token_is_a_lost_session(text: str) -> None:
    with pytest.raises(SessionLost):
        SessionToken.parse(text)


def test_a_part_is_sent_back_as_it_was_stated() -> None:
    wire = {"part_id": "6F2D3486", "offset": 1000, "size": 500, "sha1": "13" * 20}
    assert StoredPart.from_wire({**wire, "sha1": "13" * 20}).wire == wire
    for broken in (None, {}, {**wire, "size": "x"}):
        with pytest.raises(ServerFault):
            StoredPart.from_wire(broken)


def test_parts_are_put_in_order_and_empty_ones_left_out() -> None:
    parts = [part(2000, 500), part(0, 1000), Part(2500, 0, ""), part(1000, 1000)]
    assert [stored.offset for stored in whole_file(parts, 2500)] == [0, 1000, 2000]


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [part(0, 1000)],
        [part(0, 1000), part(2000, 500)],
        [part(0, 1000), part(1000, 1000), part(2000, 501)],
        [part(0, 1000), part(1000, 1500, stated=900)],
        [Part(0, 2500, "no receipt")],
    ],
)
def test_parts_that_are_not_exactly_the_file_are_a_lost_session(parts: list[Part]) -> None:
    with pytest.raises(SessionLost):
        whole_file(parts, 2500)
