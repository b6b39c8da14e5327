"""Replies that something on the way gave to the wrong question: another file is not taken for ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mountfs.errors import ServerFault
from mountfs.model.entry import File, Place
from mountfs.model.order import Copy, MakeFolder, Order, Put, SetTime
from mountfs.model.path import RemotePath
from mountfs.ports import Done
from tests.doubles.sources import source_of
from tests.unit.backends.box.conftest import Connect
from tests.unit.backends.scripted import Script, answer, json_answer

PLACE = Place(RemotePath("/x"), "0")
OURS = "11" * 20


def standing(file_id: str, name: str, sha1: str = "00" * 20, folder_id: str = "0") -> dict[str, Any]:
    return {
        "type": "file",
        "id": file_id,
        "etag": "0",
        "name": name,
        "size": 1,
        "sha1": sha1,
        "file_version": {"id": "9"},
        "parent": {"id": folder_id},
    }


def made(name: str, folder_id: str) -> dict[str, Any]:
    return {"type": "folder", "id": "4", "etag": "0", "name": name, "parent": {"id": folder_id}}


def put(base_revision: str | None = None) -> Put:
    body = source_of(b"y")
    return Put(PLACE, size_bytes=1, mtime_ns=0, content_hash=OURS, body=body, base_revision=base_revision)


@pytest.mark.parametrize(
    ("order", "reply"),
    [
        (put(), standing("4", "other")),
        (put("3:0:9"), standing("4", "x")),
        (Copy(PLACE, "5", "5:0:9"), standing("4", "other")),
        # Two folders with a file of one name each: it may have the same bytes.
        (put(), standing("4", "x", folder_id="7")),
        (put(), standing("4", "x", OURS, folder_id="7")),
        (replace(put(), place=Place(RemotePath("/x"), "")), standing("4", "x", folder_id="7")),
        (Copy(PLACE, "5", "5:0:9"), standing("4", "x", folder_id="7")),
        (MakeFolder(PLACE), made("other", "0")),
        (MakeFolder(PLACE), made("x", "7")),
    ],
)
def test_a_reply_of_another_file_tells_nothing_of_ours(
    connect: Connect, order: Order, reply: dict[str, Any]
) -> None:
    with Script(json_answer(reply, 201)) as server, pytest.raises(ServerFault):
        connect(server.url).submit([order])


@pytest.mark.parametrize(
    ("order", "reply"),
    [
        (put(), standing("4", "X")),
        (put(), standing("4", "spelled otherwise", OURS)),
        (put("3:0:9"), standing("3", "renamed meanwhile")),
    ],
)
def test_a_file_is_ours_by_its_name_its_bytes_or_its_id(
    connect: Connect, order: Order, reply: dict[str, Any]
) -> None:
    with Script(json_answer(reply, 201)) as server:
        launch = connect(server.url).submit([order])
    assert isinstance(launch, Done)
    assert isinstance(launch.outcomes[0], File)


def test_a_file_that_was_dated_is_the_one_that_was_named(connect: Connect) -> None:
    with Script(json_answer(standing("4", "x"))) as server, pytest.raises(ServerFault):
        connect(server.url).submit([SetTime(PLACE, base_revision="3:0:9", mtime_ns=0)])


def test_a_file_that_was_given_its_tags_is_the_one_that_was_made(connect: Connect) -> None:
    replies = json_answer(standing("4", "x", OURS), 201), json_answer(standing("5", "other"))
    with Script(*replies, answer(412)) as server:
        launch = connect(server.url, tags=("ours",)).submit([put()])
    assert isinstance(launch, Done)
    assert [each.id for each in launch.outcomes if isinstance(each, File)] == ["4"]


def test_an_item_of_another_id_is_not_the_one_that_was_asked_for(connect: Connect) -> None:
    refused = answer(412)
    with Script(refused, json_answer(standing("4", "x"))) as server, pytest.raises(ServerFault):
        connect(server.url).submit([SetTime(PLACE, base_revision="3:0:9", mtime_ns=0)])
