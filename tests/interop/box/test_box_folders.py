"""Folders and listings, driven by the official SDK."""

from typing import Any

import pytest
from box_sdk_gen import BoxClient
from box_sdk_gen.managers.folders import (
    CopyFolderParent,
    CreateFolderParent,
    GetFolderItemsDirection,
    GetFolderItemsSort,
    UpdateFolderByIdParent,
)

from cloudsandbox.box import BoxSandbox


def test_a_new_folder_has_an_id_a_name_and_a_parent(make_folder: Any) -> None:
    folder = make_folder("Reports")
    assert folder.id.isdigit()
    assert (folder.name, folder.parent.id, folder.etag, folder.sequence_id) == ("Reports", "0", "0", "0")
    assert folder.item_status == "active"


def test_the_root_is_folder_zero(client: BoxClient) -> None:
    root = client.folders.get_folder_by_id("0")
    assert (root.id, root.name, root.parent) == ("0", "All Files", None)


def test_the_path_of_a_folder_begins_at_the_root(client: BoxClient, make_folder: Any) -> None:
    inner = make_folder("b", make_folder("a").id)
    path = client.folders.get_folder_by_id(inner.id).path_collection
    assert [each.name for each in path.entries] == ["All Files", "a"]
    assert path.total_count == 2


def test_a_taken_folder_name_tells_the_id_of_the_folder(make_folder: Any, refused: Any) -> None:
    first = make_folder("Same")
    answer = refused(make_folder, "sAME")
    assert (answer.status_code, answer.code) == (409, "item_name_in_use")
    assert [each["id"] for each in answer.context_info["conflicts"]] == [first.id]


def test_a_folder_may_not_take_the_name_of_a_file(upload: Any, make_folder: Any, refused: Any) -> None:
    file = upload("x")
    answer = refused(make_folder, "X")
    assert answer.code == "item_name_in_use"
    assert [each["id"] for each in answer.context_info["conflicts"]] == [file.id]


@pytest.mark.parametrize("name", ["a/b", "a\\b", ".", "..", "x ", "a\nb", "a\x7fb"])
def test_a_name_the_service_refuses_is_invalid(make_folder: Any, refused: Any, name: str) -> None:
    answer = refused(make_folder, name)
    assert (answer.status_code, answer.code) == (400, "item_name_invalid")


def test_a_name_has_at_most_255_characters(make_folder: Any, refused: Any) -> None:
    assert make_folder("é" * 255).name == "é" * 255
    assert refused(make_folder, "é" * 256).code == "item_name_too_long"


def test_a_folder_in_no_folder_is_not_found(make_folder: Any, refused: Any) -> None:
    assert refused(make_folder, "x", "12345").status_code == 404


def test_a_folder_is_renamed_and_keeps_its_id(client: BoxClient, make_folder: Any) -> None:
    folder = make_folder("old")
    renamed = client.folders.update_folder_by_id(folder.id, name="new")
    assert (renamed.id, renamed.name, renamed.etag) == (folder.id, "new", "1")


def test_a_folder_may_change_the_case_of_its_own_name(client: BoxClient, make_folder: Any) -> None:
    folder = make_folder("case")
    assert client.folders.update_folder_by_id(folder.id, name="CASE").name == "CASE"


def test_a_folder_moves_with_all_that_is_in_it(
    client: BoxClient, make_folder: Any, upload: Any, box: BoxSandbox
) -> None:
    source, target = make_folder("s"), make_folder("t")
    upload("f", parent=source.id)
    moved = client.folders.update_folder_by_id(source.id, parent=UpdateFolderByIdParent(id=target.id))
    assert moved.parent.id == target.id
    assert list(box.tree()) == ["/t", "/t/s", "/t/s/f"]


def test_a_folder_does_not_move_into_itself(client: BoxClient, make_folder: Any, refused: Any) -> None:
    outer = make_folder("o")
    inner = make_folder("i", outer.id)
    answer = refused(client.folders.update_folder_by_id, outer.id, parent=UpdateFolderByIdParent(id=inner.id))
    assert (answer.status_code, answer.code) == (400, "cyclical_folder_structure")


