"""Files, direct uploads and versions, driven by the official SDK."""

import hashlib
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from box_sdk_gen import BoxClient
from box_sdk_gen.managers.file_versions import PromoteFileVersionType
from box_sdk_gen.managers.files import CopyFileParent, UpdateFileByIdParent
from box_sdk_gen.managers.uploads import (
    PreflightFileUploadCheckParent,
    UploadWithPreflightCheckAttributes,
    UploadWithPreflightCheckAttributesParentField,
)

from cloudsandbox.box import BoxSandbox

OLD = datetime(2017, 4, 8, 0, 58, 8, tzinfo=UTC)


def sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


def test_an_uploaded_file_is_there_with_its_digest(upload: Any, box: BoxSandbox) -> None:
    file = upload("a.txt", b"hello")
    assert (file.name, file.size, file.sha_1, file.etag) == ("a.txt", 5, sha1(b"hello"), "0")
    assert file.file_version.sha_1 == file.sha_1
    assert box.read("/a.txt") == b"hello"


@pytest.mark.parametrize("size", [0, 1, 65_536, 1_048_577, 3_000_000])
def test_a_file_of_any_size_arrives_whole(upload: Any, box: BoxSandbox, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert upload("f", data).sha_1 == sha1(data)
    assert box.read("/f") == data


@pytest.mark.parametrize("name", ["ü.txt", "日本語", "a'b\"c", "100%", "#;&=", "x" * 255])
def test_a_name_arrives_as_it_is(upload: Any, box: BoxSandbox, name: str) -> None:
    assert upload(name).name == name
    assert list(box.tree()) == ["/" + name]


def test_an_upload_carries_the_client_s_times(upload: Any, client: BoxClient) -> None:
    file = upload("f", content_modified_at=OLD, content_created_at=OLD)
    assert file.content_modified_at == OLD
    assert file.content_created_at == OLD
    assert file.created_at > OLD


def test_a_digest_that_is_wrong_is_refused(upload: Any, refused: Any, box: BoxSandbox) -> None:
    assert upload("f", b"hello", content_md_5=sha1(b"hello")).size == 5
    answer = refused(upload, "g", b"hello", content_md_5=sha1(b"other"))
    assert (answer.status_code, answer.code) == (400, "bad_digest")
    assert list(box.tree()) == ["/f"]


def test_a_taken_name_tells_what_has_it(upload: Any, refused: Any) -> None:
    file = upload("f.txt", b"1")
    answer = refused(upload, "F.TXT", b"2")
    assert (answer.status_code, answer.code) == (409, "item_name_in_use")
    conflict = answer.context_info["conflicts"]
    assert (conflict["id"], conflict["sha1"], conflict["etag"]) == (file.id, sha1(b"1"), "0")


@pytest.mark.parametrize(("shape", "kind"), [("array", list), ("object", dict)])
def test_conflicts_come_as_the_switch_says(
    box: BoxSandbox, upload: Any, refused: Any, shape: str, kind: type
) -> None:
    box.set_switches(conflict_shape=shape)
    upload("f")
    assert type(refused(upload, "f").context_info["conflicts"]) is kind


def test_an_upload_into_no_folder_is_not_found(upload: Any, refused: Any) -> None:
    assert refused(upload, "f", parent="4711").status_code == 404


def test_the_fields_of_an_upload_s_reply_are_those_asked_for(upload: Any) -> None:
    file = upload("f.tar.gz", fields=["extension", "version_number"])
    assert (file.extension, file.version_number, file.name) == ("gz", "1", None)


def test_a_new_version_keeps_the_id_and_counts_the_etag(
    upload: Any, upload_version: Any, box: BoxSandbox
) -> None:
    file = upload("f.txt", b"1")
    newer = upload_version(file.id, b"22")
    assert (newer.id, newer.etag, newer.sequence_id, newer.size) == (file.id, "1", "1", 2)
    assert newer.file_version.id != file.file_version.id
    assert box.read("/f.txt") == b"22"


def test_a_new_version_is_guarded_by_if_match(
    upload: Any, upload_version: Any, refused: Any, box: BoxSandbox
) -> None:
    file = upload("f.txt", b"1")
    upload_version(file.id, b"2", if_match=file.etag)
    answer = refused(upload_version, file.id, b"3", if_match=file.etag)
    assert (answer.status_code, answer.code) == (412, "precondition_failed")
    assert box.read("/f.txt") == b"2"


def test_a_new_version_may_bring_a_new_name(upload: Any, upload_version: Any) -> None:
    assert upload_version(upload("f.txt").id, b"2", name="g.txt").name == "g.txt"


@pytest.mark.parametrize("status", [200, 201])
def test_a_new_version_is_answered_as_the_switch_says(
    box: BoxSandbox, upload: Any, upload_version: Any, status: int
) -> None:
    box.set_switches(new_version_status=status)
    upload_version(upload("f.txt").id, b"2")
    assert box.log.records("files/upload_version")[0].status == status


def test_the_same_bytes_are_a_new_version_unless_the_switch_says_no(
    box: BoxSandbox, upload: Any, upload_version: Any
) -> None:
    file = upload("f.txt", b"1")
    assert upload_version(file.id, b"1").etag == "1"
    box.set_switches(same_bytes="keep")
    assert upload_version(file.id, b"1").etag == "1"


def test_a_version_of_no_file_is_not_found(upload_version: Any, refused: Any) -> None:
    assert refused(upload_version, "99999", b"x").status_code == 404


def test_old_versions_are_listed_the_newest_first(
    client: BoxClient, upload: Any, upload_version: Any
) -> None:
    file = upload("f.txt", b"1")
    assert client.file_versions.get_file_versions(file.id).entries == []
    for data in (b"22", b"333"):
        upload_version(file.id, data)
    versions = client.file_versions.get_file_versions(file.id)
    assert (versions.total_count, [each.size for each in versions.entries]) == (2, [2, 1])


def test_an_old_version_is_promoted_as_a_new_one(
    client: BoxClient, upload: Any, upload_version: Any, box: BoxSandbox
) -> None:
    file = upload("f.txt", b"old")
    upload_version(file.id, b"new")
    promoted = client.file_versions.promote_file_version(
        file.id, id=file.file_version.id, type=PromoteFileVersionType.FILE_VERSION
    )
    assert promoted.id != file.file_version.id
    assert box.read("/f.txt") == b"old"
    assert box.tree()["/f.txt"]["versions"] == 3


def test_a_preflight_says_where_to_upload(client: BoxClient, box: BoxSandbox) -> None:
    parent = PreflightFileUploadCheckParent(id="0")
    check = client.uploads.preflight_file_upload_check(name="f", size=10, parent=parent)
    assert check.upload_url == box.upload_url + "/files/content"


def test_a_preflight_finds_the_conflict(client: BoxClient, upload: Any, refused: Any) -> None:
    file = upload("f")
    parent = PreflightFileUploadCheckParent(id="0")
    check = client.uploads.preflight_file_upload_check
    answer = refused(check, name="F", size=10, parent=parent)
    assert (answer.code, answer.context_info["conflicts"]["id"]) == ("item_name_in_use", file.id)


def test_a_preflight_finds_that_the_space_is_short(client: BoxClient, refused: Any, box: BoxSandbox) -> None:
    box.set_switches(quota_bytes=5)
    parent = PreflightFileUploadCheckParent(id="0")
    check = client.uploads.preflight_file_upload_check
    assert refused(check, name="F", size=6, parent=parent).code == "storage_limit_exceeded"


def test_an_upload_goes_where_the_preflight_said(client: BoxClient, box: BoxSandbox) -> None:
    attributes = UploadWithPreflightCheckAttributes(
        name="f", size=3, parent=UploadWithPreflightCheckAttributesParentField(id="0")
    )
    client.uploads.upload_with_preflight_check(attributes, io.BytesIO(b"abc"))
    assert box.log.counts == {"files/preflight": 1, "files/upload": 1}
    assert box.read("/f") == b"abc"


def test_a_file_larger_than_the_account_takes_is_refused(upload: Any, refused: Any, box: BoxSandbox) -> None:
    box.set_switches(max_upload_bytes=3)
    answer = refused(upload, "f", b"1234")
    assert (answer.status_code, answer.code) == (403, "file_size_limit_exceeded")


def test_a_full_account_takes_no_more(upload: Any, refused: Any, box: BoxSandbox) -> None:
    box.set_switches(quota_bytes=5)
    upload("f", b"1234")
    answer = refused(upload, "g", b"12")
    assert (answer.status_code, answer.code) == (403, "storage_limit_exceeded")


def test_a_file_too_large_for_one_request_is_refused(upload: Any, refused: Any, box: BoxSandbox) -> None:
    box.set_switches(max_direct_bytes=10)
    assert refused(upload, "f", b"x" * 11).status_code == 413


def test_a_file_is_renamed_and_moved_at_once(
    client: BoxClient, upload: Any, make_folder: Any, box: BoxSandbox
) -> None:
    file, folder = upload("a"), make_folder("d")
    moved = client.files.update_file_by_id(
        file.id, name="b", parent=UpdateFileByIdParent(id=folder.id), if_match=file.etag
    )
    assert (moved.id, moved.name, moved.parent.id) == (file.id, "b", folder.id)
    assert list(box.tree()) == ["/d", "/d/b"]


def test_a_rename_over_a_file_is_refused(client: BoxClient, upload: Any, refused: Any) -> None:
    upload("a")
    b = upload("b")
    answer = refused(client.files.update_file_by_id, b.id, name="A")
    assert (answer.status_code, answer.code) == (409, "item_name_in_use")


def test_a_rename_of_what_changed_meanwhile_is_refused(
    client: BoxClient, upload: Any, upload_version: Any, refused: Any
) -> None:
    file = upload("f.txt")
    upload_version(file.id, b"2")
    answer = refused(client.files.update_file_by_id, file.id, name="g", if_match=file.etag)
    assert answer.status_code == 412


def test_a_description_is_kept(client: BoxClient, upload: Any) -> None:
    file = upload("f")
    client.files.update_file_by_id(file.id, description="about")
    assert client.files.get_file_by_id(file.id).description == "about"


def test_tags_are_kept_and_shown_to_who_asks(client: BoxClient, upload: Any, refused: Any) -> None:
    file = upload("f")
    assert client.files.update_file_by_id(file.id, tags=["scanned", "desk"]).etag == "1"
    assert client.files.update_file_by_id(file.id, tags=["scanned", "desk"]).etag == "1"
    assert client.files.get_file_by_id(file.id, fields=["tags"]).tags == ["scanned", "desk"]
    assert refused(client.files.update_file_by_id, file.id, tags=["x"] * 101).status_code == 400


def test_a_deleted_file_is_trashed(client: BoxClient, upload: Any, refused: Any, box: BoxSandbox) -> None:
    file = upload("f")
    client.files.delete_file_by_id(file.id, if_match=file.etag)
    assert box.tree() == {}
    assert refused(client.files.get_file_by_id, file.id).code == "trashed"
    assert refused(client.files.delete_file_by_id, file.id).status_code == 404


def test_a_delete_of_what_changed_meanwhile_is_refused(
    client: BoxClient, upload: Any, upload_version: Any, refused: Any
) -> None:
    file = upload("f.txt")
    upload_version(file.id, b"2")
    answer = refused(client.files.delete_file_by_id, file.id, if_match=file.etag)
    assert answer.status_code == 412


def test_a_copy_is_a_file_of_its_own(
    client: BoxClient, upload: Any, upload_version: Any, make_folder: Any, box: BoxSandbox
) -> None:
    file, folder = upload("f.txt", b"1"), make_folder("d")
    copy = client.files.copy_file(file.id, CopyFileParent(id=folder.id), name="c")
    upload_version(file.id, b"2")
    assert (copy.name, copy.sha_1) == ("c", sha1(b"1"))
    assert (box.read("/d/c"), box.read("/f.txt")) == (b"1", b"2")


def test_a_copy_may_be_of_an_old_version(
    client: BoxClient, upload: Any, upload_version: Any, box: BoxSandbox
) -> None:
    file = upload("f.txt", b"old")
    upload_version(file.id, b"new")
    client.files.copy_file(file.id, CopyFileParent(id="0"), name="c", version=file.file_version.id)
    assert box.read("/c") == b"old"


def test_a_copy_onto_a_taken_name_is_refused(client: BoxClient, upload: Any, refused: Any) -> None:
    file = upload("f")
    answer = refused(client.files.copy_file, file.id, CopyFileParent(id="0"))
    assert answer.code == "item_name_in_use"


def test_only_the_fields_asked_for_come(client: BoxClient, upload: Any) -> None:
    file = client.files.get_file_by_id(upload("f", b"12").id, fields=["size", "lock"])
    assert (file.size, file.lock, file.name, file.etag) == (2, None, None, "0")


def test_a_folder_is_no_file(client: BoxClient, make_folder: Any, refused: Any) -> None:
    answer = refused(client.files.get_file_by_id, make_folder("d").id)
    assert (answer.status_code, answer.code) == (404, "not_found")
