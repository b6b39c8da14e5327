"""What the SDK is promised about downloads, ranges, links and revisions."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from dropbox import Dropbox
from dropbox.exceptions import ApiError, HttpError
from dropbox.files import ListRevisionsMode, WriteMode

from cloudsandbox.dropbox import DropboxSandbox

DATA = bytes(range(256)) * 20_000  # over four MiB, so that it is streamed


@pytest.fixture
def web(sandbox: DropboxSandbox) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(sandbox.ca_file)
        yield session


def ranged(client: Dropbox, path: str, header: str) -> tuple[Any, requests.Response]:
    metadata, response = client.files_download(path, extra_headers={"Range": header})
    return metadata, response


def test_a_download_gives_metadata_and_content(client: Dropbox) -> None:
    done = client.files_upload(DATA, "/f")
    metadata, response = client.files_download("/f")
    assert metadata.rev == done.rev
    assert response.content == DATA
    assert response.headers["Content-Length"] == str(len(DATA))


@pytest.mark.parametrize(
    ("header", "expected", "described"),
    [
        ("bytes=0-9", slice(0, 10), "0-9"),
        ("bytes=100-", slice(100, None), f"100-{len(DATA) - 1}"),
        ("bytes=-7", slice(-7, None), f"{len(DATA) - 7}-{len(DATA) - 1}"),
        ("bytes=5000000-99999999", slice(5_000_000, None), f"5000000-{len(DATA) - 1}"),
    ],
)
def test_a_range_gives_just_these_bytes(
    client: Dropbox, header: str, expected: slice, described: str
) -> None:
    client.files_upload(DATA, "/f")
    metadata, response = ranged(client, "/f", header)
    assert response.status_code == 206
    assert response.content == DATA[expected]
    assert response.headers["Content-Range"] == f"bytes {described}/{len(DATA)}"
    assert metadata.size == len(DATA)


def test_a_range_past_the_end_is_416(client: Dropbox) -> None:
    client.files_upload(b"abc", "/f")
    with pytest.raises(HttpError) as raised:
        ranged(client, "/f", "bytes=3-")
    assert raised.value.status_code == 416


def test_a_range_past_the_end_may_be_answered_whole(client: Dropbox, sandbox: DropboxSandbox) -> None:
    sandbox.set_switches(range_past_end="200")
    client.files_upload(b"abc", "/f")
    response = ranged(client, "/f", "bytes=3-")[1]
    assert (response.status_code, response.content) == (200, b"abc")


def test_an_unchanged_file_is_304_for_its_etag(
    client: Dropbox, web: requests.Session, sandbox: DropboxSandbox
) -> None:
    client.files_upload(b"abc", "/f")
    etag = client.files_download("/f")[1].headers["ETag"]
    headers = {"Authorization": "Bearer sandbox", "Dropbox-API-Arg": '{"path":"/f"}', "If-None-Match": etag}
    url = sandbox.base_url + "/2/files/download"
    assert web.post(url, headers=headers).status_code == 304
    client.files_upload(b"new", "/f", mode=WriteMode.overwrite)
    assert web.post(url, headers=headers).content == b"new"


def test_an_old_revision_stays_readable_after_overwrite_and_delete(client: Dropbox) -> None:
    first = client.files_upload(b"old", "/f")
    client.files_upload(b"new", "/f", mode=WriteMode.overwrite)
    client.files_delete_v2("/f")
    metadata, response = client.files_download("rev:" + first.rev)
    assert (metadata.rev, response.content) == (first.rev, b"old")


def test_a_download_by_id_follows_a_move(client: Dropbox) -> None:
    done = client.files_upload(b"abc", "/f")
    client.files_move_v2("/f", "/g")
    metadata, response = client.files_download(done.id)
    assert (metadata.path_display, response.content) == ("/g", b"abc")


def test_a_download_of_nothing_or_of_a_folder_is_an_error(client: Dropbox) -> None:
    client.files_create_folder_v2("/d")
    for path, question in (("/none", "is_not_found"), ("/d", "is_not_file"), ("/a//b", "is_malformed_path")):
        with pytest.raises(ApiError) as raised:
            client.files_download(path)
        assert getattr(raised.value.error.get_path(), question)()


def test_a_download_may_be_a_get_with_its_argument_in_the_url(
    client: Dropbox, web: requests.Session, sandbox: DropboxSandbox
) -> None:
    client.files_upload(b"abc", "/ü")
    url = sandbox.base_url + "/2/files/download"
    response = web.get(url, params={"arg": '{"path":"/ü"}', "authorization": "Bearer sandbox"})
    assert response.content == b"abc"


def test_a_temporary_link_needs_no_token_and_honours_ranges(client: Dropbox, web: requests.Session) -> None:
    client.files_upload(b"abcdef", "/f")
    result = client.files_get_temporary_link("/f")
    assert result.metadata.name == "f"
    assert web.get(result.link).content == b"abcdef"
    assert web.get(result.link, headers={"Range": "bytes=2-3"}).content == b"cd"


def test_a_temporary_link_is_gone_after_its_time(
    client: Dropbox, web: requests.Session, sandbox: DropboxSandbox
) -> None:
    sandbox.set_switches(link_lifetime_s=0.0)
    client.files_upload(b"abc", "/f")
    assert web.get(client.files_get_temporary_link("/f").link).status_code == 410


def test_a_temporary_link_to_nothing_is_not_found(client: Dropbox) -> None:
    with pytest.raises(ApiError) as raised:
        client.files_get_temporary_link("/none")
    assert raised.value.error.get_path().is_not_found()


@pytest.fixture
def versions(client: Dropbox) -> list[str]:
    """The revs of a file written five times."""
    return [client.files_upload(bytes([n]), "/f", mode=WriteMode.overwrite).rev for n in range(5)]


def test_revisions_are_listed_newest_first(client: Dropbox, versions: list[str]) -> None:
    result = client.files_list_revisions("/f")
    assert [entry.rev for entry in result.entries] == versions[::-1]
    assert not result.is_deleted


def test_revisions_come_in_pages(client: Dropbox, versions: list[str]) -> None:
    first = client.files_list_revisions("/f", limit=2)
    assert first.has_more
    second = client.files_list_revisions("/f", limit=10, before_rev=first.entries[-1].rev)
    assert [entry.rev for entry in second.entries] == versions[2::-1]
    assert not second.has_more


def test_revisions_of_a_deleted_file_say_so(client: Dropbox, versions: list[str]) -> None:
    client.files_delete_v2("/f")
    result = client.files_list_revisions("/f")
    assert result.is_deleted
    assert result.server_deleted is not None
    assert len(result.entries) == len(versions)


def test_revisions_by_id_follow_a_move(client: Dropbox, versions: list[str]) -> None:
    client.files_move_v2("/f", "/g")
    assert len(client.files_list_revisions("/g", mode=ListRevisionsMode.id).entries) == 6
    assert len(client.files_list_revisions("/g").entries) == 1


def test_revisions_that_cannot_be_listed(client: Dropbox, versions: list[str]) -> None:
    client.files_create_folder_v2("/d")
    client.files_create_folder_v2("/gone")
    client.files_delete_v2("/gone")
    checks: list[tuple[dict[str, Any], Callable[[Any], bool]]] = [
        ({"path": "/none"}, lambda error: error.get_path().is_not_found()),
        ({"path": "/d"}, lambda error: error.get_path().is_not_file()),
        ({"path": "/gone"}, lambda error: error.get_path().is_not_file()),
        ({"path": "/f", "before_rev": "0123456789"}, lambda error: error.is_invalid_before_rev()),
        (
            {"path": "/f", "mode": ListRevisionsMode.id, "before_rev": versions[0]},
            lambda error: error.is_before_rev_not_supported(),
        ),
    ]
    for arguments, is_right in checks:
        with pytest.raises(ApiError) as raised:
            client.files_list_revisions(**arguments)
        assert is_right(raised.value.error)


def test_a_restore_brings_old_bytes_back_as_a_new_revision(client: Dropbox, versions: list[str]) -> None:
    client.files_delete_v2("/f")
    done = client.files_restore("/f", versions[1])
    assert done.rev > versions[-1]
    assert client.files_download("/f")[1].content == b"\x01"


def test_a_restore_of_an_unknown_revision_is_invalid(client: Dropbox) -> None:
    with pytest.raises(ApiError) as raised:
        client.files_restore("/f", "0123456789")
    assert raised.value.error.is_invalid_revision()
