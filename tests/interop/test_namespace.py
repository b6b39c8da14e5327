"""What the SDK is promised about folders, moves, copies, deletes and metadata."""

from typing import Any

import pytest
from dropbox import Dropbox
from dropbox.exceptions import ApiError, BadInputError
from dropbox.files import DeletedMetadata, FileMetadata, FolderMetadata, WriteMode

from cloudsandbox.dropbox import DropboxSandbox


def refusal(call: Any, *arguments: Any, **options: Any) -> Any:
    with pytest.raises(ApiError) as raised:
        call(*arguments, **options)
    return raised.value.error


def test_a_folder_is_created_with_its_parents(client: Dropbox, sandbox: DropboxSandbox) -> None:
    folder = client.files_create_folder_v2("/A/b").metadata
    assert (folder.name, folder.path_lower, folder.path_display) == ("b", "/a/b", "/A/b")
    assert list(sandbox.tree()) == ["/A", "/A/b"]


def test_a_folder_that_exists_is_a_conflict(client: Dropbox) -> None:
    client.files_create_folder_v2("/d")
    assert refusal(client.files_create_folder_v2, "/D").get_path().get_conflict().is_folder()


def test_a_folder_where_a_file_is_is_a_conflict(client: Dropbox) -> None:
    client.files_upload(b"1", "/f")
    assert refusal(client.files_create_folder_v2, "/f").get_path().get_conflict().is_file()
    assert refusal(client.files_create_folder_v2, "/f/x").get_path().get_conflict().is_file_ancestor()


def test_autorename_of_a_folder_numbers_it(client: Dropbox) -> None:
    client.files_create_folder_v2("/d")
    assert client.files_create_folder_v2("/d", autorename=True).metadata.name == "d (1)"


def test_metadata_tells_files_from_folders(client: Dropbox) -> None:
    client.files_upload(b"1", "/d/f")
    assert isinstance(client.files_get_metadata("/d/f"), FileMetadata)
    assert isinstance(client.files_get_metadata("/d"), FolderMetadata)


def test_metadata_by_id_and_by_revision(client: Dropbox) -> None:
    first = client.files_upload(b"1", "/f")
    client.files_upload(b"22", "/f", mode=WriteMode.overwrite)
    assert client.files_get_metadata(first.id).size == 2
    assert client.files_get_metadata("rev:" + first.rev).size == 1


def test_metadata_of_a_child_by_the_id_of_its_folder(client: Dropbox) -> None:
    client.files_upload(b"1", "/d/f")
    folder = client.files_get_metadata("/d")
    assert client.files_get_metadata(folder.id + "/f").path_display == "/d/f"


def test_metadata_by_namespace(client: Dropbox) -> None:
    client.files_upload(b"1", "/f")
    assert client.files_get_metadata("ns:3235641/f").name == "f"


def test_metadata_of_nothing_is_not_found(client: Dropbox) -> None:
    for path in ("/none", "id:none", "rev:000000000"):
        assert refusal(client.files_get_metadata, path).get_path().is_not_found()


def test_metadata_of_the_root_is_unsupported(client: Dropbox) -> None:
    with pytest.raises(BadInputError):
        client.request_json_object("api", "files/get_metadata", "rpc", {"path": ""}, "user", None)


def test_metadata_of_a_deleted_file_on_demand(client: Dropbox) -> None:
    client.files_upload(b"1", "/F")
    client.files_delete_v2("/f")
    gone = client.files_get_metadata("/f", include_deleted=True)
    assert isinstance(gone, DeletedMetadata)
    assert gone.path_display == "/F"


def test_delete_gives_what_was_there(client: Dropbox) -> None:
    done = client.files_upload(b"1", "/f")
    assert client.files_delete_v2("/f").metadata.rev == done.rev
    assert refusal(client.files_delete_v2, "/f").get_path_lookup().is_not_found()


def test_delete_of_a_folder_takes_all_below(client: Dropbox, sandbox: DropboxSandbox) -> None:
    for path in ("/d/f", "/d/e/g", "/d.txt"):
        client.files_upload(b"1", path)
    client.files_delete_v2("/d")
    assert list(sandbox.tree()) == ["/d.txt"]


