"""Files and folders that rclone moves, makes and removes."""

import json
from pathlib import Path

from tests.interop.rclone.remote import Remote

MOVES = {"dropbox": "files/move_v2", "box": "files/update"}
FOLDER_MOVES = {"dropbox": "files/move_v2", "box": "folders/update"}


def test_a_file_is_renamed_by_the_service(remote: Remote) -> None:
    remote.write("f", b"data")
    before = remote.tree()["f"]["id"]
    calls = remote.calls_of(lambda: remote.call("moveto", remote.at("f"), remote.at("d/g")))
    assert calls[MOVES[remote.service]] == 1
    assert {path: each["id"] for path, each in remote.tree().items() if path != "d"} == {"d/g": before}


def test_a_file_is_moved_over_another(remote: Remote) -> None:
    remote.write("f", b"data")
    remote.write("g", b"other")
    remote.call("moveto", remote.at("f"), remote.at("g"))
    assert remote.files() == {"g": b"data"}


def test_a_file_is_renamed_in_case_only(remote: Remote) -> None:
    remote.write("name", b"data")
    remote.call("moveto", remote.at("name"), remote.at("NAME"))
    assert remote.files() == {"NAME": b"data"}


def test_a_folder_is_moved_by_one_call(remote: Remote) -> None:
    for path in ("d/a", "d/b", "d/e/c"):
        remote.write(path, path.encode())
    before = remote.tree()["d"]["id"]
    calls = remote.calls_of(lambda: remote.call("move", remote.at("d"), remote.at("x/moved")))
    assert calls[FOLDER_MOVES[remote.service]] == 1
    assert remote.tree()["x/moved"]["id"] == before
    assert remote.files() == {"x/moved/a": b"d/a", "x/moved/b": b"d/b", "x/moved/e/c": b"d/e/c"}


def test_a_folder_is_moved_into_one_that_is_there(remote: Remote) -> None:
    remote.write("d/a", b"1")
    remote.write("d/e/c", b"2")
    remote.write("to/b", b"3")
    remote.call("move", "--delete-empty-src-dirs", remote.at("d"), remote.at("to"))
    assert remote.files() == {"to/a": b"1", "to/b": b"3", "to/e/c": b"2"}


def test_what_was_moved_from_the_disk_is_gone_there(remote: Remote, local: Path) -> None:
    remote.call("move", local, remote.at())
    assert not [path for path in local.rglob("*") if path.is_file()]
    assert len(remote.files()) == 5


def test_folders_are_made_and_removed(remote: Remote) -> None:
    remote.call("mkdir", remote.at("a/b"))
    remote.call("mkdir", remote.at("a/b"))
    assert set(remote.tree()) == {"a", "a/b"}
    remote.call("rmdir", remote.at("a/b"))
    assert set(remote.tree()) == {"a"}


def test_a_folder_that_is_not_empty_stays(remote: Remote) -> None:
    remote.write("d/f", b"")
    assert "not empty" in remote.refused("rmdir", remote.at("d"))
    assert set(remote.tree()) == {"d", "d/f"}


def test_no_folder_takes_the_place_of_a_file(remote: Remote) -> None:
    remote.write("f", b"kept")
    remote.refused("mkdir", remote.at("f"))
    assert remote.files() == {"f": b"kept"}


def test_all_empty_folders_are_removed(remote: Remote) -> None:
    remote.write("d/f", b"")
    for path in ("a/b/c", "d/e"):
        remote.call("mkdir", remote.at(path))
    remote.call("rmdirs", "--leave-root", remote.at())
    assert set(remote.tree()) == {"d", "d/f"}


def test_a_folder_is_purged_with_all_in_it(remote: Remote) -> None:
    for path in ("d/a", "d/e/c", "f"):
        remote.write(path, b"")
    remote.call("purge", remote.at("d"))
    assert set(remote.tree()) == {"f"}
    remote.refused("purge", remote.at("d"))


def test_one_file_is_deleted(remote: Remote) -> None:
    remote.write("f", b"")
    remote.write("g", b"")
    remote.call("deletefile", remote.at("f"))
    assert set(remote.tree()) == {"g"}
    remote.refused("deletefile", remote.at("f"))


def test_files_are_deleted_and_folders_stay(remote: Remote) -> None:
    for path in ("a.txt", "d/b.txt", "d/c"):
        remote.write(path, b"")
    remote.call("delete", "--include", "*.txt", remote.at())
    assert set(remote.tree()) == {"d", "d/c"}


def test_of_files_with_the_same_bytes_one_stays(remote: Remote) -> None:
    for path in ("a", "b", "d/c"):
        remote.write(path, b"same")
    remote.write("other", b"different")
    remote.call("dedupe", "--by-hash", "first", remote.at())
    assert sorted(remote.files().values()) == [b"different", b"same"]


def test_nothing_has_two_of_a_name(remote: Remote) -> None:
    remote.write("f", b"1")
    remote.call("dedupe", "newest", remote.at())
    assert remote.files() == {"f": b"1"}


def test_what_was_deleted_takes_room_until_the_trash_is_emptied(box: Remote) -> None:
    box.write("d/f", b"12345")
    box.write("g", b"kept")
    box.call("purge", box.at("d"))
    before = json.loads(box.call("about", "--json", "box:"))["used"]
    box.call("cleanup", "box:")
    assert before - json.loads(box.call("about", "--json", "box:"))["used"] >= 5
    assert box.files() == {"g": b"kept"}
