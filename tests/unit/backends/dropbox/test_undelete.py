"""What comes back of a folder that stands, where the service takes its time."""

from __future__ import annotations

from datetime import UTC, datetime

from mountfs.model.entry import NS_PER_S, Place
from mountfs.model.path import RemotePath
from tests.fakes.clock import FakeClock
from tests.unit.backends.dropbox.conftest import Connect
from tests.unit.backends.scripted import Script, error_answer, json_answer, later

FILE = {
    "name": "f",
    "id": "id:f",
    "rev": "0123456789abcdef01234",
    "size": 1,
    "client_modified": "2026-11-01T00:00:00Z",
    "server_modified": "2026-11-01T00:00:00Z",
    "content_hash": "1" * 64,
    "is_downloadable": True,
}


def test_however_long_the_service_takes_what_was_removed_just_before_comes_back(
    connect: Connect, clock: FakeClock
) -> None:
    """It is asked for each file that was in the folder, when that was removed: of thousands for minutes."""
    removed = datetime.fromtimestamp(clock.wall_ns() // NS_PER_S - 10, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    replies = [
        error_answer({".tag": "path", "path": {".tag": "not_file"}}),
        json_answer({".tag": "folder", "name": "d", "path_lower": "/d", "id": "id:d"}),
        json_answer(
            {
                "entries": [{".tag": "deleted", "name": "f", "path_lower": "/d/f"}],
                "cursor": "c",
                "has_more": False,
            }
        ),
        json_answer({"is_deleted": True, "server_deleted": removed, "entries": [FILE]}),
    ]
    with Script(*(later(clock, 60.0, reply) for reply in replies)) as server:
        undeleted = connect(server.url).undelete(Place(RemotePath("/d")), is_recent=True)
    assert [each.id for each in undeleted.rest] == ["/d/f"]