def test_delete_is_conditional_on_the_revision(client: Dropbox) -> None:
    first = client.files_upload(b"1", "/f")
    second = client.files_upload(b"2", "/f", mode=WriteMode.overwrite)
    error = refusal(client.files_delete_v2, "/f", parent_rev=first.rev)
    assert error.get_path_write().get_conflict().is_file()
    client.files_delete_v2("/f", parent_rev=second.rev)


def test_delete_by_id(client: Dropbox, sandbox: DropboxSandbox) -> None:
    client.files_delete_v2(client.files_upload(b"1", "/f").id)
    assert sandbox.tree() == {}


def test_a_move_keeps_the_id_and_changes_the_revision(client: Dropbox) -> None:
    before = client.files_upload(b"1", "/a")
    after = client.files_move_v2("/a", "/new/b").metadata
    assert after.id == before.id
    assert after.rev != before.rev
    assert client.files_download("/new/b")[1].content == b"1"


def test_a_move_may_keep_the_revision(client: Dropbox, sandbox: DropboxSandbox) -> None:
    sandbox.set_switches(move_changes_rev=False)
    before = client.files_upload(b"1", "/a")
    assert client.files_move_v2("/a", "/b").metadata.rev == before.rev
    assert client.files_download("/b")[0].path_display == "/b"


def test_a_folder_moves_with_all_below(client: Dropbox, sandbox: DropboxSandbox) -> None:
    client.files_upload(b"1", "/d/e/F")
    before = client.files_get_metadata("/d").id
    assert client.files_move_v2("/d", "/x/Y").metadata.id == before
    assert list(sandbox.tree()) == ["/x", "/x/Y", "/x/Y/e", "/x/Y/e/F"]


def test_a_move_never_overwrites(client: Dropbox) -> None:
    client.files_upload(b"1", "/a")
    client.files_upload(b"2", "/b")
    client.files_create_folder_v2("/d")
    assert refusal(client.files_move_v2, "/a", "/b").get_to().get_conflict().is_file()
    assert refusal(client.files_move_v2, "/a", "/d").get_to().get_conflict().is_folder()
    assert refusal(client.files_move_v2, "/a", "/b/c").get_to().get_conflict().is_file_ancestor()


def test_a_move_of_nothing_is_not_found(client: Dropbox) -> None:
    assert refusal(client.files_move_v2, "/none", "/b").get_from_lookup().is_not_found()


def test_a_move_to_a_refused_name_is_disallowed(client: Dropbox) -> None:
    client.files_upload(b"1", "/a")
    assert refusal(client.files_move_v2, "/a", "/desktop.ini").get_to().is_disallowed_name()


def test_a_folder_does_not_move_into_itself(client: Dropbox) -> None:
    client.files_create_folder_v2("/d")
    assert refusal(client.files_move_v2, "/d", "/D/e").is_cant_move_folder_into_itself()


def test_a_move_can_take_a_free_name(client: Dropbox) -> None:
    client.files_upload(b"1", "/a")
    client.files_upload(b"2", "/b")
    assert client.files_move_v2("/a", "/b", autorename=True).metadata.name == "b (1)"


@pytest.mark.parametrize(("answer", "name"), [("nothing", "name"), ("rename", "NAME")])
def test_a_move_that_changes_case_only(
    client: Dropbox, sandbox: DropboxSandbox, answer: str, name: str
) -> None:
    sandbox.set_switches(case_only_move=answer)
    client.files_upload(b"1", "/name")
    assert client.files_move_v2("/name", "/NAME").metadata.name == name
    assert client.files_get_metadata("/Name").name == name


def test_a_copy_has_an_id_of_its_own(client: Dropbox) -> None:
    before = client.files_upload(b"1", "/a")
    after = client.files_copy_v2("/a", "/b").metadata
    assert after.id != before.id
    assert after.content_hash == before.content_hash
    client.files_delete_v2("/a")
    assert client.files_download("/b")[1].content == b"1"


def test_a_folder_is_copied_with_all_below(client: Dropbox, sandbox: DropboxSandbox) -> None:
    client.files_upload(b"1", "/d/e/f")
    client.files_copy_v2("/d", "/c")
    assert set(sandbox.files()) == {"/d/e/f", "/c/e/f"}


def test_a_copy_never_overwrites(client: Dropbox) -> None:
    client.files_upload(b"1", "/a")
    assert refusal(client.files_copy_v2, "/a", "/A").get_to().get_conflict().is_file()
