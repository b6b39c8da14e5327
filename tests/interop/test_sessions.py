"""What the SDK is promised about upload sessions, one by one."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from dropbox import Dropbox
from dropbox.exceptions import ApiError
from dropbox.files import (
    CommitInfo,
    UploadSessionAppendBatchArgEntry,
    UploadSessionCursor,
    UploadSessionType,
    WriteMode,
)

from cloudsandbox.dropbox import DropboxSandbox
from cloudsandbox.dropbox.hashing import content_hash

MIB4 = 4 * 1024 * 1024
UNKNOWN = "pid_upload_session:unknown"


def cursor(session_id: str, offset_bytes: int) -> UploadSessionCursor:
    return UploadSessionCursor(session_id, offset_bytes)


def concurrent(client: Dropbox) -> str:
    started = client.files_upload_session_start(b"", session_type=UploadSessionType.concurrent)
    return str(started.session_id)


def append_error(client: Dropbox, *arguments: Any, **options: Any) -> Any:
    with pytest.raises(ApiError) as raised:
        client.files_upload_session_append_v2(*arguments, **options)
    return raised.value.error


def finish_error(
    client: Dropbox, session_id: str, offset_bytes: int, data: bytes = b"", path: str = "/f"
) -> Any:
    with pytest.raises(ApiError) as raised:
        client.files_upload_session_finish(data, cursor(session_id, offset_bytes), CommitInfo(path))
    return raised.value.error


def test_a_file_can_be_sent_piece_by_piece(client: Dropbox) -> None:
    session_id = client.files_upload_session_start(b"one,").session_id
    client.files_upload_session_append_v2(b"two,", cursor(session_id, 4))
    done = client.files_upload_session_finish(b"three", cursor(session_id, 8), CommitInfo("/f"))
    assert done.content_hash == content_hash(b"one,two,three")
    assert client.files_download("/f")[1].content == b"one,two,three"


def test_a_session_needs_no_close_before_finish(client: Dropbox, finish_at: Callable[..., Any]) -> None:
    session_id = client.files_upload_session_start(b"abc").session_id
    assert finish_at(session_id, 3, "/f").size == 3


def test_a_closed_session_can_be_finished(
    closed_session: Callable[[bytes], str], finish_at: Callable[..., Any]
) -> None:
    assert finish_at(closed_session(b"abc"), 3, "/f").size == 3


def test_a_closed_empty_session_becomes_an_empty_file(
    closed_session: Callable[[bytes], str], finish_at: Callable[..., Any]
) -> None:
    assert finish_at(closed_session(b""), 0, "/empty").size == 0


def test_an_open_session_can_be_closed_without_more_bytes(client: Dropbox) -> None:
    session_id = client.files_upload_session_start(b"abc").session_id
    client.files_upload_session_append_v2(b"", cursor(session_id, 3), close=True)
    assert append_error(client, b"d", cursor(session_id, 3)).is_closed()


def test_a_wrong_offset_is_told_the_right_one(client: Dropbox) -> None:
    session_id = client.files_upload_session_start(b"abc").session_id
    error = append_error(client, b"d", cursor(session_id, 7))
    assert error.get_incorrect_offset().correct_offset == 3


def test_a_resent_append_is_told_that_it_was_stored(client: Dropbox) -> None:
    session_id = client.files_upload_session_start(b"abc").session_id
    client.files_upload_session_append_v2(b"def", cursor(session_id, 3))
    error = append_error(client, b"def", cursor(session_id, 3))
    assert error.get_incorrect_offset().correct_offset == 6


def test_an_unknown_session_is_not_found(client: Dropbox) -> None:
    assert append_error(client, b"d", cursor(UNKNOWN, 0)).is_not_found()


def test_an_expired_session_is_not_found(client: Dropbox, sandbox: DropboxSandbox) -> None:
    session_id = client.files_upload_session_start(b"abc").session_id
    sandbox.expire_sessions(session_id)
    assert append_error(client, b"d", cursor(session_id, 3)).is_not_found()


@pytest.mark.parametrize(
    ("answer", "question"), [("closed", "is_closed"), ("incorrect_offset", "is_incorrect_offset")]
)
def test_a_resent_closing_append_is_refused_as_the_switch_says(
    client: Dropbox, sandbox: DropboxSandbox, answer: str, question: str
) -> None:
    sandbox.set_switches(resent_close=answer)
    session_id = client.files_upload_session_start(b"abc").session_id
    client.files_upload_session_append_v2(b"def", cursor(session_id, 3), close=True)
    assert getattr(append_error(client, b"def", cursor(session_id, 3), close=True), question)()


def test_a_wrong_content_hash_leaves_the_session_as_it_was(
    client: Dropbox, finish_at: Callable[..., Any]
) -> None:
    session_id = client.files_upload_session_start(b"abc").session_id
    error = append_error(client, b"d", cursor(session_id, 3), content_hash=content_hash(b"e"))
    assert error.is_content_hash_mismatch()
    assert finish_at(session_id, 3, "/f").size == 3


def test_a_body_over_the_limit_is_payload_too_large(client: Dropbox, sandbox: DropboxSandbox) -> None:
    sandbox.set_switches(max_body_bytes=100)
    session_id = client.files_upload_session_start(b"abc").session_id
    assert append_error(client, b"x" * 101, cursor(session_id, 3)).is_payload_too_large()
    with pytest.raises(ApiError) as raised:
        client.files_upload_session_start(b"x" * 101)
    assert raised.value.error.is_payload_too_large()


def test_a_session_over_the_file_size_limit_is_too_large(client: Dropbox, sandbox: DropboxSandbox) -> None:
    sandbox.set_switches(max_session_bytes=5)
    session_id = client.files_upload_session_start(b"abc").session_id
    assert append_error(client, b"def", cursor(session_id, 3)).is_too_large()


def test_finish_at_a_wrong_offset_is_told_the_right_one(client: Dropbox) -> None:
    session_id = client.files_upload_session_start(b"abc").session_id
    lookup = finish_error(client, session_id, 0).get_lookup_failed()
    assert lookup.get_incorrect_offset().correct_offset == 3


def test_finish_of_an_unknown_session_is_not_found(client: Dropbox) -> None:
    assert finish_error(client, UNKNOWN, 0).get_lookup_failed().is_not_found()


def test_a_refused_finish_keeps_the_bytes_it_brought(client: Dropbox, finish_at: Callable[..., Any]) -> None:
    client.files_upload(b"taken", "/f")
    session_id = client.files_upload_session_start(b"abc").session_id
    assert finish_error(client, session_id, 3, b"def").get_path().get_conflict().is_file()
    assert finish_at(session_id, 6, "/g").content_hash == content_hash(b"abcdef")


def test_finish_can_overwrite(client: Dropbox, closed_session: Callable[[bytes], str]) -> None:
    client.files_upload(b"old", "/f")
    commit = CommitInfo("/f", mode=WriteMode.overwrite)
    done = client.files_upload_session_finish(b"", cursor(closed_session(b"new!"), 4), commit)
    assert done.size == 4


@pytest.mark.parametrize(("answer", "question"), [("not_found", "is_not_found"), ("closed", "is_closed")])
def test_a_committed_session_is_refused_as_the_switch_says(
    client: Dropbox, sandbox: DropboxSandbox, finish_at: Callable[..., Any], answer: str, question: str
) -> None:
    sandbox.set_switches(session_reuse=answer)
    session_id = client.files_upload_session_start(b"abc").session_id
    finish_at(session_id, 3, "/f")
    assert getattr(finish_error(client, session_id, 3).get_lookup_failed(), question)()


def test_a_committed_session_can_be_finished_again_where_the_switch_says_so(
    client: Dropbox, sandbox: DropboxSandbox, finish_at: Callable[..., Any]
) -> None:
    sandbox.set_switches(session_reuse="success")
    session_id = client.files_upload_session_start(b"abc").session_id
    assert finish_at(session_id, 3, "/f").rev == finish_at(session_id, 3, "/f").rev


def test_concurrent_chunks_arrive_in_any_order(client: Dropbox, connect: Callable[..., Dropbox]) -> None:
    session_id, chunks = concurrent(client), [bytes([n]) * MIB4 for n in range(4)]
    others = [connect() for _ in chunks]

    def send(number: int) -> None:
        others[number].files_upload_session_append_v2(chunks[number], cursor(session_id, number * MIB4))

    threads = [threading.Thread(target=send, args=(number,)) for number in (3, 1, 0, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.files_upload_session_append_v2(b"tail", cursor(session_id, 4 * MIB4), close=True)
    done = client.files_upload_session_finish(b"", cursor(session_id, 4 * MIB4 + 4), CommitInfo("/big"))
    assert done.content_hash == content_hash(b"".join(chunks) + b"tail")


def test_a_concurrent_offset_is_a_multiple_of_four_mib(client: Dropbox) -> None:
    error = append_error(client, b"x" * MIB4, cursor(concurrent(client), 5))
    assert error.is_concurrent_session_invalid_offset()


def test_a_concurrent_chunk_is_a_multiple_of_four_mib(client: Dropbox) -> None:
    error = append_error(client, b"x" * 5, cursor(concurrent(client), 0))
    assert error.is_concurrent_session_invalid_data_size()


def test_a_concurrent_session_starts_without_bytes(client: Dropbox) -> None:
    with pytest.raises(ApiError) as raised:
        client.files_upload_session_start(b"x", session_type=UploadSessionType.concurrent)
    assert raised.value.error.is_concurrent_session_data_not_allowed()


def test_a_concurrent_session_does_not_start_closed(client: Dropbox) -> None:
    with pytest.raises(ApiError) as raised:
        client.files_upload_session_start(b"", close=True, session_type=UploadSessionType.concurrent)
    assert raised.value.error.is_concurrent_session_close_not_allowed()


def test_a_concurrent_session_is_closed_before_finish(client: Dropbox) -> None:
    session_id = concurrent(client)
    client.files_upload_session_append_v2(b"x" * MIB4, cursor(session_id, 0))
    assert finish_error(client, session_id, MIB4).is_concurrent_session_not_closed()


def test_a_hole_in_a_concurrent_session_is_missing_data(
    client: Dropbox, finish_at: Callable[..., Any]
) -> None:
    session_id = concurrent(client)
    client.files_upload_session_append_v2(b"end", cursor(session_id, MIB4), close=True)
    assert finish_error(client, session_id, MIB4 + 3).is_concurrent_session_missing_data()
    client.files_upload_session_append_v2(b"x" * MIB4, cursor(session_id, 0))
    assert finish_at(session_id, MIB4 + 3, "/f").size == MIB4 + 3


def test_a_concurrent_finish_brings_no_bytes(client: Dropbox) -> None:
    session_id = concurrent(client)
    client.files_upload_session_append_v2(b"end", cursor(session_id, 0), close=True)
    assert finish_error(client, session_id, 3, b"x").is_concurrent_session_data_not_allowed()


def test_many_sessions_start_at_once_empty_and_open(client: Dropbox) -> None:
    ids = client.files_upload_session_start_batch(1000).session_ids
    assert len(set(ids)) == 1000
    client.files_upload_session_append_v2(b"abc", cursor(ids[999], 0), close=True)


def test_one_body_fills_many_sessions(client: Dropbox, finish_at: Callable[..., Any]) -> None:
    ids = client.files_upload_session_start_batch(3).session_ids
    pieces = [b"a", b"", b"ccc"]
    entries = [
        UploadSessionAppendBatchArgEntry(cursor(each, 0), len(piece), close=True)
        for each, piece in zip(ids, pieces, strict=True)
    ]
    result = client.files_upload_session_append_batch(b"".join(pieces), entries)
    assert all(entry.is_success() for entry in result.entries)
    assert [
        finish_at(each, len(piece), f"/{n}").size
        for n, (each, piece) in enumerate(zip(ids, pieces, strict=True))
    ] == [1, 0, 3]


def test_the_argument_of_a_thousand_entries_fits_in_the_header(client: Dropbox) -> None:
    ids = client.files_upload_session_start_batch(1000).session_ids
    entries = [{"cursor": {"session_id": each, "offset": 0}, "length": 1, "close": True} for each in ids]
    # The SDK's own check stops at 500 entries; the specification has 1000.
    result = client.request_json_object(
        "content", "files/upload_session/append_batch", "upload", {"entries": entries}, "user", b"x" * 1000
    )
    assert result == {"entries": [{".tag": "success"}] * 1000}


def test_entries_of_an_append_batch_fail_one_by_one(client: Dropbox) -> None:
    good, closed = client.files_upload_session_start_batch(2).session_ids
    client.files_upload_session_append_v2(b"", cursor(closed, 0), close=True)
    wanted = [(good, 0), (closed, 0), (UNKNOWN, 0), (good, 9)]
    entries = [UploadSessionAppendBatchArgEntry(cursor(each, offset), 1) for each, offset in wanted]
    results = client.files_upload_session_append_batch(b"abcd", entries).entries
    assert results[0].is_success()
    assert results[1].get_failure().is_closed()
    assert results[2].get_failure().is_not_found()
    assert results[3].get_failure().get_incorrect_offset().correct_offset == 1


def test_an_append_batch_whose_lengths_do_not_add_up_is_refused_whole(client: Dropbox) -> None:
    (session_id,) = client.files_upload_session_start_batch(1).session_ids
    with pytest.raises(ApiError) as raised:
        client.files_upload_session_append_batch(
            b"abc", [UploadSessionAppendBatchArgEntry(cursor(session_id, 0), 2)]
        )
    assert raised.value.error.is_length_mismatch()
    client.files_upload_session_append_v2(b"x", cursor(session_id, 0))
