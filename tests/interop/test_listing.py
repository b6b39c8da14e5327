"""What the SDK is promised about listings, cursors and longpoll."""

import threading
from collections.abc import Callable

import pytest
from dropbox import Dropbox
from dropbox.exceptions import ApiError, BadInputError
from dropbox.files import DeletedMetadata, FileMetadata, FolderMetadata

from cloudsandbox.dropbox import DropboxSandbox
from tests.waiting import until


def everything(client: Dropbox, path: str = "", **options: object) -> list[str]:
    page = client.files_list_folder(path, **options)
    names = [entry.path_display for entry in page.entries]
    while page.has_more:
        page = client.files_list_folder_continue(page.cursor)
        names += [entry.path_display for entry in page.entries]
    return names


def test_a_folder_lists_its_own_entries_only(client: Dropbox) -> None:
    client.files_upload(b"1", "/a/f")
    client.files_upload(b"1", "/a/sub/g")
    entries = {entry.name: entry for entry in client.files_list_folder("/a").entries}
    assert isinstance(entries["f"], FileMetadata)
    assert isinstance(entries["sub"], FolderMetadata)
    assert set(entries) == {"f", "sub"}


def test_a_recursive_listing_names_parents_before_children(client: Dropbox) -> None:
    for path in ("/a/b/c", "/a b/c", "/a.txt"):
        client.files_upload(b"1", path)
    names = everything(client, recursive=True)
    assert set(names) == {"/a", "/a/b", "/a/b/c", "/a b", "/a b/c", "/a.txt"}
    assert names.index("/a") < names.index("/a/b") < names.index("/a/b/c")


