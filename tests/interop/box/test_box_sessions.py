"""Upload sessions, driven by the official SDK."""

import base64
import hashlib
import io
import os
from collections.abc import Callable
from typing import Any

import pytest
from box_sdk_gen import BoxClient
from box_sdk_gen.schemas import UploadPart

from cloudsandbox.box import BoxSandbox

PART = 1000
DATA = os.urandom(2 * PART + 345)


def digest(data: bytes) -> str:
    return "sha=" + base64.b64encode(hashlib.sha1(data).digest()).decode()


@pytest.fixture
def session(client: BoxClient) -> Any:
    return client.chunked_uploads.create_file_upload_session("0", len(DATA), "big")


@pytest.fixture
def put(client: BoxClient, session: Any) -> Callable[..., Any]:
    """Uploads the part of DATA at an offset."""

    def send(offset: int, **headers: Any) -> Any:
        piece = DATA[offset : offset + PART]
        return client.chunked_uploads.upload_file_part_by_url(
            session.session_endpoints.upload_part,
            io.BytesIO(piece),
            headers.get("digest", digest(piece)),
            headers.get("content_range", f"bytes {offset}-{offset + len(piece) - 1}/{len(DATA)}"),
        ).part

    return send


@pytest.fixture
def parts(put: Callable[..., Any]) -> list[UploadPart]:
    """All parts, uploaded out of order."""
    return sorted((put(offset) for offset in (2 * PART, 0, PART)), key=lambda part: int(part.offset))


@pytest.fixture
def commit(client: BoxClient, session: Any) -> Callable[..., Any]:
    def send(parts: list[UploadPart], data: bytes = DATA, **options: Any) -> Any:
        return client.chunked_uploads.create_file_upload_session_commit_by_url(
            session.session_endpoints.commit, parts, digest(data), **options
        )

    return send


def test_a_big_file_goes_up_in_parts_and_is_committed(client: BoxClient, box: BoxSandbox) -> None:
    file = client.chunked_uploads.upload_big_file(io.BytesIO(DATA), "big", len(DATA), "0")
    assert (file.name, file.size, file.sha_1) == ("big", len(DATA), hashlib.sha1(DATA).hexdigest())
    assert box.read("/big") == DATA
    assert box.log.counts == {
        "sessions/create": 1,
        "sessions/part": 3,
        "sessions/parts": 1,
        "sessions/commit": 1,
    }
    assert box.sessions() == []


