"""Orders that Box answers with 412 each time, though their condition holds, or none was stated."""

from __future__ import annotations

import pytest

from mountfs.backends.box.conditions import TRIES
from mountfs.errors import Conflict, ServerFault
from mountfs.model.entry import Place
from mountfs.model.order import Delete, MakeFolder, Move, Order, Put, SetTime
from mountfs.model.path import RemotePath
from mountfs.ports import Done
from tests.doubles.sources import source_of
from tests.unit.backends.box.conftest import Connect
from tests.unit.backends.scripted import Reply, Script, json_answer

PLACE = Place(RemotePath("/x"), "0")
REFUSED = json_answer({"code": "precondition_failed"}, 412)
STANDING = {
    "type": "file",
    "id": "3",
    "etag": "0",
    "name": "x",
    "size": 1,
    "sha1": "00" * 20,
    "file_version": {"id": "9"},
    "parent": {"id": "0"},
}
MADE = json_answer({"type": "folder", "id": "4", "name": "x"}, 201)


def put(base_revision: str | None) -> Put:
    body = source_of(b"y")
    return Put(
        PLACE, size_bytes=1, mtime_ns=0, content_hash="11" * 20, body=body, base_revision=base_revision
    )


@pytest.mark.parametrize(
    ("order", "replies"),
    [
        (put(None), [REFUSED]),
        (MakeFolder(PLACE), [REFUSED]),
        (Move(Place(RemotePath("/y"), "0"), PLACE, is_folder=False, item_id="3"), [REFUSED]),
        (Delete(PLACE, is_folder=True, item_id="4"), [REFUSED]),
        (put("3:0:9"), [REFUSED, json_answer(STANDING)]),
        (SetTime(PLACE, base_revision="3:0:9", mtime_ns=0), [REFUSED, json_answer(STANDING)]),
        (Delete(PLACE, is_folder=False, base_revision="3:0:9"), [REFUSED, json_answer(STANDING)]),
    ],
)
def test_what_fails_by_a_condition_each_time_is_a_fault_and_a_conflict_in_the_end(
    connect: Connect, order: Order, replies: list[Reply]
) -> None:
    with Script(*replies * (TRIES + 1)) as server:
        backend = connect(server.url)
        for _ in range(TRIES):
            with pytest.raises(ServerFault):
                backend.submit([order])
        launch = backend.submit([order])
    assert isinstance(launch, Done)
    assert isinstance(launch.outcomes[0], Conflict)


def test_another_answer_begins_the_count_anew(connect: Connect) -> None:
    order = MakeFolder(PLACE)
    with Script(*[REFUSED] * TRIES, MADE, REFUSED) as server:
        backend = connect(server.url)
        for _ in range(TRIES):
            with pytest.raises(ServerFault):
                backend.submit([order])
        backend.submit([order])
        with pytest.raises(ServerFault):
            backend.submit([order])
