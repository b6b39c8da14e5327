"""How bytes get into a Dropbox: at once, in chunks, and in the batch modes of rclone."""

import os
from pathlib import Path

import pytest

from tests.interop.rclone.remote import Remote, files_on_disk

CHUNKS = ["--dropbox-chunk-size", "1M"]
MIB = 1024 * 1024
START = "files/upload_session/start"
APPEND = "files/upload_session/append_v2"
FINISH = "files/upload_session/finish"
FINISH_BATCH = "files/upload_session/finish_batch_v2"


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Twenty files."""
    top = tmp_path / "many"
    top.mkdir()
    for number in range(20):
        (top / f"{number}.txt").write_bytes(b"%d" % number)
    return top


def uploads(calls: dict[str, int]) -> dict[str, int]:
    return {route: count for route, count in calls.items() if route.startswith("files/upload")}


@pytest.mark.parametrize(
    ("size_bytes", "appends"), [(MIB + 1, 2), (3 * MIB, 3), (3 * MIB + 5, 4)], ids=["short", "whole", "rest"]
)
@pytest.mark.parametrize("mode", ["off", "sync", "async"])
def test_a_large_file_goes_in_chunks(
    dropbox: Remote, tmp_path: Path, mode: str, size_bytes: int, appends: int
) -> None:
    data = os.urandom(size_bytes)
    (tmp_path / "f").write_bytes(data)
    flags = (*CHUNKS, "--dropbox-batch-mode", mode)
    calls = dropbox.calls_of(lambda: dropbox.call("copyto", *flags, tmp_path / "f", dropbox.at("f")))
    finish = FINISH if mode == "off" else FINISH_BATCH
    assert uploads(calls) == {START: 1, APPEND: appends, finish: 1}
    assert dropbox.read("f") == data


def test_a_large_file_goes_over_another(dropbox: Remote, tmp_path: Path) -> None:
    dropbox.write("f", b"theirs")
    before = dropbox.tree()["f"]
    (tmp_path / "f").write_bytes(bytes(MIB + 1))
    dropbox.call("copyto", *CHUNKS, tmp_path / "f", dropbox.at("f"))
    after = dropbox.tree()["f"]
    assert (after["id"], after["size"]) == (before["id"], MIB + 1)
    assert after["rev"] != before["rev"]


@pytest.mark.parametrize("size_bytes", [300_000, 2 * MIB, 2 * MIB + 7])
def test_a_stream_of_unknown_length_goes_in_chunks(dropbox: Remote, size_bytes: int) -> None:
    data = os.urandom(size_bytes)
    dropbox.call("rcat", *CHUNKS, dropbox.at("f"), stdin=data)
    assert dropbox.read("f") == data


def test_without_batches_each_small_file_is_one_call(dropbox: Remote, many: Path) -> None:
    calls = dropbox.calls_of(lambda: dropbox.call("copy", "--dropbox-batch-mode", "off", many, dropbox.at()))
    assert uploads(calls) == {"files/upload": 20}
    assert dropbox.files() == files_on_disk(many)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_in_batches_many_files_are_committed_by_one_call(dropbox: Remote, many: Path, mode: str) -> None:
    options = ("--dropbox-batch-mode", mode, "--dropbox-batch-size", "10", "--transfers", "20")
    calls = dropbox.calls_of(
        lambda: dropbox.call("copy", *options, "--dropbox-batch-timeout", "10s", many, dropbox.at())
    )
    assert uploads(calls) == {START: 20, APPEND: 20, FINISH_BATCH: 2}
    assert dropbox.files() == files_on_disk(many)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_batch_goes_over_what_is_there(dropbox: Remote, many: Path, mode: str) -> None:
    for name in ("1.txt", "2.txt"):
        dropbox.write(name, b"theirs")
    dropbox.call("copy", "--dropbox-batch-mode", mode, many, dropbox.at())
    assert dropbox.files() == files_on_disk(many)


def test_an_entry_that_fails_is_told(dropbox: Remote, many: Path) -> None:
    failing = {"path": f"/{dropbox.folder}/7.txt", "error": "internal_error", "route": "*", "count": 1}
    dropbox.sandbox.set_switches(entry_failures=[failing])
    options = ("--dropbox-batch-mode", "sync", "--transfers", "20")
    assert "7.txt" in dropbox.refused("copy", *options, many, dropbox.at())
    assert set(files_on_disk(many)) - set(dropbox.files()) == {"7.txt"}


@pytest.mark.parametrize("route", [START, APPEND, FINISH])
def test_a_call_that_fails_once_is_made_again(dropbox: Remote, tmp_path: Path, route: str) -> None:
    data = os.urandom(2 * MIB + 7)
    (tmp_path / "f").write_bytes(data)
    dropbox.sandbox.set_faults([{"route": route, "status": 500, "count": 1}])
    options = ("--low-level-retries", "3", "--dropbox-batch-mode", "off", *CHUNKS)
    dropbox.call("copyto", *options, tmp_path / "f", dropbox.at("f"))
    assert dropbox.read("f") == data


def test_a_chunk_whose_reply_was_lost_is_skipped(dropbox: Remote, tmp_path: Path) -> None:
    data = os.urandom(2 * MIB + 7)
    (tmp_path / "f").write_bytes(data)
    dropbox.sandbox.set_faults([{"route": APPEND, "action": "drop_after", "count": 1}])
    options = ("--low-level-retries", "3", "--dropbox-batch-mode", "off", *CHUNKS)
    dropbox.call("copyto", *options, tmp_path / "f", dropbox.at("f"))
    assert dropbox.read("f") == data


def test_a_full_account_takes_nothing(dropbox: Remote, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(1000))
    dropbox.sandbox.set_switches(quota_bytes=0)
    assert "insufficient_space" in dropbox.refused("copyto", tmp_path / "f", dropbox.at("f"))
    assert dropbox.files() == {}
