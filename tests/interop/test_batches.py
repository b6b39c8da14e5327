"""What the SDK is promised about batches and their jobs."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from dropbox import Dropbox
from dropbox.exceptions import ApiError, BadInputError, RateLimitError
from dropbox.files import (
    CommitInfo,
    DeleteArg,
    RelocationPath,
    UploadSessionAppendBatchArgEntry,
    UploadSessionCursor,
    UploadSessionFinishArg,
    WriteMode,
)

from cloudsandbox.dropbox import DropboxSandbox

Wait = Callable[[Callable[[str], Any], str], Any]
Make = Callable[[bytes], str]


def entry(session_id: str, size_bytes: int, path: str, **options: Any) -> UploadSessionFinishArg:
    return UploadSessionFinishArg(UploadSessionCursor(session_id, size_bytes), CommitInfo(path, **options))


def test_a_batch_commits_closed_sessions_by_a_job(
    client: Dropbox, closed_session: Make, wait_job: Wait
) -> None:
    entries = [entry(closed_session(bytes([n])), 1, f"/d/{n}") for n in range(3)]
    launch = client.files_upload_session_finish_batch(entries)
    assert launch.is_async_job_id()
    done = wait_job(client.files_upload_session_finish_batch_check, launch.get_async_job_id()).get_complete()
    assert [result.get_success().path_display for result in done.entries] == ["/d/0", "/d/1", "/d/2"]


def test_a_running_job_is_in_progress(client: Dropbox, closed_session: Make, sandbox: DropboxSandbox) -> None:
    sandbox.set_switches(job_duration_s=30.0)
    launch = client.files_upload_session_finish_batch([entry(closed_session(b"1"), 1, "/f")])
    assert client.files_upload_session_finish_batch_check(launch.get_async_job_id()).is_in_progress()
    assert sandbox.files() == {}


def test_each_entry_may_make_a_job_longer(
    client: Dropbox, closed_session: Make, sandbox: DropboxSandbox, wait_job: Wait
) -> None:
    sandbox.set_switches(job_duration_s=0.0, job_entry_s=0.15)
    began_s = time.monotonic()
    files = [entry(closed_session(b"1"), 1, f"/{number}") for number in range(3)]
    launch = client.files_upload_session_finish_batch(files)
    wait_job(client.files_upload_session_finish_batch_check, launch.get_async_job_id())
    assert time.monotonic() - began_s >= 0.45
    assert len(sandbox.files()) == 3


def test_a_batch_may_be_complete_at_once(
    client: Dropbox, closed_session: Make, sandbox: DropboxSandbox
) -> None:
    sandbox.set_switches(launch_result="complete")
    launch = client.files_upload_session_finish_batch([entry(closed_session(b"1"), 1, "/f")])
    assert launch.get_complete().entries[0].get_success().size == 1


def test_the_second_version_answers_with_the_entries(client: Dropbox, closed_session: Make) -> None:
    done = client.files_upload_session_finish_batch_v2([entry(closed_session(b"1"), 1, "/f")])
    assert done.entries[0].get_success().name == "f"


def test_a_session_must_be_closed_before_a_batch(client: Dropbox) -> None:
    session_id = client.files_upload_session_start(b"1").session_id
    done = client.files_upload_session_finish_batch_v2([entry(session_id, 1, "/f")])
    assert done.entries[0].get_failure().get_lookup_failed().is_not_closed()


def test_entries_fail_one_by_one(client: Dropbox, closed_session: Make) -> None:
    client.files_upload(b"taken", "/taken")
    done = client.files_upload_session_finish_batch_v2(
        [
            entry(closed_session(b"1"), 1, "/taken"),
            entry(closed_session(b"1"), 7, "/offset"),
            entry("pid_upload_session:unknown", 0, "/unknown"),
            entry(closed_session(b"1"), 1, "/.dropbox"),
            entry(closed_session(b"1"), 1, "/taken", mode=WriteMode.overwrite),
        ]
    ).entries
    assert done[0].get_failure().get_path().get_conflict().is_file()
    assert done[1].get_failure().get_lookup_failed().get_incorrect_offset().correct_offset == 1
    assert done[2].get_failure().get_lookup_failed().is_not_found()
    assert done[3].get_failure().get_path().is_disallowed_name()
    assert done[4].get_success().size == 1


def test_planned_failures_hit_the_named_paths_so_many_times(
    client: Dropbox, closed_session: Make, sandbox: DropboxSandbox
) -> None:
    sandbox.set_switches(entry_failures=[{"path": "/x/*", "error": "too_many_write_operations", "count": 1}])
    wanted = [entry(closed_session(b"1"), 1, "/x/1"), entry(closed_session(b"2"), 1, "/y")]
    first = client.files_upload_session_finish_batch_v2(wanted).entries
    assert first[0].get_failure().is_too_many_write_operations()
    assert first[1].is_success()
    assert client.files_upload_session_finish_batch_v2(wanted[:1]).entries[0].is_success()


def test_a_second_job_at_a_time_fails_in_every_entry(
    client: Dropbox, closed_session: Make, sandbox: DropboxSandbox, wait_job: Wait
) -> None:
    sandbox.set_switches(job_duration_s=0.3)
    first = client.files_upload_session_finish_batch([entry(closed_session(b"1"), 1, "/1")])
    second = client.files_upload_session_finish_batch([entry(closed_session(b"2"), 1, "/2")])
    check = client.files_upload_session_finish_batch_check
    refused = wait_job(check, second.get_async_job_id()).get_complete().entries
    assert refused[0].get_failure().is_too_many_write_operations()
    assert wait_job(check, first.get_async_job_id()).get_complete().entries[0].is_success()
    assert list(sandbox.files()) == ["/1"]
    assert sandbox.log.jobs.peak["finish_batch"] == 2


def test_a_second_job_at_a_time_may_be_rate_limited(
    client: Dropbox, closed_session: Make, sandbox: DropboxSandbox
) -> None:
    sandbox.set_switches(job_duration_s=30.0, overlapping_finish="429")
    client.files_upload_session_finish_batch([entry(closed_session(b"1"), 1, "/1")])
    with pytest.raises(RateLimitError) as raised:
        client.files_upload_session_finish_batch([entry(closed_session(b"2"), 1, "/2")])
    assert raised.value.error.reason.is_too_many_write_operations()


def test_jobs_one_after_the_other_never_overlap(
    client: Dropbox, closed_session: Make, sandbox: DropboxSandbox
) -> None:
    for number in range(3):
        client.files_upload_session_finish_batch_v2([entry(closed_session(b"1"), 1, f"/{number}")])
    assert sandbox.log.jobs.peak["finish_batch"] == 1


def test_more_than_a_thousand_entries_are_refused(client: Dropbox, sandbox: DropboxSandbox) -> None:
    arguments = {"entries": [{"cursor": {"session_id": "x", "offset": 0}, "commit": {"path": "/f"}}] * 1001}
    with pytest.raises(BadInputError) as raised:
        client.request_json_object("api", "files/upload_session/finish_batch", "rpc", arguments, "user", None)
    assert "at most 1000 items" in raised.value.message


def test_an_unknown_job_is_an_invalid_id(client: Dropbox) -> None:
    for check in (
        client.files_upload_session_finish_batch_check,
        client.files_delete_batch_check,
        client.files_move_batch_check_v2,
        client.files_copy_batch_check_v2,
        client.files_create_folder_batch_check,
    ):
        with pytest.raises(ApiError) as raised:
            check("dbjid:unknown")
        assert raised.value.error.is_invalid_async_job_id()


def test_the_id_of_another_kind_of_job_is_invalid(client: Dropbox, closed_session: Make) -> None:
    launch = client.files_upload_session_finish_batch([entry(closed_session(b"1"), 1, "/f")])
    with pytest.raises(ApiError):
        client.files_delete_batch_check(launch.get_async_job_id())


def test_deletes_go_in_a_batch(client: Dropbox, wait_job: Wait, sandbox: DropboxSandbox) -> None:
    first = client.files_upload(b"1", "/a/1")
    client.files_upload(b"2", "/b")
    wanted = [DeleteArg("/a"), DeleteArg("/b", parent_rev=first.rev), DeleteArg("/c")]
    launch = client.files_delete_batch(wanted)
    done = wait_job(client.files_delete_batch_check, launch.get_async_job_id()).get_complete().entries
    assert done[0].get_success().metadata.path_display == "/a"
    assert done[1].get_failure().get_path_write().get_conflict().is_file()
    assert done[2].get_failure().get_path_lookup().is_not_found()
    assert list(sandbox.tree()) == ["/b"]


def test_moves_go_in_a_batch(client: Dropbox, wait_job: Wait) -> None:
    client.files_upload(b"1", "/1")
    client.files_upload(b"2", "/2")
    launch = client.files_move_batch_v2([RelocationPath("/1", "/d/1"), RelocationPath("/no", "/d/no")])
    done = wait_job(client.files_move_batch_check_v2, launch.get_async_job_id()).get_complete().entries
    assert done[0].get_success().path_display == "/d/1"
    assert done[1].get_failure().get_relocation_error().get_from_lookup().is_not_found()


def test_entangled_moves_are_refused(client: Dropbox, wait_job: Wait) -> None:
    client.files_upload(b"1", "/1")
    launch = client.files_move_batch_v2([RelocationPath("/1", "/2"), RelocationPath("/2", "/3")])
    done = wait_job(client.files_move_batch_check_v2, launch.get_async_job_id()).get_complete().entries
    assert all(e.get_failure().get_relocation_error().is_duplicated_or_nested_paths() for e in done)


def test_copies_go_in_a_batch(client: Dropbox, wait_job: Wait, sandbox: DropboxSandbox) -> None:
    client.files_upload(b"1", "/1")
    launch = client.files_copy_batch_v2([RelocationPath("/1", "/2")])
    done = wait_job(client.files_copy_batch_check_v2, launch.get_async_job_id()).get_complete().entries
    assert done[0].get_success().path_display == "/2"
    assert set(sandbox.files()) == {"/1", "/2"}


def test_folders_are_created_in_a_batch(client: Dropbox, wait_job: Wait) -> None:
    client.files_create_folder_v2("/there")
    launch = client.files_create_folder_batch(["/new", "/NEW", "/there"], force_async=True)
    done = wait_job(client.files_create_folder_batch_check, launch.get_async_job_id()).get_complete().entries
    assert done[0].get_success().metadata.id == done[1].get_success().metadata.id
    assert done[2].get_failure().get_path().get_conflict().is_folder()


def test_a_thousand_files_are_committed_by_one_job(
    client: Dropbox, wait_job: Wait, sandbox: DropboxSandbox
) -> None:
    ids = client.files_upload_session_start_batch(1000).session_ids
    for half in (ids[:500], ids[500:]):
        pieces = [
            UploadSessionAppendBatchArgEntry(UploadSessionCursor(each, 0), 4, close=True) for each in half
        ]
        client.files_upload_session_append_batch(b"x" * 2000, pieces)
    launch = client.files_upload_session_finish_batch(
        [entry(i, 4, f"/d{n % 7}/{n}") for n, i in enumerate(ids)]
    )
    done = wait_job(client.files_upload_session_finish_batch_check, launch.get_async_job_id())
    assert all(result.is_success() for result in done.get_complete().entries)
    assert len(sandbox.files()) == 1000