def test_a_rename_over_a_taken_name_is_refused(client: BoxClient, make_folder: Any, refused: Any) -> None:
    make_folder("a")
    b = make_folder("b")
    assert refused(client.folders.update_folder_by_id, b.id, name="A").code == "item_name_in_use"


def test_a_rename_is_guarded_by_if_match_and_a_move_is_not(
    client: BoxClient, make_folder: Any, refused: Any
) -> None:
    folder, target = make_folder("f"), make_folder("t")
    update = client.folders.update_folder_by_id
    assert refused(update, folder.id, name="g", if_match="7").status_code == 412
    assert update(folder.id, parent=UpdateFolderByIdParent(id=target.id), if_match="7").parent.id == target.id


def test_a_full_folder_is_deleted_only_with_recursive(
    client: BoxClient, make_folder: Any, upload: Any, refused: Any, box: BoxSandbox
) -> None:
    folder = make_folder("full")
    upload("f", parent=folder.id)
    answer = refused(client.folders.delete_folder_by_id, folder.id)
    assert (answer.status_code, answer.code) == (400, "folder_not_empty")
    client.folders.delete_folder_by_id(folder.id, recursive=True)
    assert box.tree() == {}


def test_an_empty_folder_is_deleted_as_it_is(client: BoxClient, make_folder: Any, box: BoxSandbox) -> None:
    client.folders.delete_folder_by_id(make_folder("e").id)
    assert box.tree() == {}


def test_what_is_deleted_is_trashed_with_all_below_it(
    client: BoxClient, make_folder: Any, upload: Any, refused: Any
) -> None:
    folder = make_folder("gone")
    file = upload("f", parent=folder.id)
    client.folders.delete_folder_by_id(folder.id, recursive=True)
    for call, item in ((client.folders.get_folder_by_id, folder), (client.files.get_file_by_id, file)):
        answer = refused(call, item.id)
        assert (answer.status_code, answer.code) == (404, "trashed")


def test_the_name_of_what_is_trashed_is_free(client: BoxClient, make_folder: Any) -> None:
    first = make_folder("n")
    client.folders.delete_folder_by_id(first.id)
    assert make_folder("n").id != first.id


def test_a_delete_is_guarded_by_if_match(client: BoxClient, make_folder: Any, refused: Any) -> None:
    folder = make_folder("f")
    assert refused(client.folders.delete_folder_by_id, folder.id, if_match="9").status_code == 412
    client.folders.delete_folder_by_id(folder.id, if_match=folder.etag)


def test_a_copied_folder_has_copies_of_all(
    client: BoxClient, make_folder: Any, upload: Any, box: BoxSandbox
) -> None:
    folder = make_folder("a")
    upload("f", b"one", make_folder("b", folder.id).id)
    copy = client.folders.copy_folder(folder.id, CopyFolderParent(id="0"), name="c")
    assert copy.id != folder.id
    assert box.read("/c/b/f") == b"one"


@pytest.fixture
def seven(make_folder: Any, upload: Any) -> str:
    """A folder with two folders and five files."""
    folder: str = make_folder("seven").id
    for name in ("z", "y"):
        make_folder(name, folder)
    for number, name in enumerate(("e", "D", "c", "B", "a")):
        upload(name, b"x" * number, folder)
    return folder


def test_a_listing_has_folders_first_and_ignores_case(client: BoxClient, seven: str) -> None:
    items = client.folders.get_folder_items(seven)
    assert [each.name for each in items.entries] == ["y", "z", "a", "B", "c", "D", "e"]
    assert (items.total_count, items.offset, items.limit) == (7, 0, 100)


def test_a_listing_without_fields_is_of_minis(client: BoxClient, seven: str) -> None:
    last = client.folders.get_folder_items(seven).entries[-1]
    assert (last.type, last.name, len(last.sha_1)) == ("file", "e", 40)
    assert last.size is None


