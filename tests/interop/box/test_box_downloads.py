"""Downloads, driven by the official SDK."""

import io
import os
from typing import Any

import pytest
import requests
from box_sdk_gen import BoxClient

from cloudsandbox.box import BoxSandbox

DATA = os.urandom(3_000_000)


@pytest.fixture
def file(upload: Any) -> Any:
    return upload("f.bin", DATA)


def test_a_download_leads_to_another_host_without_the_token(
    client: BoxClient, file: Any, box: BoxSandbox
) -> None:
    assert client.downloads.download_file(file.id).read() == DATA
    assert box.log.counts["files/content"] == box.log.counts["download"] == 1
    (served,) = [each for each in box.exchanges() if each.path.startswith("/dl/")]
    assert "authorization" not in served.request_headers
    assert served.request_headers["host"].startswith("localhost:")


def test_a_download_goes_into_a_stream(client: BoxClient, file: Any) -> None:
    into = io.BytesIO()
    client.downloads.download_file_to_output_stream(file.id, into)
    assert into.getvalue() == DATA


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=1000000-2500000", 1_000_000, 2_500_001),
        ("bytes=2999990-", 2_999_990, 3_000_000),
        ("bytes=-7", 2_999_993, 3_000_000),
        ("bytes=2999999-9999999", 2_999_999, 3_000_000),
    ],
)
def test_a_range_is_just_that_range(
    client: BoxClient, file: Any, box: BoxSandbox, wanted: str, start: int, end: int
) -> None:
    assert client.downloads.download_file(file.id, range=wanted).read() == DATA[start:end]
    assert box.log.records("download")[0].status == 206


def test_a_range_past_the_end_is_refused(client: BoxClient, file: Any, refused: Any) -> None:
    answer = refused(client.downloads.download_file, file.id, range="bytes=3000000-3000001")
    assert answer.status_code == 416


def test_a_range_past_the_end_may_be_answered_with_the_whole(
    client: BoxClient, file: Any, box: BoxSandbox
) -> None:
    box.set_switches(range_past_end="200")
    assert client.downloads.download_file(file.id, range="bytes=3000000-").read() == DATA


def test_an_old_version_is_downloaded_by_its_id(client: BoxClient, file: Any, upload_version: Any) -> None:
    upload_version(file.id, b"newer", name="f.bin")
    assert client.downloads.download_file(file.id).read() == b"newer"
    assert client.downloads.download_file(file.id, version=file.file_version.id).read() == DATA


def test_a_download_that_is_not_ready_is_asked_for_again(
    client: BoxClient, file: Any, box: BoxSandbox
) -> None:
    box.set_switches(unready_downloads=2)
    assert client.downloads.download_file(file.id).read() == DATA
    assert [record.status for record in box.log.records("files/content")] == [202, 202, 302]


def test_the_url_of_a_download_is_good_for_many_ranges(client: BoxClient, file: Any) -> None:
    url = client.downloads.get_download_file_url(file.id)
    for wanted, expected in (("bytes=0-9", DATA[:10]), ("bytes=10-19", DATA[10:20])):
        answer = requests.get(url, headers={"Range": wanted}, timeout=10)
        assert (answer.status_code, answer.content) == (206, expected)


def test_the_url_of_a_download_serves_the_version_it_was_made_for(
    client: BoxClient, file: Any, box: BoxSandbox
) -> None:
    url = client.downloads.get_download_file_url(file.id)
    box.write("/f.bin", b"newer")
    assert requests.get(url, timeout=10).content == DATA


def test_the_url_of_a_download_is_good_for_a_while_only(
    client: BoxClient, file: Any, box: BoxSandbox
) -> None:
    box.set_switches(download_lifetime_s=0)
    url = client.downloads.get_download_file_url(file.id)
    assert requests.get(url, timeout=10).status_code == 403


def test_the_token_does_not_belong_to_the_second_host(client: BoxClient, file: Any) -> None:
    url = client.downloads.get_download_file_url(file.id)
    answer = requests.get(url, headers={"Authorization": "Bearer sandbox"}, timeout=10)
    assert answer.status_code == 400


def test_a_download_may_come_at_once(client: BoxClient, file: Any, box: BoxSandbox) -> None:
    box.set_switches(direct_downloads=True)
    assert client.downloads.download_file(file.id).read() == DATA
    assert "download" not in box.log.counts


def test_a_deleted_file_is_not_downloaded(client: BoxClient, file: Any, refused: Any) -> None:
    client.files.delete_file_by_id(file.id)
    assert refused(client.downloads.download_file, file.id).code == "trashed"


def test_an_empty_file_is_downloaded(client: BoxClient, upload: Any) -> None:
    assert client.downloads.download_file(upload("e", b"").id).read() == b""
