"""What the SDK is promised about whole files: the commit table, hashes, names, times."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from dropbox import Dropbox
from dropbox.exceptions import ApiError, BadInputError
from dropbox.files import WriteMode

from cloudsandbox.dropbox import DropboxSandbox
from cloudsandbox.dropbox.hashing import content_hash


def path_error(raised: pytest.ExceptionInfo[ApiError]) -> Any:
    return raised.value.error.get_path().reason


def test_an_uploaded_file_has_size_hash_and_revision(client: Dropbox) -> None:
    done = client.files_upload(b"hello world\n", "/A/b.txt")
    assert (done.name, done.size, done.path_lower, done.path_display) == ("b.txt", 12, "/a/b.txt", "/A/b.txt")
    assert done.content_hash == "f83e4b6bba3efac41f1ff56ee97adf7454680fee778924cb5ba06311d136ad1c"
    assert len(done.rev) >= 9
    assert done.id.startswith("id:")


def test_an_empty_file_can_be_uploaded(client: Dropbox) -> None:
    assert client.files_upload(b"", "/empty").size == 0
    assert client.files_download("/empty")[1].content == b""


def test_parents_appear_by_themselves(client: Dropbox) -> None:
    client.files_upload(b"x", "/one/two/three")
    names = {entry.path_display for entry in client.files_list_folder("", recursive=True).entries}
    assert names == {"/one", "/one/two", "/one/two/three"}


def test_add_refuses_other_bytes_at_a_taken_path(client: Dropbox) -> None:
    client.files_upload(b"1", "/f")
    with pytest.raises(ApiError) as raised:
        client.files_upload(b"2", "/f")
    assert path_error(raised).get_conflict().is_file()


@pytest.mark.parametrize("mode", [WriteMode.add, WriteMode.overwrite, WriteMode.update("000000000001")])
def test_identical_bytes_are_success_and_write_nothing(client: Dropbox, mode: WriteMode) -> None:
    first = client.files_upload(b"same", "/f", client_modified=datetime(2015, 5, 12, 15, 50, 38))
    again = client.files_upload(b"same", "/f", mode=mode, client_modified=datetime(2016, 1, 1))
    assert (again.rev, again.client_modified) == (first.rev, first.client_modified)


def test_overwrite_keeps_the_id_and_changes_the_revision(client: Dropbox) -> None:
    first = client.files_upload(b"1", "/f")
    second = client.files_upload(b"2", "/f", mode=WriteMode.overwrite)
    assert second.id == first.id
    assert second.rev > first.rev


def test_update_with_the_current_revision_writes(client: Dropbox) -> None:
    first = client.files_upload(b"1", "/f")
    assert client.files_upload(b"22", "/f", mode=WriteMode.update(first.rev)).size == 2


def test_update_with_an_old_revision_conflicts(client: Dropbox) -> None:
    first = client.files_upload(b"1", "/f")
    client.files_upload(b"2", "/f", mode=WriteMode.overwrite)
    with pytest.raises(ApiError) as raised:
        client.files_upload(b"3", "/f", mode=WriteMode.update(first.rev))
    assert path_error(raised).get_conflict().is_file()


def test_update_of_a_deleted_file_writes_unless_strict(client: Dropbox) -> None:
    first = client.files_upload(b"1", "/f")
    client.files_delete_v2("/f")
    with pytest.raises(ApiError):
        client.files_upload(b"2", "/f", mode=WriteMode.update(first.rev), strict_conflict=True)
    assert client.files_upload(b"2", "/f", mode=WriteMode.update(first.rev)).size == 1


def test_strict_conflict_refuses_identical_bytes(client: Dropbox) -> None:
    client.files_upload(b"same", "/f")
    with pytest.raises(ApiError) as raised:
        client.files_upload(b"same", "/f", strict_conflict=True)
    assert path_error(raised).get_conflict().is_file()


@pytest.mark.parametrize("mode", [WriteMode.add, WriteMode.overwrite])
def test_a_folder_in_the_way_is_a_conflict_in_every_mode(client: Dropbox, mode: WriteMode) -> None:
    client.files_create_folder_v2("/d")
    with pytest.raises(ApiError) as raised:
        client.files_upload(b"1", "/D", mode=mode)
    assert path_error(raised).get_conflict().is_folder()


def test_a_file_above_is_a_file_ancestor_conflict(client: Dropbox) -> None:
    client.files_upload(b"1", "/f")
    with pytest.raises(ApiError) as raised:
        client.files_upload(b"1", "/f/below/it")
    assert path_error(raised).get_conflict().is_file_ancestor()


def test_autorename_numbers_the_copy(client: Dropbox) -> None:
    client.files_upload(b"1", "/doc.txt")
    names = [client.files_upload(bytes([n]), "/doc.txt", autorename=True).name for n in range(2)]
    assert names == ["doc (1).txt", "doc (2).txt"]


def test_autorename_of_an_update_is_a_conflicted_copy(client: Dropbox) -> None:
    first = client.files_upload(b"1", "/doc.txt")
    client.files_upload(b"2", "/doc.txt", mode=WriteMode.overwrite)
    done = client.files_upload(b"3", "/doc.txt", mode=WriteMode.update(first.rev), autorename=True)
    assert done.name == "doc (conflicted copy).txt"


def test_paths_differ_by_more_than_case(client: Dropbox) -> None:
    client.files_upload(b"1", "/Foo/Bar")
    done = client.files_upload(b"2", "/foo/BAR", mode=WriteMode.overwrite)
    assert done.path_display == "/Foo/Bar"
    assert client.files_get_metadata("/FOO/bar").rev == done.rev


def test_a_new_file_takes_the_case_of_its_folder(client: Dropbox) -> None:
    client.files_create_folder_v2("/Folder")
    assert client.files_upload(b"", "/FOLDER/New").path_display == "/Folder/New"


def test_names_beyond_ascii_travel_in_the_header(client: Dropbox, sandbox: DropboxSandbox) -> None:
    path = "/héllo/日本/😀.txt"
    assert client.files_upload(b"1", path).path_display == path
    assert list(sandbox.files()) == [path]
    assert client.files_download(path)[0].name == "😀.txt"


@pytest.mark.parametrize(
    "name", ["desktop.ini", "Thumbs.db", ".DS_Store", "icon\r", ".dropbox", ".dropbox.attr"]
)
def test_names_the_service_keeps_for_itself_are_disallowed(client: Dropbox, name: str) -> None:
    with pytest.raises(ApiError) as raised:
        client.files_upload(b"1", f"/d/{name}")
    assert path_error(raised).is_disallowed_name()


@pytest.mark.parametrize(
    "path", ["/a//b", "/a/", "/a\\b", "/a/../b", "/a/.", "/trail ", "/" + "x" * 256, "/\x7f"]
)
def test_malformed_paths_are_refused(client: Dropbox, path: str) -> None:
    with pytest.raises(ApiError) as raised:
        client.files_upload(b"1", path)
    assert path_error(raised).is_malformed_path()


def test_a_name_of_255_characters_fits(client: Dropbox) -> None:
    assert len(client.files_upload(b"1", "/" + "é" * 255).name) == 255


def test_client_modified_is_kept_to_the_second(client: Dropbox) -> None:
    moment = datetime(2015, 5, 12, 15, 50, 38)
    assert client.files_upload(b"1", "/f", client_modified=moment).client_modified == moment
    assert client.files_get_metadata("/f").client_modified == moment


def test_a_wrong_content_hash_is_refused_and_nothing_is_written(
    client: Dropbox, sandbox: DropboxSandbox
) -> None:
    with pytest.raises(ApiError) as raised:
        client.files_upload(b"1", "/f", content_hash=content_hash(b"2"))
    assert raised.value.error.is_content_hash_mismatch()
    assert sandbox.files() == {}


def test_a_body_over_the_limit_is_payload_too_large(client: Dropbox, sandbox: DropboxSandbox) -> None:
    sandbox.set_switches(max_body_bytes=1000)
    assert client.files_upload(b"x" * 1000, "/fits").size == 1000
    with pytest.raises(ApiError) as raised:
        client.files_upload(b"x" * 1001, "/f")
    assert raised.value.error.is_payload_too_large()


def test_a_full_account_is_insufficient_space(client: Dropbox, sandbox: DropboxSandbox) -> None:
    sandbox.set_switches(quota_bytes=10)
    client.files_upload(b"x" * 10, "/f")
    with pytest.raises(ApiError) as raised:
        client.files_upload(b"x", "/g")
    assert path_error(raised).is_insufficient_space()
    assert client.files_upload(b"y" * 10, "/f", mode=WriteMode.overwrite).size == 10


def test_the_bytes_of_a_refused_upload_can_be_finished_elsewhere(
    client: Dropbox, finish_at: Callable[[str, int, str], Any]
) -> None:
    client.files_upload(b"1", "/f")
    with pytest.raises(ApiError) as raised:
        client.files_upload(b"22", "/f")
    session_id = raised.value.error.get_path().upload_session_id
    assert finish_at(session_id, 2, "/g").size == 2
    assert client.files_download("/g")[1].content == b"22"


def test_a_property_template_nobody_defined_fails_after_the_file_is_stored(client: Dropbox) -> None:
    from dropbox.file_properties import PropertyGroup

    with pytest.raises(ApiError) as raised:
        client.files_upload(b"1", "/f", property_groups=[PropertyGroup("ptid:1a5n2i6d3OYEAAAAAAAAAYa", [])])
    assert raised.value.error.get_properties_error().is_template_not_found()
    assert client.files_get_metadata("/f").size == 1


def test_a_time_in_the_future_is_refused_where_the_switch_says_so(
    client: Dropbox, sandbox: DropboxSandbox
) -> None:
    sandbox.set_switches(future_client_modified="refuse")
    with pytest.raises(BadInputError):
        client.files_upload(b"1", "/f", client_modified=datetime(2999, 1, 1))