def test_a_listing_shows_the_fields_asked_for(client: BoxClient, seven: str) -> None:
    fields = ["name", "size", "sha1", "content_modified_at", "parent"]
    last = client.folders.get_folder_items(seven, fields=fields).entries[2]
    assert (last.name, last.size, last.parent.id) == ("a", 4, seven)
    assert last.etag == "0"
    assert last.sequence_id is None


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
def test_markers_lead_through_all_pages(client: BoxClient, seven: str, limit: int) -> None:
    names: list[str] = []
    marker: str | None = None
    while True:
        page = client.folders.get_folder_items(seven, usemarker=True, marker=marker, limit=limit)
        names += [each.name for each in page.entries]
        marker = page.next_marker
        if not marker:
            break
    assert names == ["y", "z", "a", "B", "c", "D", "e"]


def test_a_marker_survives_a_delete_in_between(client: BoxClient, seven: str, box: BoxSandbox) -> None:
    page = client.folders.get_folder_items(seven, usemarker=True, limit=4)
    box.delete("/seven/B")
    rest = client.folders.get_folder_items(seven, usemarker=True, marker=page.next_marker, limit=4)
    assert [each.name for each in rest.entries] == ["c", "D", "e"]


@pytest.mark.parametrize("offset", [0, 3, 6, 7, 50])
def test_offsets_lead_anywhere(client: BoxClient, seven: str, offset: int) -> None:
    page = client.folders.get_folder_items(seven, offset=offset, limit=2)
    expected = ["y", "z", "a", "B", "c", "D", "e"][offset : offset + 2]
    assert [each.name for each in page.entries] == expected
    assert page.total_count == 7


def test_a_listing_is_sorted_as_asked(client: BoxClient, seven: str) -> None:
    page = client.folders.get_folder_items(
        seven, sort=GetFolderItemsSort.SIZE, direction=GetFolderItemsDirection.DESC
    )
    assert [each.name for each in page.entries][2:] == ["a", "B", "c", "D", "e"]
    page = client.folders.get_folder_items(seven, sort=GetFolderItemsSort.ID)
    assert [each.name for each in page.entries] == ["z", "y", "e", "D", "c", "B", "a"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"limit": 1001}, "invalid_limit"),
        ({"limit": -1}, "invalid_limit"),
        ({"offset": 10_000}, "invalid_offset"),
        ({"fields": ["nonsense"]}, "bad_request"),
        ({"usemarker": True, "marker": "!"}, "bad_request"),
        ({"usemarker": True, "offset": 1}, "bad_request"),
    ],
)
def test_a_senseless_page_is_refused(
    client: BoxClient, refused: Any, options: dict[str, Any], code: str
) -> None:
    answer = refused(client.folders.get_folder_items, "0", **options)
    assert (answer.status_code, answer.code) == (400, code)


def test_an_id_of_no_known_form_is_not_allowed(client: BoxClient, refused: Any) -> None:
    assert refused(client.folders.get_folder_by_id, "abc").status_code == 405


def test_nobody_deletes_the_root(client: BoxClient, refused: Any) -> None:
    answer = refused(client.folders.delete_folder_by_id, "0", recursive=True)
    assert (answer.status_code, answer.code) == (403, "access_denied_insufficient_permissions")


def test_the_size_of_a_folder_is_that_of_all_below(client: BoxClient, make_folder: Any, upload: Any) -> None:
    outer = make_folder("o")
    upload("a", b"123", outer.id)
    upload("b", b"4567", make_folder("i", outer.id).id)
    assert client.folders.get_folder_by_id(outer.id).size == 7


def test_a_folder_made_by_another_client_is_there(client: BoxClient, box: BoxSandbox) -> None:
    box.create_folder("/deep/down")
    (deep,) = client.folders.get_folder_items("0").entries
    assert deep.name == "deep"
    assert client.folders.create_folder("more", CreateFolderParent(id=deep.id)).parent.name == "deep"
