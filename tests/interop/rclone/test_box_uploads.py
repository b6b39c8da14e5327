"""How large files get into a Box: in one form up to 50 MiB, in parts above."""

from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path

import pytest

from cloudsandbox.box import BoxSandbox
from tests.interop.rclone.remote import Remote

MOST_OF_A_FORM_BYTES = 50 * 1024 * 1024
LARGE_BYTES = 52_500_000  # three parts of the stand-in


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Path]:
    """A file of parts that differ."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        for part in range(3):
            file.seek(part * 25_000_000)
            file.write(b"part %d" % part)
        file.truncate(LARGE_BYTES)
    yield path
    path.unlink()


def test_what_rclone_sends_in_one_form_is_taken(box: Remote, tmp_path: Path) -> None:
    with (tmp_path / "f").open("wb") as file:
        file.truncate(MOST_OF_A_FORM_BYTES)
    calls = box.calls_of(lambda: box.call("copyto", tmp_path / "f", box.at("f")))
    assert (calls["files/upload"], "sessions/create" in calls) == (1, False)
    assert box.tree()["f"]["size"] == MOST_OF_A_FORM_BYTES


@pytest.mark.parametrize("pending", [0, 2])
def test_a_large_file_goes_in_parts(box: Remote, large: Path, pending: int) -> None:
    box.sandbox.set_switches(pending_commits=pending)
    calls = box.calls_of(lambda: box.call("copyto", large, box.at("f")))
    sessions = {route: count for route, count in calls.items() if route.startswith("sessions/")}
    assert sessions == {"sessions/create": 1, "sessions/part": 3, "sessions/commit": 1 + pending}
    sent = box.tree()["f"]
    assert sent["sha1"] == sha1(large.read_bytes()).hexdigest()
    assert sent["content_modified_s"] == int(large.stat().st_mtime)


def test_a_large_file_goes_over_another(box: Remote, large: Path) -> None:
    box.write("f", b"theirs")
    before = box.tree()["f"]["id"]
    calls = box.calls_of(lambda: box.call("copyto", large, box.at("f")))
    assert calls["sessions/create_version"] == 1
    after = box.tree()["f"]
    assert (after["id"], after["versions"], after["size"]) == (before, 2, LARGE_BYTES)


def test_a_part_that_fails_once_is_sent_again(box: Remote, large: Path) -> None:
    box.sandbox.set_faults([{"route": "sessions/part", "status": 500, "count": 1}])
    box.call("copyto", "--low-level-retries", "3", large, box.at("f"))
    assert box.tree()["f"]["size"] == LARGE_BYTES


def test_a_session_that_is_given_up_is_ended(box: Remote, large: Path) -> None:
    box.sandbox.set_faults([{"route": "sessions/part", "status": 403}])
    calls = box.calls_of(lambda: box.refused("copyto", large, box.at("f")))
    assert calls["sessions/abort"] == 1
    assert isinstance(box.sandbox, BoxSandbox)
    assert box.sandbox.sessions() == []
    assert box.files() == {}


def test_a_full_account_takes_nothing(box: Remote, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(1000))
    box.sandbox.set_switches(quota_bytes=0)
    assert "storage_limit_exceeded" in box.refused("copyto", tmp_path / "f", box.at("f"))
    assert box.files() == {}


def test_an_upload_that_fails_is_made_again(box: Remote, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"data")
    box.sandbox.set_faults([{"route": "files/upload", "status": 503, "count": 1}])
    box.call("copy", "--retries", "2", tmp_path / "f", box.at())
    assert box.files() == {"f": b"data"}