@pytest.mark.parametrize("size", [10, PART - 1, PART, PART + 1, 3 * PART, 12 * PART + 7])
def test_a_file_of_any_number_of_parts_arrives_whole(client: BoxClient, box: BoxSandbox, size: int) -> None:
    data = os.urandom(size)
    client.chunked_uploads.upload_big_file(io.BytesIO(data), "f", size, "0")
    assert box.read("/f") == data
    assert box.log.counts["sessions/part"] == -(-size // PART)


def test_a_big_new_version_goes_up_in_parts(client: BoxClient, upload: Any, box: BoxSandbox) -> None:
    file = upload("f", b"small")
    newer = client.chunked_uploads.upload_big_file_version(file.id, io.BytesIO(DATA), len(DATA))
    assert (newer.id, newer.etag, newer.size) == (file.id, "1", len(DATA))
    assert box.read("/f") == DATA


def test_a_big_new_version_may_bring_a_new_name(client: BoxClient, upload: Any, box: BoxSandbox) -> None:
    file = upload("f", b"small")
    client.chunked_uploads.upload_big_file_version(file.id, io.BytesIO(DATA), len(DATA), file_name="g")
    assert list(box.tree()) == ["/g"]


def test_a_commit_is_repeated_while_parts_are_processed(client: BoxClient, box: BoxSandbox) -> None:
    box.set_switches(pending_commits=2)
    client.chunked_uploads.upload_big_file(io.BytesIO(DATA), "big", len(DATA), "0")
    assert [record.status for record in box.log.records("sessions/commit")] == [202, 202, 201]
    assert box.tree()["/big"]["versions"] == 1


def test_a_session_says_how_it_is_to_be_used(session: Any, box: BoxSandbox) -> None:
    assert (session.part_size, session.total_parts, session.num_parts_processed) == (PART, 3, 0)
    assert session.session_endpoints.upload_part.startswith(box.base_url + "/upload-las/api/2.0/")
    (opened,) = box.sessions()
    assert (opened["id"], opened["file_size"], opened["parts"]) == (session.id, len(DATA), [])


def test_the_status_counts_the_parts(client: BoxClient, session: Any, put: Any) -> None:
    put(0)
    uploads = client.chunked_uploads
    for status in (
        uploads.get_file_upload_session_by_id(session.id),
        uploads.get_file_upload_session_by_url(session.session_endpoints.status),
    ):
        assert (status.id, status.num_parts_processed) == (session.id, 1)


def test_the_parts_are_listed_in_ascending_order(client: BoxClient, session: Any, parts: Any) -> None:
    listed = client.chunked_uploads.get_file_upload_session_parts_by_url(session.session_endpoints.list_parts)
    assert [(each.offset, each.size) for each in listed.entries] == [(0, PART), (PART, PART), (2 * PART, 345)]
    assert [each.sha_1 for each in listed.entries] == [part.sha_1 for part in parts]
    assert listed.total_count == 3


def test_the_list_of_parts_has_pages(client: BoxClient, session: Any, parts: Any) -> None:
    page = client.chunked_uploads.get_file_upload_session_parts(session.id, offset=1, limit=1)
    assert [each.offset for each in page.entries] == [PART]
    assert (page.total_count, page.offset, page.limit) == (3, 1, 1)


def test_parts_sent_out_of_order_make_the_file(parts: Any, commit: Any, box: BoxSandbox) -> None:
    (file,) = commit(parts).entries
    assert file.sha_1 == hashlib.sha1(DATA).hexdigest()
    assert box.read("/big") == DATA


def test_a_part_is_stored_once(put: Any, refused: Any) -> None:
    put(0)
    answer = refused(put, 0)
    assert (answer.status_code, answer.code) == (409, "range_overlaps_existing_part")


@pytest.mark.parametrize(
    "content_range",
    [
        "bytes 1-1000/2345",  # not at a multiple of the part size
        "bytes 0-499/2345",  # shorter than a part, and not the last
        "bytes 0-1999/2345",  # longer than a part
        "bytes 0-999/9999",  # of another file
        "bytes 2000-2999/2345",  # past the end
    ],
)
def test_a_range_that_is_no_part_is_refused(put: Any, refused: Any, content_range: str) -> None:
    assert refused(put, 0, content_range=content_range).status_code == 416


def test_a_range_that_is_not_understood_is_refused(put: Any, refused: Any) -> None:
    assert refused(put, 0, content_range="0-999").status_code == 400


def test_a_part_that_is_not_what_its_digest_says_is_refused(put: Any, refused: Any, box: BoxSandbox) -> None:
    answer = refused(put, 0, digest=digest(b"other"))
    assert (answer.status_code, answer.code) == (400, "bad_digest")
    assert box.sessions()[0]["parts"] == []
    put(0)


def test_a_part_shorter_than_its_range_is_refused(client: BoxClient, session: Any, refused: Any) -> None:
    piece = DATA[:500]
    answer = refused(
        client.chunked_uploads.upload_file_part_by_url,
        *(session.session_endpoints.upload_part, io.BytesIO(piece), digest(piece)),
        "bytes 0-999/2345",
    )
    assert answer.status_code == 400


def test_a_commit_needs_all_parts(put: Any, commit: Any, refused: Any) -> None:
    some = [put(0), put(2 * PART)]
    answer = refused(commit, some)
    assert (answer.status_code, answer.code) == (400, "parts_mismatch")


def test_a_commit_names_the_parts_in_ascending_order(parts: Any, commit: Any, refused: Any) -> None:
    assert refused(commit, list(reversed(parts))).code == "parts_mismatch"
    commit(parts)


def test_a_commit_of_other_bytes_is_refused(parts: Any, commit: Any, refused: Any, box: BoxSandbox) -> None:
    answer = refused(commit, parts, DATA[:-1])
    assert (answer.status_code, answer.code) == (400, "bad_digest")
    assert box.tree() == {}


def test_a_commit_right_after_the_last_part_may_be_too_early(
    box: BoxSandbox, client: BoxClient, refused: Any
) -> None:
    box.set_switches(early_commits=1)
    send = client.chunked_uploads.upload_big_file
    assert refused(send, io.BytesIO(DATA), "big", len(DATA), "0").code == "parts_mismatch"
    (opened,) = box.sessions()
    listed = client.chunked_uploads.get_file_upload_session_parts(opened["id"]).entries
    client.chunked_uploads.create_file_upload_session_commit(opened["id"], listed, digest(DATA))
    assert box.read("/big") == DATA


@pytest.mark.parametrize(
    ("answer", "status"), [("not_found", 404), ("gone", 410), ("conflict", 409), ("result", 201)]
)
def test_a_second_commit_is_answered_as_the_switch_says(
    box: BoxSandbox, parts: Any, commit: Any, refused: Any, answer: str, status: int
) -> None:
    box.set_switches(recommit=answer)
    commit(parts)
    if status == 201:
        assert commit(parts).entries[0].size == len(DATA)
    else:
        assert refused(commit, parts).status_code == status
    assert box.tree()["/big"]["versions"] == 1


def test_a_commit_of_a_version_is_guarded_by_if_match(
    client: BoxClient, upload: Any, refused: Any, box: BoxSandbox
) -> None:
    file = upload("f", b"one")
    uploads, data = client.chunked_uploads, DATA[:PART]
    opened = uploads.create_file_upload_session_for_existing_file(file.id, PART)
    part = uploads.upload_file_part(opened.id, io.BytesIO(data), digest(data), "bytes 0-999/1000").part
    box.write("/f", b"two")
    send = uploads.create_file_upload_session_commit
    assert refused(send, opened.id, [part], digest(data), if_match=file.etag).status_code == 412
    assert box.read("/f") == b"two"
    send(opened.id, [part], digest(data), if_match="1")
    assert box.read("/f") == data


def test_a_name_taken_meanwhile_is_found_at_the_commit(
    parts: Any, commit: Any, refused: Any, box: BoxSandbox
) -> None:
    box.write("/BIG", b"first")
    assert refused(commit, parts).code == "item_name_in_use"
    box.delete("/BIG")
    commit(parts)
    assert box.read("/big") == DATA


def test_a_taken_name_is_found_when_the_session_begins(client: BoxClient, upload: Any, refused: Any) -> None:
    file = upload("big")
    answer = refused(client.chunked_uploads.create_file_upload_session, "0", 100, "BIG")
    assert (answer.code, answer.context_info["conflicts"]["id"]) == ("item_name_in_use", file.id)


def test_a_small_file_gets_no_session(client: BoxClient, refused: Any, box: BoxSandbox) -> None:
    box.set_switches(min_session_bytes=20_000_000)
    answer = refused(client.chunked_uploads.create_file_upload_session, "0", 19_999_999, "f")
    assert (answer.status_code, answer.code) == (400, "file_size_too_small")


@pytest.mark.parametrize(
    ("switches", "code"),
    [({"quota_bytes": 99}, "storage_limit_exceeded"), ({"max_upload_bytes": 99}, "file_size_limit_exceeded")],
)
def test_a_file_that_does_not_fit_gets_no_session(
    client: BoxClient, refused: Any, box: BoxSandbox, switches: dict[str, Any], code: str
) -> None:
    box.set_switches(**switches)
    answer = refused(client.chunked_uploads.create_file_upload_session, "0", 100, "f")
    assert (answer.status_code, answer.code) == (403, code)


def test_a_session_in_no_folder_is_not_found(client: BoxClient, refused: Any) -> None:
    create = client.chunked_uploads.create_file_upload_session
    assert refused(create, "4711", 100, "f").status_code == 404
    assert refused(create, "x", 100, "f").code == "invalid_folder_id"


def test_an_aborted_session_is_gone(
    client: BoxClient, session: Any, put: Any, refused: Any, box: Any
) -> None:
    put(0)
    client.chunked_uploads.delete_file_upload_session_by_url(session.session_endpoints.abort)
    assert box.sessions() == []
    assert refused(put, PART).status_code == 404
    assert refused(client.chunked_uploads.get_file_upload_session_by_id, session.id).status_code == 404


@pytest.mark.parametrize(("answer", "status"), [("gone", 410), ("not_found", 404), ("invalid", 400)])
def test_an_expired_session_is_answered_as_the_switch_says(
    session: Any, put: Any, refused: Any, box: BoxSandbox, answer: str, status: int
) -> None:
    box.set_switches(expired_session=answer)
    box.expire_sessions(session.id)
    assert refused(put, 0).status_code == status


def test_a_part_lost_on_its_way_is_sent_again(client: BoxClient, box: BoxSandbox) -> None:
    box.set_faults([{"route": "sessions/part", "nth": 2, "action": "drop_before"}])
    client.chunked_uploads.upload_big_file(io.BytesIO(DATA), "big", len(DATA), "0")
    assert box.read("/big") == DATA


def test_a_part_whose_reply_was_lost_is_found_in_the_list(
    client: BoxClient, session: Any, put: Any, refused: Any, box: BoxSandbox
) -> None:
    box.set_faults([{"route": "sessions/part", "nth": 1, "action": "drop_after"}])
    assert refused(put, 0).code == "range_overlaps_existing_part"
    listed = client.chunked_uploads.get_file_upload_session_parts(session.id).entries
    assert [each.sha_1 for each in listed] == [hashlib.sha1(DATA[:PART]).hexdigest()]


def test_a_client_that_builds_the_urls_itself_may_be_refused(
    client: BoxClient, session: Any, put: Any, refused: Any, box: BoxSandbox
) -> None:
    box.set_switches(only_session_urls=True)
    put(0)
    assert refused(client.chunked_uploads.get_file_upload_session_by_id, session.id).status_code == 404
