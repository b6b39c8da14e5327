"""Trees and files that rclone copies to, from and within an account."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.interop.rclone.remote import Remote, files_on_disk

UPLOADS = {
    "files/upload",
    "files/upload_version",
    "files/upload_session/start",
    "files/upload_session/append_v2",
    "sessions/create",
    "sessions/create_version",
}

# Names that rclone tries with every service it knows; what the service refuses, rclone stores under others.
ODD_NAMES = [
    "".join(map(chr, range(1, 32))) + "\x7f",
    "!\"#$%&'()*+,-.:;<=>?@[\\]^_`{|}~",
    *(f"{char}leading" for char in " ~\r\n\t\v."),
    *(f"trailing{char}" for char in " \r\n\t\v."),
    "invalid\udcbfUTF-8\udcfe",
    "test%46.txt",
    "ﾍﾞﾝｾﾞﾝ",
    "e\u0301",
]


def test_a_tree_is_copied_up_and_checked(remote: Remote, local: Path) -> None:
    remote.call("copy", local, remote.at())
    assert remote.files() == files_on_disk(local)
    remote.call("check", local, remote.at())
    remote.call("check", "--download", local, remote.at())


def test_a_tree_is_copied_down(remote: Remote, tmp_path: Path) -> None:
    for path, data in {"a": b"1", "d/b": b"", "d/e/c": b"x" * 70_000}.items():
        remote.write(path, data)
    remote.call("copy", remote.at(), tmp_path / "down")
    assert files_on_disk(tmp_path / "down") == remote.files()


def test_odd_names_come_back_as_they_were(remote: Remote, tmp_path: Path) -> None:
    up, down = tmp_path / "up", tmp_path / "down"
    for name in ODD_NAMES:
        (up / name).mkdir(parents=True)
        (up / name / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    remote.call("copy", up, remote.at())
    remote.call("copy", remote.at(), down)
    assert files_on_disk(down) == files_on_disk(up)
    assert len(remote.files()) == len(ODD_NAMES)


def test_times_are_kept_both_ways(remote: Remote, local: Path, tmp_path: Path) -> None:
    os.utime(local / "a.txt", (1_500_000_000, 1_500_000_000))
    remote.call("copy", local, remote.at())
    remote.call("copy", remote.at(), tmp_path / "down")
    assert (tmp_path / "down" / "a.txt").stat().st_mtime == 1_500_000_000


def test_what_is_there_is_not_sent_again(remote: Remote, local: Path) -> None:
    remote.call("copy", local, remote.at())
    calls = remote.calls_of(lambda: remote.call("copy", local, remote.at()))
    assert UPLOADS.isdisjoint(calls)


def test_what_changed_is_sent_and_keeps_its_id(remote: Remote, local: Path) -> None:
    remote.call("copy", local, remote.at())
    before = remote.tree()["a.txt"]["id"]
    (local / "a.txt").write_bytes(b"changed")
    remote.call("copy", local, remote.at())
    assert (remote.read("a.txt"), remote.tree()["a.txt"]["id"]) == (b"changed", before)


def test_a_sync_removes_what_is_gone(remote: Remote, local: Path) -> None:
    remote.write("old/f", b"old")
    remote.write("a.txt", b"theirs")
    remote.call("sync", local, remote.at())
    assert remote.files() == files_on_disk(local)
    assert "old" not in remote.tree()


def test_empty_folders_are_copied_when_asked_for(remote: Remote, local: Path) -> None:
    (local / "hollow/inner").mkdir(parents=True)
    remote.call("copy", "--create-empty-src-dirs", local, remote.at())
    assert remote.tree()["hollow/inner"]["kind"] == "folder"


def test_a_file_is_written_over_another(remote: Remote, local: Path) -> None:
    remote.write("f", b"theirs")
    remote.call("copyto", local / "a.txt", remote.at("f"))
    assert remote.files() == {"f": b"first"}


def test_a_file_gets_the_folders_above_it(remote: Remote, local: Path) -> None:
    remote.call("copyto", local / "a.txt", remote.at("new/deep/f"))
    assert remote.files() == {"new/deep/f": b"first"}


def test_a_file_does_not_take_the_place_of_a_folder(remote: Remote, local: Path) -> None:
    remote.write("d/f", b"kept")
    remote.refused("copyto", local / "a.txt", remote.at("d"))
    assert remote.files() == {"d/f": b"kept"}


def test_a_file_is_copied_by_the_service(remote: Remote) -> None:
    remote.write("f", b"data")
    calls = remote.calls_of(lambda: remote.call("copyto", remote.at("f"), remote.at("d/g")))
    assert UPLOADS.isdisjoint(calls)
    assert remote.files() == {"f": b"data", "d/g": b"data"}


def test_a_file_is_copied_by_the_service_over_another(remote: Remote) -> None:
    remote.write("f", b"data")
    remote.write("g", b"other")
    calls = remote.calls_of(lambda: remote.call("copyto", remote.at("f"), remote.at("g")))
    assert UPLOADS.isdisjoint(calls)
    assert remote.files() == {"f": b"data", "g": b"data"}


def test_a_tree_is_copied_by_the_service(remote: Remote, local: Path) -> None:
    remote.call("copy", local, remote.at("one"))
    calls = remote.calls_of(lambda: remote.call("copy", remote.at("one"), remote.at("two")))
    assert UPLOADS.isdisjoint(calls)
    remote.call("check", remote.at("one"), remote.at("two"))


def test_a_difference_is_found(remote: Remote, local: Path) -> None:
    remote.call("copy", local, remote.at())
    remote.write("a.txt", b"FIRST")
    remote.write("more", b"")
    (local / "less").touch()
    complaint = remote.refused("check", local, remote.at())
    assert "a.txt: " in complaint
    assert "3 differences found" in complaint


def test_hashes_are_those_of_the_bytes(remote: Remote, local: Path, tmp_path: Path) -> None:
    remote.call("copy", local, remote.at())
    kind = {"dropbox": "dropbox", "box": "sha1"}[remote.service]
    sums = remote.call("hashsum", kind, remote.at())
    assert sorted(sums.splitlines()) == sorted(remote.call("hashsum", kind, local).splitlines())
    (tmp_path / "sums").write_text(sums)
    remote.call("hashsum", kind, "--checkfile", tmp_path / "sums", remote.at())
    remote.write("a.txt", b"FIRST")
    remote.refused("hashsum", kind, "--checkfile", tmp_path / "sums", remote.at())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "0123456789"),
        (["--offset", "3"], "3456789"),
        (["--offset", "3", "--count", "4"], "3456"),
        (["--count", "4"], "0123"),
        (["--head", "2"], "01"),
        (["--tail", "2"], "89"),
        (["--offset", "9", "--count", "5"], "9"),
        (["--offset", "-3"], "789"),
    ],
)
def test_a_range_of_a_file_is_read(remote: Remote, options: list[str], expected: str) -> None:
    remote.write("f", b"0123456789")
    assert remote.call("cat", *options, remote.at("f")) == expected


def test_standard_input_becomes_a_file(remote: Remote) -> None:
    remote.call("rcat", remote.at("d/f"), stdin=b"from a pipe")
    remote.call("rcat", remote.at("d/empty"))
    assert remote.files() == {"d/f": b"from a pipe", "d/empty": b""}


def test_a_large_file_is_read_whole(remote: Remote, tmp_path: Path) -> None:
    data = os.urandom(3_000_001)
    remote.write("f", data)
    remote.call("copyto", "--multi-thread-cutoff", "1M", remote.at("f"), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == data


def test_a_box_takes_a_new_time_for_old_bytes(box: Remote) -> None:
    box.write("f", b"data")
    calls = box.calls_of(lambda: box.call("touch", "-t", "2020-01-01T00:00:00", box.at("f")))
    assert calls["files/update"] == 1
    shown = json.loads(box.call("lsjson", box.at()))[0]["ModTime"]
    assert datetime.fromisoformat(shown) == datetime(2020, 1, 1, tzinfo=UTC)


def test_a_busy_dropbox_is_asked_again_when_it_says(dropbox: Remote, local: Path) -> None:
    busy = {"route": "files/*", "action": "busy_namespace", "count": 1, "retry_after_s": 1}
    dropbox.sandbox.set_faults([busy])
    dropbox.call("copy", "--low-level-retries", "3", local, dropbox.at())
    assert dropbox.files() == files_on_disk(local)


def test_more_calls_than_a_box_takes_are_made_later(box: Remote, local: Path) -> None:
    box.sandbox.set_switches(calls_per_minute=360, rate_window_s=0.5)
    box.call("copy", "--low-level-retries", "10", local, box.at())
    assert box.files() == files_on_disk(local)
    assert 429 in {record.status for record in box.sandbox.log.records()}