def test_a_recursive_listing_names_the_folder_itself(client: Dropbox) -> None:
    client.files_upload(b"1", "/a/f")
    assert everything(client, "/A", recursive=True) == ["/a", "/a/f"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_cover_everything_once(client: Dropbox, limit: int) -> None:
    for number in range(6):
        client.files_upload(b"1", f"/{number}")
    names = everything(client, limit=limit)
    assert names == [f"/{number}" for number in range(6)]


def test_what_changes_between_pages_is_told_later(client: Dropbox) -> None:
    for number in range(4):
        client.files_upload(b"1", f"/{number}")
    page = client.files_list_folder("", limit=2)
    client.files_delete_v2("/0")
    seen = []
    while page.has_more:
        page = client.files_list_folder_continue(page.cursor)
        seen += page.entries
    seen += client.files_list_folder_continue(page.cursor).entries
    assert any(isinstance(entry, DeletedMetadata) and entry.path_lower == "/0" for entry in seen)


def test_continue_tells_writes_and_deletes_since(client: Dropbox) -> None:
    client.files_upload(b"1", "/old")
    cursor = client.files_list_folder("", recursive=True).cursor
    client.files_upload(b"1", "/d/new")
    client.files_delete_v2("/old")
    page = client.files_list_folder_continue(cursor)
    told = [(type(entry), entry.path_display) for entry in page.entries]
    assert told == [(FolderMetadata, "/d"), (FileMetadata, "/d/new"), (DeletedMetadata, "/old")]
    assert client.files_list_folder_continue(page.cursor).entries == []


def test_a_move_is_told_as_deleted_and_added_with_the_same_id(client: Dropbox) -> None:
    before = client.files_upload(b"1", "/a")
    cursor = client.files_list_folder("").cursor
    client.files_move_v2("/a", "/b")
    told = {entry.path_display: entry for entry in client.files_list_folder_continue(cursor).entries}
    assert isinstance(told["/a"], DeletedMetadata)
    assert told["/b"].id == before.id


def test_a_folder_made_anew_does_not_keep_old_children(client: Dropbox) -> None:
    client.files_upload(b"1", "/d/old")
    cursor = client.files_list_folder("", recursive=True).cursor
    client.files_delete_v2("/d")
    client.files_upload(b"1", "/d/new")
    told = {entry.path_display: type(entry) for entry in client.files_list_folder_continue(cursor).entries}
    assert told == {"/d": FolderMetadata, "/d/old": DeletedMetadata, "/d/new": FileMetadata}


def test_a_cursor_of_one_folder_hears_of_that_folder_only(client: Dropbox) -> None:
    client.files_upload(b"1", "/a/f")
    cursor = client.files_list_folder("/a").cursor
    client.files_upload(b"1", "/b/g")
    client.files_upload(b"1", "/a/sub/deep")
    assert [entry.name for entry in client.files_list_folder_continue(cursor).entries] == ["sub"]


def test_the_latest_cursor_skips_what_is_there(client: Dropbox) -> None:
    client.files_upload(b"1", "/old")
    cursor = client.files_list_folder_get_latest_cursor("").cursor
    client.files_upload(b"1", "/new")
    assert [entry.name for entry in client.files_list_folder_continue(cursor).entries] == ["new"]


def test_deleted_entries_are_listed_on_demand(client: Dropbox) -> None:
    client.files_upload(b"1", "/f")
    client.files_delete_v2("/f")
    assert everything(client) == []
    (entry,) = client.files_list_folder("", include_deleted=True).entries
    assert isinstance(entry, DeletedMetadata)


def test_a_deleted_folder_is_not_found_or_listed_as_the_sandbox_is_told(
    sandbox: DropboxSandbox, client: Dropbox
) -> None:
    client.files_upload(b"1", "/d/sub/f")
    client.files_delete_v2("/d")
    with pytest.raises(ApiError) as raised:
        client.files_list_folder("/d", recursive=True, include_deleted=True)
    assert raised.value.error.get_path().is_not_found()
    above = client.files_list_folder("", recursive=True, include_deleted=True).entries
    sandbox.set_switches(lists_gone_folders=True)
    gone = client.files_list_folder("/d", recursive=True, include_deleted=True).entries
    for entries in (above, gone):
        assert [entry.path_lower for entry in entries] == ["/d", "/d/sub", "/d/sub/f"]
        assert all(isinstance(entry, DeletedMetadata) for entry in entries)
    with pytest.raises(ApiError):
        client.files_list_folder("/d", recursive=True)


def test_a_folder_can_be_listed_by_its_id(client: Dropbox) -> None:
    folder = client.files_create_folder_v2("/d").metadata
    client.files_upload(b"1", "/d/f")
    assert everything(client, folder.id) == ["/d/f"]


def test_a_missing_folder_is_not_found(client: Dropbox) -> None:
    with pytest.raises(ApiError) as raised:
        client.files_list_folder("/none")
    assert raised.value.error.get_path().is_not_found()


def test_listing_a_file_is_not_folder(client: Dropbox) -> None:
    client.files_upload(b"1", "/f")
    with pytest.raises(ApiError) as raised:
        client.files_list_folder("/f")
    assert raised.value.error.get_path().is_not_folder()


def test_the_cursor_of_a_folder_that_is_gone_is_not_found(client: Dropbox) -> None:
    client.files_create_folder_v2("/d")
    cursor = client.files_list_folder("/d").cursor
    client.files_delete_v2("/d")
    with pytest.raises(ApiError) as raised:
        client.files_list_folder_continue(cursor)
    assert raised.value.error.get_path().is_not_found()


def test_a_cursor_of_elsewhere_is_reset(client: Dropbox) -> None:
    for cursor in ("nonsense", "AAAA" * 20):
        with pytest.raises(ApiError) as raised:
            client.files_list_folder_continue(cursor)
        assert raised.value.error.is_reset()


def test_a_void_cursor_is_reset_for_continue_and_longpoll(client: Dropbox, sandbox: DropboxSandbox) -> None:
    cursor = client.files_list_folder("").cursor
    sandbox.reset_cursors()
    with pytest.raises(ApiError) as raised:
        client.files_list_folder_continue(cursor)
    assert raised.value.error.is_reset()
    with pytest.raises(ApiError) as raised:
        client.files_list_folder_longpoll(cursor)
    assert raised.value.error.is_reset()


def test_the_root_is_the_empty_string(client: Dropbox) -> None:
    with pytest.raises(BadInputError) as raised:
        client.files_list_folder("/")
    assert "Specify the root folder as an empty string" in raised.value.message


def test_longpoll_wakes_at_a_change(
    client: Dropbox, connect: Callable[..., Dropbox], sandbox: DropboxSandbox
) -> None:
    cursor = client.files_list_folder("", recursive=True).cursor
    woken: list[bool] = []
    other = connect()
    waiting = threading.Thread(target=lambda: woken.append(other.files_list_folder_longpoll(cursor).changes))
    waiting.start()
    until(lambda: sandbox.log.requests.now["files/list_folder/longpoll"], "the long poll is there")
    client.files_upload(b"1", "/f")
    waiting.join(10)
    assert woken == [True]


def test_longpoll_answers_at_once_when_there_is_news(client: Dropbox) -> None:
    cursor = client.files_list_folder("").cursor
    client.files_upload(b"1", "/f")
    assert client.files_list_folder_longpoll(cursor).changes


def test_longpoll_ends_without_changes_and_may_ask_to_back_off(
    client: Dropbox, sandbox: DropboxSandbox
) -> None:
    sandbox.set_switches(longpoll_time_scale=0.001, longpoll_backoff_s=60)
    cursor = client.files_list_folder("").cursor
    result = client.files_list_folder_longpoll(cursor, timeout=30)
    assert (result.changes, result.backoff) == (False, 60)


def test_longpoll_needs_no_token(
    connect: Callable[..., Dropbox], client: Dropbox, sandbox: DropboxSandbox
) -> None:
    cursor = client.files_list_folder("").cursor
    client.files_upload(b"1", "/f")
    assert connect("wrong").files_list_folder_longpoll(cursor).changes
