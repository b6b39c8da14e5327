"""What rclone sees of an account."""

import json

import pytest

from tests.interop.rclone.remote import Remote

NAMES = ["plain", "two words", "ünïcode 日本", "emoji 😀", "a'b\"c", "100% #1 & more?", ".hidden", "x" * 200]


def test_everything_is_listed_below_its_folder(remote: Remote) -> None:
    for path in ("a", "d/b", "d/e/c"):
        remote.write(path, b"1")
    assert sorted(remote.call("lsf", "-R", remote.at()).split()) == ["a", "d/", "d/b", "d/e/", "d/e/c"]
    assert sorted(remote.call("lsf", remote.at("d")).split()) == ["b", "e/"]


def test_an_entry_has_its_size_its_id_and_its_time(remote: Remote) -> None:
    remote.write("f", b"12345")
    (entry,) = json.loads(remote.call("lsjson", remote.at()))
    assert (entry["Path"], entry["Size"], entry["IsDir"]) == ("f", 5, False)
    assert entry["ID"] == remote.tree()["f"]["id"]
    assert entry["ModTime"].startswith("20")


def test_a_listing_with_hashes_has_those_of_the_service(remote: Remote) -> None:
    remote.write("f", b"12345")
    kind, field = {"dropbox": ("dropbox", "content_hash"), "box": ("sha1", "sha1")}[remote.service]
    (entry,) = json.loads(remote.call("lsjson", "--hash", remote.at()))
    assert entry["Hashes"] == {kind: remote.tree()["f"][field]}


@pytest.mark.parametrize("name", ["f", "d"])
def test_one_item_is_looked_up(remote: Remote, name: str) -> None:
    remote.write("f", b"12345")
    remote.write("d/g", b"")
    entry = json.loads(remote.call("lsjson", "--stat", remote.at(name)))
    assert (entry["Size"], entry["IsDir"]) == ((-1, True) if name == "d" else (5, False))


def test_names_come_back_as_they_were_given(remote: Remote) -> None:
    for name in NAMES:
        remote.write(name, name.encode())
    assert sorted(remote.call("lsf", remote.at()).splitlines()) == sorted(NAMES)


def test_a_name_is_found_in_any_case(remote: Remote) -> None:
    remote.write("Folder/File.txt", b"found")
    assert remote.call("lsf", remote.at("fOLDER")).split() == ["File.txt"]
    assert not json.loads(remote.call("lsjson", "--stat", remote.at("fOLDER/fILE.TXT")))["IsDir"]


def test_a_folder_of_more_than_a_page_is_listed_whole(remote: Remote) -> None:
    count = 1001 if remote.service == "dropbox" else 5  # Dropbox is asked for 1,000 at a time
    for number in range(count):
        remote.write(f"many/{number}", b"")
    listed = remote.call("lsf", "--box-list-chunk", "2", remote.at("many")).split()
    assert sorted(listed, key=int) == [str(number) for number in range(count)]


def test_what_is_not_there_is_not_found(remote: Remote) -> None:
    assert "directory not found" in remote.refused("lsf", remote.at("none"))
    assert "directory not found" in remote.refused("lsf", remote.at("none/below"))


def test_the_size_is_that_of_all_files(remote: Remote) -> None:
    remote.write("a", b"123")
    remote.write("d/b", b"4567")
    assert json.loads(remote.call("size", "--json", remote.at()))["bytes"] == 7
    assert json.loads(remote.call("size", "--json", remote.at()))["count"] == 2


def test_the_account_tells_what_is_used_and_what_there_is(remote: Remote) -> None:
    before = json.loads(remote.call("about", "--json", f"{remote.service}:"))
    remote.write("f", b"1234567")
    after = json.loads(remote.call("about", "--json", f"{remote.service}:"))
    assert after["used"] - before["used"] == 7
    assert after["total"] == remote.sandbox.switches()["quota_bytes"] == after["used"] + after["free"]


def test_the_whole_account_is_listed_from_its_root(remote: Remote) -> None:
    remote.write("sub/f", b"")
    listed = remote.call("lsf", "-R", "--include", f"/{remote.folder}/**", f"{remote.service}:").split()
    assert listed == [f"{remote.folder}/", f"{remote.folder}/sub/", f"{remote.folder}/sub/f"]


@pytest.mark.parametrize("arguments", [[], ["--dropbox-root-namespace", "3235641"]])
def test_a_namespace_is_the_root_of_paths(dropbox: Remote, arguments: list[str]) -> None:
    dropbox.write("f", b"")
    path = f"dropbox:{'' if arguments else '/'}{dropbox.folder}"
    assert dropbox.call("lsf", path, *arguments).split() == ["f"]


def test_a_folder_of_a_box_is_the_root_of_paths(box: Remote) -> None:
    box.write("d/f", b"")
    assert box.call("lsf", "-R", "box:", "--box-root-folder-id", box.tree()["d"]["id"]).split() == ["f"]


def test_only_what_a_user_owns_is_listed_when_asked_for(box: Remote) -> None:
    mine = box.call("lsf", "--box-owned-by", "sandbox@example.com", "box:").split()
    assert f"{box.folder}/" in mine
    assert box.call("lsf", "--box-owned-by", "other@example.com", "box:") == ""


def test_a_box_may_be_used_as_another_user(box: Remote) -> None:
    box.write("f", b"")
    assert box.call("lsf", "--box-impersonate", "4711", box.at()).split() == ["f"]
