"""What both services keep of the past: old revisions up to a number of bytes, each content once."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cloudsandbox.box import BoxSandbox, BoxSwitches
from cloudsandbox.content import ContentFiles
from cloudsandbox.dropbox import DropboxSandbox, DropboxSwitches
from cloudsandbox.history import SCHEMA, History
from cloudsandbox.switches import SwitchError

Sandbox = DropboxSandbox | BoxSandbox
STEPS = 400
LIMIT_BYTES = 600


def dropbox(data: Path, **switches: Any) -> DropboxSandbox:
    return DropboxSandbox(data, token="sandbox", switches=DropboxSwitches(**switches))


def box(data: Path, **switches: Any) -> BoxSandbox:
    return BoxSandbox(data, token="sandbox", switches=BoxSwitches(**switches))


@pytest.fixture(params=[dropbox, box], ids=["dropbox", "box"])
def make(request: pytest.FixtureRequest) -> Callable[..., Sandbox]:
    made: Callable[..., Sandbox] = request.param
    return made


def on_disk(data: Path) -> list[bytes]:
    """All content files there are."""
    return [path.read_bytes() for path in sorted((data / "content").rglob("*")) if path.is_file()]


def revisions(sandbox: Sandbox, path: str) -> list[int]:
    """Bytes of each revision of a file that is known, the oldest first."""
    account = sandbox._running()[1].account
    if isinstance(sandbox, DropboxSandbox):
        query = "SELECT size_bytes FROM revision WHERE path_lower = ? ORDER BY rev"
        argument: Any = path
    else:
        query = "SELECT size_bytes FROM version WHERE file = ? ORDER BY id"
        argument = sandbox.tree()[path]["id"]
    return [
        row[0]
        for row in sandbox._on_state(lambda: account.state.connection.execute(query, (argument,)).fetchall())
    ]


def counted_anew(sandbox: Sandbox) -> dict[str, int]:
    """What the report has to be, from the tables of the tree alone."""
    account = sandbox._running()[1].account
    if isinstance(sandbox, DropboxSandbox):
        heads = "SELECT DISTINCT blob, size_bytes FROM revision WHERE rev IN (SELECT rev FROM entry)"
        every = "SELECT DISTINCT blob, size_bytes FROM revision"
    else:
        heads = "SELECT DISTINCT blob, size_bytes FROM version WHERE id IN (SELECT version FROM item)"
        every = "SELECT DISTINCT blob, size_bytes FROM version"

    def total(query: str) -> int:
        rows = account.state.connection.execute(query).fetchall()
        return sum(size_bytes for _, size_bytes in rows)

    content_bytes, head_bytes = sandbox._on_state(lambda: (total(every), total(heads)))
    return {"content_bytes": content_bytes, "history_bytes": content_bytes - head_bytes}


def test_the_oldest_are_forgotten_first(make: Callable[..., Sandbox], tmp_path: Path) -> None:
    with make(tmp_path, history_bytes=250) as sandbox:
        sandbox.write("/first", b"0" * 90)
        for size in (100, 110, 120, 130):
            sandbox.write("/f", b"x" * size)
        sandbox.write("/first", b"1" * 90)
        assert revisions(sandbox, "/f") == [110, 120, 130]
        assert revisions(sandbox, "/first") == [90]  # its old one was the oldest of all
        assert sandbox.disk() == {"content_bytes": 450, "history_bytes": 230}
        assert sum(map(len, on_disk(tmp_path))) == 450


def test_what_files_consist_of_is_never_forgotten(make: Callable[..., Sandbox], tmp_path: Path) -> None:
    with make(tmp_path, history_bytes=0) as sandbox:
        for number in range(30):
            sandbox.write(f"/{number % 10}", bytes([number]) * 100)
        assert {path: sandbox.read(path)[0] for path in sandbox.files()} == {
            f"/{number}": number + 20 for number in range(10)
        }
        assert sandbox.disk() == {"content_bytes": 1000, "history_bytes": 0}
        assert len(on_disk(tmp_path)) == 10


def test_the_same_bytes_are_kept_once(make: Callable[..., Sandbox], tmp_path: Path) -> None:
    with make(tmp_path, history_bytes=0) as sandbox:
        for path in ("/a", "/b", "/c/d"):
            sandbox.write(path, b"same")
        assert on_disk(tmp_path) == [b"same"]
        sandbox.write("/a", b"other")
        sandbox.delete("/b")
        assert sorted(on_disk(tmp_path)) == [b"other", b"same"]
        assert sandbox.read("/c/d") == b"same"
        sandbox.write("/c/d", b"other")
    if make is dropbox:
        assert on_disk(tmp_path) == [b"other"]
    else:
        assert sorted(on_disk(tmp_path)) == [b"other", b"same"]  # /b lies in the trash


def test_less_history_is_kept_from_the_next_change_on(make: Callable[..., Sandbox], tmp_path: Path) -> None:
    with make(tmp_path) as sandbox:
        for number in range(10):
            sandbox.write("/f", bytes([number]) * 100)
        assert sandbox.disk() == {"content_bytes": 1000, "history_bytes": 900}
        sandbox.set_switches(history_bytes=350)
        sandbox.write("/g", b"")
        assert sandbox.disk() == {"content_bytes": 400, "history_bytes": 300}
        with pytest.raises(SwitchError, match="history_bytes: expected at least 0"):
            sandbox.set_switches(history_bytes=-1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "kind",
    [dropbox, partial(dropbox, move_changes_rev=False), box],
    ids=["dropbox", "dropbox whose moves keep revs", "box"],
)
def test_through_random_changes_the_books_are_the_disk(
    kind: Callable[..., Sandbox], tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    expected: dict[str, bytes] = {}
    names = [f"/{folder}{name}" for folder in ("", "d/", "e/") for name in "wxyz"]
    with kind(tmp_path, history_bytes=LIMIT_BYTES) as sandbox:
        for _ in range(STEPS):
            source, target = dice.sample(names, 2)
            act = dice.choice(["write", "write", "move", "delete"])
            if act == "write":
                data = dice.choice([b"", b"x" * 40, dice.randbytes(dice.randint(1, 200))])
                sandbox.write(source, data)
                expected[source] = data
            elif source in expected and act == "delete":
                sandbox.delete(source)
                del expected[source]
            elif source in expected and target not in expected:
                sandbox.move(source, target)
                expected[target] = expected.pop(source)
            report = sandbox.disk()
            assert report == counted_anew(sandbox)
            assert report["history_bytes"] <= LIMIT_BYTES
            assert report["content_bytes"] == sum(map(len, on_disk(tmp_path)))
        assert {path: sandbox.read(path) for path in sandbox.files()} == expected
    with kind(tmp_path, history_bytes=LIMIT_BYTES) as sandbox:
        assert sandbox.disk() == report


def test_revs_are_never_given_twice(tmp_path: Path) -> None:
    with dropbox(tmp_path, history_bytes=0) as sandbox:
        first = sandbox.write("/f", b"1")["rev"]
        sandbox.delete("/f")
        assert sandbox.disk()["content_bytes"] == 0
    with dropbox(tmp_path, history_bytes=0) as sandbox:
        assert sandbox.write("/f", b"2")["rev"] > first


def test_a_forgotten_revision_is_unknown_to_all_routes(tmp_path: Path, speak: Callable[[str], Any]) -> None:
    with dropbox(tmp_path, history_bytes=0) as sandbox:
        wire = speak(sandbox.base_url)
        old = wire.upload("/f", b"old")
        new = wire.upload("/f", b"new", mode="overwrite")
        assert [each["rev"] for each in wire.ok("files/list_revisions", {"path": "/f"})["entries"]] == [
            new["rev"]
        ]
        path = {"path": "rev:" + old["rev"]}
        assert wire.content("files/download", path).json()["error"]["path"] == {".tag": "not_found"}
        assert wire.rpc("files/get_metadata", path).status_code == 409
        restored = wire.rpc("files/restore", {"path": "/f", "rev": old["rev"]})
        assert restored.json()["error"] == {".tag": "invalid_revision"}


def test_a_session_of_known_bytes_leaves_no_second_copy(tmp_path: Path, speak: Callable[[str], Any]) -> None:
    with dropbox(tmp_path, session_reuse="success") as sandbox:
        wire = speak(sandbox.base_url)
        sandbox.write("/a", b"abc")
        session_id = wire.content("files/upload_session/start", {"close": True}, b"abc").json()["session_id"]
        cursor = {"session_id": session_id, "offset": 3}
        for path in ("/a", "/b", "/c"):  # nothing is written; a new file; the session once more
            finish = {"cursor": cursor, "commit": {"path": path}}
            assert wire.content("files/upload_session/finish", finish).status_code == 200
            assert on_disk(tmp_path) == [b"abc"]
            assert sandbox.read(path) == b"abc"


def test_a_session_cannot_be_committed_again_once_its_bytes_are_forgotten(
    tmp_path: Path, speak: Callable[[str], Any]
) -> None:
    with dropbox(tmp_path, session_reuse="success", history_bytes=0) as sandbox:
        wire = speak(sandbox.base_url)
        session_id = wire.content("files/upload_session/start", {"close": True}, b"abc").json()["session_id"]
        finish = {"cursor": {"session_id": session_id, "offset": 3}, "commit": {"path": "/a"}}
        assert wire.content("files/upload_session/finish", finish).status_code == 200
        sandbox.delete("/a")
        again = wire.content("files/upload_session/finish", finish)
        assert again.json()["error"] == {".tag": "lookup_failed", "lookup_failed": {".tag": "not_found"}}


def test_a_purge_takes_all_versions_along(tmp_path: Path) -> None:
    with box(tmp_path) as sandbox:
        for number in range(3):
            sandbox.write("/f", bytes([number]))
        sandbox.write("/g", b"\0")
        account = sandbox._running()[1].account
        item = int(sandbox.tree()["/f"]["id"])
        sandbox.delete("/f")
        assert sandbox.disk() == {"content_bytes": 3, "history_bytes": 1}
        sandbox._on_state(lambda: account.trash.purge(account.trash.get(item, "file")))
        assert sandbox.disk() == {"content_bytes": 1, "history_bytes": 0}
        assert on_disk(tmp_path) == [b"\0"]


def test_the_history_of_data_that_is_older_than_the_books(
    make: Callable[..., Sandbox], tmp_path: Path
) -> None:
    with make(tmp_path) as sandbox:
        for number in range(5):
            sandbox.write("/f", bytes([number]) * 100)
            sandbox.write(f"/{number}", b"same" * number)
        sandbox.delete("/3")
        report = sandbox.disk()
    with closing(sqlite3.connect(tmp_path / "state.db")) as state:
        state.executescript("DROP TABLE blob; DROP TABLE old; PRAGMA user_version = 0;")
    with make(tmp_path, history_bytes=150) as sandbox:
        assert counted_anew(sandbox)["history_bytes"] <= 150
        assert sandbox.disk() == counted_anew(sandbox)
        assert sandbox.disk()["content_bytes"] == report["content_bytes"] - 300
        assert sandbox.read("/f") == bytes([4]) * 100


@pytest.fixture
def books(tmp_path: Path) -> Iterator[tuple[History, ContentFiles, sqlite3.Connection]]:
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as connection:
        connection.executescript(SCHEMA)
        files = ContentFiles(tmp_path)
        yield History(connection, files), files, connection


def test_what_a_death_left_of_the_forgotten_goes_at_the_next_start(
    books: tuple[History, ContentFiles, sqlite3.Connection], tmp_path: Path
) -> None:
    history, files, connection = books
    files.write_at("aabb", 0, b"1")
    history.doom("aabb")  # and the process dies before `clear`
    assert on_disk(tmp_path) == [b"1"]
    History(connection, files).clear()
    assert on_disk(tmp_path) == []


def test_a_transaction_that_is_undone_removes_nothing(
    books: tuple[History, ContentFiles, sqlite3.Connection], tmp_path: Path
) -> None:
    history, files, connection = books
    files.write_at("aabb", 0, b"1")
    history.made("aabb", "digest", 1)
    connection.execute("BEGIN")
    history.removed("rev", "aabb")
    connection.execute("ROLLBACK")
    history.recount()
    history.clear()
    assert on_disk(tmp_path) == [b"1"]
    assert history.report() == {"content_bytes": 1, "history_bytes": 0}


def test_a_reader_reads_on_though_the_content_is_removed(tmp_path: Path) -> None:
    files = ContentFiles(tmp_path)
    files.write_at("aabb", 0, b"abc")
    with files.reader("aabb") as reader:
        files.forget("aabb")
        assert reader.read_at(1, 2) == b"bc"
        assert reader.read_now(1, 2) == b"bc"
        with pytest.raises(EOFError):
            reader.read_at(1, 3)


def test_disk_use_is_a_report_of_the_control_surface(
    make: Callable[..., Sandbox], tmp_path: Path, speak: Any
) -> None:
    with make(tmp_path) as sandbox:
        sandbox.write("/f", b"abc")
        sandbox.write("/f", b"abcd")
        report = speak(sandbox.base_url).ask_control("GET", "disk").json()
    assert report == {"content_bytes": 7, "history_bytes": 3}


def test_files_and_folders_are_counted_for_the_control_surface(
    make: Callable[..., Sandbox], tmp_path: Path, speak: Any
) -> None:
    with make(tmp_path) as sandbox:
        for path in ("/f", "/d/e/f", "/d/gone", "/left/f"):
            sandbox.write(path, b"abc")
        sandbox.delete("/d/gone")
        sandbox.delete("/left")
        report = speak(sandbox.base_url).ask_control("GET", "census").json()
    assert report == {"files": 2, "folders": 2}
