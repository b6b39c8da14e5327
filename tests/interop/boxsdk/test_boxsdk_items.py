"""Accounts, folders, files and events as the first generation of the SDK asks for them."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from boxsdk import Client
from boxsdk.exception import BoxOAuthException
from boxsdk.object.folder import Folder

from cloudsandbox.box import BoxSandbox


def put(folder: Folder, name: str, data: bytes = b"data") -> Any:
    return folder.upload_stream(io.BytesIO(data), name)


def test_the_user_has_used_what_was_uploaded(client: Client, root: Folder) -> None:
    put(root, "f", b"12345")
    user = client.user().get()
    assert (user.space_used, user.login) == (5, "sandbox@example.com")


def test_a_token_that_is_not_good_any_more_is_refreshed_once(
    connect: Callable[..., Client], box: BoxSandbox
) -> None:
    client = connect(access_token="expired")
    assert client.user().get().id == client.user().get().id
    assert box.log.counts == {"users/me": 3, "oauth2/token": 1}


def test_a_refresh_token_that_is_not_known_is_refused(connect: Callable[..., Client]) -> None:
    with pytest.raises(BoxOAuthException):
        connect(access_token="expired", refresh_token="forged").user().get()


def test_a_folder_is_made_renamed_moved_and_copied(root: Folder, box: BoxSandbox) -> None:
    folder = root.create_subfolder("d")
    put(folder, "f")
    target = root.create_subfolder("to")
    assert folder.rename("renamed").name == "renamed"
    assert folder.move(target).parent.id == target.id
    folder.copy(parent_folder=root, name="copy")
    assert set(box.files()) == {"/to/renamed/f", "/copy/f"}


def test_a_taken_name_tells_what_has_it(root: Folder, refused: Any) -> None:
    folder = root.create_subfolder("Same")
    status, code, context = refused(root.create_subfolder, "sAME")
    assert (status, code) == (409, "item_name_in_use")
    assert [each["id"] for each in context["conflicts"]] == [folder.id]


@pytest.mark.parametrize("paging", [{}, {"use_marker": True}])
def test_a_folder_is_listed_page_by_page(root: Folder, paging: Any, box: BoxSandbox) -> None:
    for number in range(5):
        put(root, f"{number}", bytes(number))
    listed = root.get_items(limit=2, fields=["name", "size"], **paging)
    assert [(each.name, each.size) for each in listed] == [(f"{number}", number) for number in range(5)]
    assert box.log.counts["folders/items"] == 3


def test_a_folder_is_removed_once_it_is_empty_or_with_all_in_it(
    root: Folder, refused: Any, box: BoxSandbox
) -> None:
    folder = root.create_subfolder("d")
    put(folder, "f")
    assert refused(folder.delete, recursive=False)[1] == "folder_not_empty"
    assert folder.delete(recursive=True)
    assert box.tree() == {}


def test_a_file_is_read_whole_and_in_part(root: Folder) -> None:
    file = put(root, "f", b"0123456789")
    assert file.content() == b"0123456789"
    assert file.content(byte_range=(3, 5)) == b"345"
    taken = io.BytesIO()
    file.download_to(taken)
    assert taken.getvalue() == b"0123456789"


def test_a_file_that_is_not_ready_is_asked_for_again(root: Folder, box: BoxSandbox) -> None:
    box.set_switches(unready_downloads=1)
    assert put(root, "f").content() == b"data"
    assert box.log.counts["files/content"] == 2


def test_a_file_is_renamed_moved_copied_and_described(root: Folder, box: BoxSandbox) -> None:
    file = put(root, "f")
    folder = root.create_subfolder("d")
    assert file.rename("g").name == "g"
    assert file.move(folder, "h").parent.id == folder.id
    assert file.copy(parent_folder=root, name="copy").id != file.id
    assert file.update_info(data={"description": "told"}).description == "told"
    assert set(box.files()) == {"/d/h", "/copy"}


def test_a_change_of_an_older_state_is_refused(root: Folder, refused: Any) -> None:
    file = put(root, "f")
    assert refused(file.update_info, data={"name": "g"}, etag="77")[:2] == (412, "precondition_failed")


def test_a_file_in_the_trash_is_not_found(root: Folder, refused: Any) -> None:
    file = put(root, "f")
    assert file.delete()
    assert refused(file.get)[:2] == (404, "trashed")


def test_old_versions_are_listed_and_come_back(root: Folder, box: BoxSandbox) -> None:
    file = put(root, "f", b"old")
    file.update_contents_with_stream(io.BytesIO(b"new"))
    (old,) = file.get_previous_versions()
    file.promote_version(old)
    assert (box.read("/f"), file.content(file_version=old)) == (b"old", b"old")


def test_what_happened_is_told(client: Client, root: Folder) -> None:
    position = client.events().get_latest_stream_position()
    file = put(root, "f")
    told = client.events().get_events(stream_position=position)
    assert [(each.event_type, each.source.id) for each in told["entries"]] == [("ITEM_UPLOAD", file.id)]


def test_what_happens_ends_the_wait_for_it(client: Client, box: BoxSandbox) -> None:
    events = client.events().generate_events_with_long_polling(stream_position=0)
    box.write("/f", b"data")
    assert next(events).event_type == "ITEM_UPLOAD"
    events.close()


def test_the_trash_is_listed_and_gives_back_or_forgets(client: Client, root: Folder, box: BoxSandbox) -> None:
    files = [put(root, name) for name in ("a", "b")]
    for file in files:
        file.delete()
    trash = client.trash()
    assert sorted(item.name for item in trash.get_items()) == ["a", "b"]
    assert trash.get_item(files[0]).item_status == "trashed"
    assert trash.restore_item(files[0], name="back").item_status == "active"
    assert trash.permanently_delete_item(files[1])
    assert (list(trash.get_items()), set(box.files())) == ([], {"/back"})
