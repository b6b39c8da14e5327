"""Items, revisions and times as Box writes them."""

from __future__ import annotations

from typing import Any

import pytest

from mountfs.backends.box.entries import (
    Revision,
    entry_of,
    file_of,
    listed_of,
    parent_id_of,
    time_stamp,
)
from mountfs.backends.checked import count, time_ns
from mountfs.errors import ServerFault
from mountfs.model.entry import File, Folder, Odd

FILE: dict[str, Any] = {
    "type": "file",
    "id": "12345",
    "etag": "3",
    "sequence_id": "3",
    "name": "a.txt",
    "size": 629644,
    "sha1": "85136C79CBF9FE36BB9D05D0639C70C265C18D37",
    "content_modified_at": "2012-12-12T10:53:43-08:00",
    "modified_at": "2020-01-01T00:00:00Z",
    "file_version": {"type": "file_version", "id": "871399"},
    "parent": {"id": "11"},
}


def test_a_file_is_read_whole() -> None:
    assert entry_of(FILE) == File(
        id="12345",
        name="a.txt",
        revision="12345:3:871399",
        size_bytes=629644,
        mtime_ns=1355338423 * 10**9,
        content_hash="85136c79cbf9fe36bb9d05d0639c70c265c18d37",
    )


def test_a_folder_is_its_id_and_name_and_a_web_link_is_nothing() -> None:
    assert entry_of({"type": "folder", "id": "7", "name": "A"}) == Folder("7", "A")
    assert entry_of({"type": "web_link", "id": "8"}) is None
    for odd in ({"type": "hologram"}, {"type": "folder", "id": "7"}, {"type": "folder", "name": "A"}):
        with pytest.raises(ServerFault):
            entry_of(odd)


@pytest.mark.parametrize("size", [629644.0, "6.29644E5", 629644])
def test_numbers_may_come_in_any_form(size: object) -> None:
    assert file_of({**FILE, "size": size}).size_bytes == 629644


def test_without_a_time_of_the_content_the_services_own_counts() -> None:
    assert file_of({**FILE, "content_modified_at": None}).mtime_ns == 1577836800 * 10**9
    assert file_of({**FILE, "content_modified_at": None, "modified_at": None}).mtime_ns == 0


@pytest.mark.parametrize("missing", ["id", "name", "etag", "size", "file_version"])
def test_a_file_that_makes_no_sense_is_a_fault(missing: str) -> None:
    with pytest.raises(ServerFault):
        file_of({key: value for key, value in FILE.items() if key != missing})


def test_a_revision_is_read_back_or_not_at_all() -> None:
    revision = Revision("1", "2", "3")
    assert Revision.parse(revision.text) == revision
    for text in (None, "", "015f00", "1:2", "1::3", "1:2:3:4"):
        assert Revision.parse(text) is None


def test_times_are_whole_seconds_and_none_before_1970() -> None:
    assert time_stamp(1_491_609_498_999_999_999) == "2017-04-07T23:58:18Z"
    assert time_stamp(-5) == "1970-01-01T00:00:00Z"
    assert time_stamp(2**63 - 1) == "2262-04-11T23:47:16Z"
    assert time_ns("2017-04-08T00:58:18+01:00", "time") == 1_491_609_498 * 10**9
    with pytest.raises(ServerFault, match="without an offset"):
        time_ns("2017-04-08T00:58:18", "time")


def test_what_is_not_told_is_none() -> None:
    assert parent_id_of({"parent": None}) is None
    assert parent_id_of({"parent": {"id": ""}}) is None
    assert parent_id_of({"parent": {"id": "17"}}) == "17"
    assert count("1e15", "quota") == 10**15


def test_what_makes_no_sense_in_a_listing_is_odd_by_its_name_where_it_has_one() -> None:
    assert listed_of(FILE) == file_of(FILE)
    assert listed_of({"type": "web_link", "id": "8"}) is None
    assert listed_of({**FILE, "size": "-1"}) == Odd("a.txt", "size makes no sense: '-1'")
    assert listed_of({**FILE, "etag": "3:4"}) == Odd("a.txt", "etag makes no sense: '3:4'")
    assert listed_of({**FILE, "name": ".."}) == Odd("", "name makes no sense: '..'")
