"""What comes back from the trash, where several items of one name went there."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from mountfs.errors import NotFound
from mountfs.model.entry import NS_PER_S, Place
from mountfs.model.path import RemotePath
from tests.fakes.clock import FakeClock
from tests.unit.backends.box.conftest import Connect
from tests.unit.backends.scripted import Script, json_answer, later

BEFORE_THE_CLOCK_CHANGED, AFTER = "2026-11-01T01:50:00-07:00", "2026-11-01T01:10:00-08:00"
"""The second is 20 minutes later."""
FILE = {
    "type": "file",
    "name": "x",
    "etag": "1",
    "size": 1,
    "sha1": "1" * 40,
    "modified_at": AFTER,
    "file_version": {"id": "7"},
    "parent": {"id": "2"},
}


@pytest.mark.parametrize(
    ("times", "latest"),
    [
        ({"8": BEFORE_THE_CLOCK_CHANGED, "9": AFTER}, "9"),
        ({"8": AFTER, "9": BEFORE_THE_CLOCK_CHANGED}, "8"),
        ({"8": AFTER, "9": None}, "8"),
        ({"8": AFTER, "9": "soon"}, "8"),
        ({"9": AFTER, "10": AFTER}, "10"),
        ({"10": AFTER, "9": AFTER}, "10"),
        ({"9": None}, "9"),
    ],
)
def test_what_was_removed_last_comes_back(
    connect: Connect, times: dict[str, str | None], latest: str
) -> None:
    """Of two that were removed in one second, the one that was made later: its id is the higher one."""
    trash = [
        {"type": "file", "id": item_id, "name": "x", "parent": {"id": "2"}, "trashed_at": trashed_at}
        for item_id, trashed_at in times.items()
    ]
    with Script(
        json_answer({"entries": trash}),
        json_answer({**FILE, "id": latest}, 201),
    ) as server:
        entry = connect(server.url).undelete(Place(RemotePath("/x"), "2")).entry
    assert entry is not None
    assert entry.id == latest
    assert server.seen[-1].path.partition("?")[0] == f"/2.0/files/{latest}"


@pytest.mark.parametrize("ahead_s", [-3600, 3600])
def test_what_was_removed_just_now_is_told_by_the_services_clock(
    connect: Connect, clock: FakeClock, ahead_s: int
) -> None:
    """Of `rm -r d`, sent in part when it is taken back; that machine's clock is an hour off."""
    now_s = int(time.time())
    clock.set_wall_ns((now_s + ahead_s) * NS_PER_S)
    trash = [
        {
            "type": "file",
            "id": item_id,
            "name": f"f{item_id}",
            "parent": {"id": "3"},
            "trashed_at": _at(time_s),
        }
        for item_id, time_s in {"7": now_s - 3630, "8": now_s - 20, "9": now_s - 10}.items()
    ]
    standing = {"type": "folder", "id": "3", "name": "d", "etag": "1", "parent": {"id": "2"}}
    with Script(json_answer({"entries": trash}), json_answer({"entries": [standing]})) as server:
        undeleted = connect(server.url).undelete(Place(RemotePath("/d"), "2"), is_recent=True)
    assert {each.id for each in undeleted.rest} == {"8", "9"}


def test_however_long_the_trash_takes_what_was_removed_just_before_comes_back(
    connect: Connect, clock: FakeClock
) -> None:
    """Each of its pages comes a minute after the one before."""
    trashed_at = _at(clock.wall_ns() // NS_PER_S - 10)
    item = {"type": "file", "id": "8", "name": "f", "parent": {"id": "3"}, "trashed_at": trashed_at}
    standing = {"type": "folder", "id": "3", "name": "d", "etag": "1", "parent": {"id": "2"}}
    replies = [
        json_answer({"entries": [item], "next_marker": "2"}),
        json_answer({"entries": []}),
        json_answer({"entries": [standing]}),
    ]
    with Script(*(later(clock, 60.0, reply) for reply in replies)) as server:
        undeleted = connect(server.url).undelete(Place(RemotePath("/d"), "2"), is_recent=True)
    assert [each.id for each in undeleted.rest] == ["8"]


def test_what_is_in_the_trash_without_its_folder_is_passed_over(connect: Connect) -> None:
    """Its folder was removed for good: nobody knows where it was."""
    trash = [{"type": "file", "id": "8", "name": "x", "parent": None, "trashed_at": AFTER}]
    with (
        Script(json_answer({"entries": trash}), json_answer({"entries": []})) as server,
        pytest.raises(NotFound, match="in the trash"),
    ):
        connect(server.url).undelete(Place(RemotePath("/x"), "2"))
    assert all(each.method == "GET" for each in server.seen)


def _at(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat()
