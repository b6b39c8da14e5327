"""Bytes that the first generation of the SDK uploads: in one form, and in parts."""

import io
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
from boxsdk.object.folder import Folder

from cloudsandbox.box import BoxSandbox

DATA = bytes(range(256)) * 10  # three parts


def test_a_file_is_uploaded_from_the_disk(root: Folder, box: BoxSandbox, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"data")
    when = "2020-01-01T00:00:00Z"
    file = root.upload(str(tmp_path / "f"), "g", content_modified_at=when, sha1=sha1(b"data").hexdigest())
    assert (file.name, file.size) == ("g", 4)
    assert (box.read("/g"), box.tree()["/g"]["content_modified_s"]) == (b"data", 1_577_836_800)


@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_form_may_come_as_a_stream_or_whole(root: Folder, box: BoxSandbox, is_streamed: bool) -> None:
    root.upload_stream(io.BytesIO(DATA), "f", stream_file_content=is_streamed)
    assert box.read("/f") == DATA


def test_a_hash_that_is_not_that_of_the_bytes_is_refused(root: Folder, refused: Any) -> None:
    wrong = sha1(b"other").hexdigest()
    assert refused(root.upload_stream, io.BytesIO(b"data"), "f", sha1=wrong)[:2] == (400, "bad_digest")


def test_a_name_is_asked_for_before_the_bytes_are_sent(root: Folder, refused: Any, box: BoxSandbox) -> None:
    root.upload_stream(io.BytesIO(b"data"), "f", preflight_check=True, preflight_expected_size=4)
    status, code, context = refused(root.upload_stream, io.BytesIO(b"x"), "F", preflight_check=True)
    assert (status, code, context["conflicts"]["name"]) == (409, "item_name_in_use", "f")
    assert box.log.counts["files/upload"] == 1


def test_a_new_version_needs_the_state_it_was_made_from(root: Folder, refused: Any, box: BoxSandbox) -> None:
    file = root.upload_stream(io.BytesIO(b"old"), "f")
    file.update_contents_with_stream(io.BytesIO(b"new"), etag=file.get().etag)
    assert refused(file.update_contents_with_stream, io.BytesIO(b"x"), etag="77")[0] == 412
    assert box.read("/f") == b"new"


@pytest.mark.parametrize("pending", [0, 2])
def test_a_large_file_goes_up_in_parts(root: Folder, box: BoxSandbox, pending: int) -> None:
    box.set_switches(pending_commits=pending)
    session = root.create_upload_session(len(DATA), "big")
    file = session.get_chunked_uploader_for_stream(io.BytesIO(DATA), len(DATA)).start()
    while file is None:  # the service was still busy with the parts
        file = session.commit(sha1(DATA).digest())
    assert (file.size, box.read("/big")) == (len(DATA), DATA)
    assert box.log.counts["sessions/part"] == 3


def test_a_large_new_version_goes_up_in_parts(root: Folder, box: BoxSandbox) -> None:
    file = root.upload_stream(io.BytesIO(b"old"), "f")
    session = file.create_upload_session(len(DATA))
    session.get_chunked_uploader_for_stream(io.BytesIO(DATA), len(DATA)).start()
    assert (box.read("/f"), box.tree()["/f"]["versions"]) == (DATA, 2)


def test_an_interrupted_upload_is_resumed(root: Folder, box: BoxSandbox) -> None:
    session = root.create_upload_session(len(DATA), "big")
    uploader = session.get_chunked_uploader_for_stream(io.BytesIO(DATA), len(DATA))
    box.set_faults([{"route": "sessions/part", "status": 403, "after": 1, "count": 1}])
    with pytest.raises(Exception, match="403"):
        uploader.start()
    assert uploader.resume().size == len(DATA)
    assert box.read("/big") == DATA


def test_parts_are_listed_and_a_session_is_ended(root: Folder, box: BoxSandbox) -> None:
    session = root.create_upload_session(2000, "big")
    part = session.upload_part_bytes(DATA[:1000], 0, 2000)
    assert [each["part_id"] for each in session.get_parts()] == [part["part_id"]]
    assert session.abort()
    assert box.sessions() == []
