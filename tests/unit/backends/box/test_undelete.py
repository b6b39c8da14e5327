"""What comes back from the trash, where several items of one name went there."""

from __future__ import annotations

import pytest

from mountfs.model.entry import Place
from mountfs.model.path import RemotePath
from tests.unit.backends.box.conftest import Connect
from tests.unit.backends.scripted import Script, json_answer

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
