"""The strictness of the wire, spoken by hand."""

import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cloudsandbox.dropbox import DropboxSandbox
from tests.waiting import until


def raw_post(
    sandbox: DropboxSandbox, path: str, headers: Mapping[str, bytes | str], body: bytes = b""
) -> tuple[int, str]:
    connection = http.client.HTTPConnection(urlsplit(sandbox.base_url).netloc, timeout=20)
    try:
        connection.request("POST", path, body, {"Authorization": "Bearer sandbox", **headers})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_rpc_takes_json(wire: Any, content_type: str) -> None:
    response = wire.rpc("files/list_folder", {"path": ""}, headers={"Content-Type": content_type})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert len(response.headers["X-Dropbox-Request-Id"]) == 32


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", ""])
def test_rpc_takes_nothing_but_json(wire: Any, content_type: str) -> None:
    response = wire.rpc("files/list_folder", {"path": ""}, headers={"Content-Type": content_type})
    assert response.status_code == 400
    assert "Content-Type" in response.text


def test_upload_takes_octets_only(wire: Any) -> None:
    assert (
        wire.content("files/upload", {"path": "/f"}, b"1", Content_Type="application/json").status_code == 400
    )


@pytest.mark.parametrize("body", ["null", ""])
def test_a_void_argument_is_null_or_nothing(wire: Any, body: str) -> None:
    assert wire.rpc("users/get_space_usage", data=body).json()["used"] == 0


def test_a_void_argument_is_not_an_object(wire: Any) -> None:
    response = wire.rpc("users/get_space_usage", data="{}")
    assert (response.status_code, response.headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert response.text.startswith('Error in call to API function "users/get_space_usage": request body:')


def test_a_void_result_is_null(wire: Any) -> None:
    session_id = wire.content("files/upload_session/start", {}).json()["session_id"]
    argument = {"cursor": {"session_id": session_id, "offset": 0}}
    assert wire.content("files/upload_session/append_v2", argument, b"1").text == "null"


def test_non_ascii_in_the_argument_header_is_refused(sandbox: DropboxSandbox) -> None:
    headers: dict[str, bytes | str] = {
        "Content-Type": "application/octet-stream",
        "Dropbox-API-Arg": '{"path":"/ü"}'.encode(),
    }
    status, text = raw_post(sandbox, "/2/files/upload", headers, b"1")
    assert status == 400
    assert "header safe" in text


def test_the_argument_may_travel_in_the_url(sandbox: DropboxSandbox) -> None:
    path = "/2/files/upload?arg=%7B%22path%22%3A%22%2F%C3%BC%22%7D"
    status, text = raw_post(sandbox, path, {"Content-Type": "application/octet-stream"}, b"1")
    assert (status, json.loads(text)["path_display"]) == (200, "/ü")


def test_an_upload_without_an_argument_is_refused(sandbox: DropboxSandbox) -> None:
    assert raw_post(sandbox, "/2/files/upload", {"Content-Type": "application/octet-stream"})[0] == 400


def test_a_header_of_a_quarter_mib_passes(wire: Any) -> None:
    entries = [{"cursor": {"session_id": "s" * 300, "offset": 0}, "length": 0}] * 1000
    response = wire.content("files/upload_session/append_batch", {"entries": entries})
    assert response.status_code == 200
    assert len(response.request.headers["Dropbox-API-Arg"]) > 256 * 1024


def test_a_header_over_the_limit_is_431(sandbox: DropboxSandbox, wire: Any) -> None:
    sandbox.set_switches(max_arg_header_bytes=100)
    assert wire.content("files/upload", {"path": "/" + "x" * 100}, b"1").status_code == 431
    assert wire.content("files/upload", {"path": "/x"}, b"1").status_code == 200


@pytest.mark.parametrize("status", [400, 404])
def test_append_batch_can_be_refused(sandbox: DropboxSandbox, wire: Any, status: int) -> None:
    sandbox.set_switches(append_batch_status=status)
    response = wire.content("files/upload_session/append_batch", {"entries": []})
    assert (response.status_code, response.headers["Content-Type"]) == (status, "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("route", "argument"),
    [
        ("files/list_folder", {}),
        ("files/list_folder", {"path": 1}),
        ("files/list_folder", {"path": "no-slash"}),
        ("files/list_folder", {"path": "", "limit": 0}),
        ("files/list_folder", {"path": "", "limit": 2001}),
        ("files/list_folder", {"path": "", "recursive": "yes"}),
        ("files/list_folder/continue", {"cursor": ""}),
        ("files/list_folder/longpoll", {"cursor": "x", "timeout": 29}),
        ("files/get_metadata", {"path": "rev:xyz"}),
        ("files/delete_v2", {"path": ""}),
        ("files/delete_v2", {"path": "/f", "parent_rev": "123"}),
        ("files/delete_batch", {"entries": [{"path": "/f"}] * 1001}),
        ("files/move_batch_v2", {"entries": []}),
        ("files/create_folder_v2", {"path": "id:abc"}),
        ("files/upload_session/start_batch", {"num_sessions": 0}),
        ("files/upload_session/start_batch", {"num_sessions": 1001}),
        ("files/upload_session/start_batch", {"num_sessions": 1, "session_type": "parallel"}),
        ("files/list_revisions", {"path": "/f", "limit": 101}),
        ("files/list_folder", {"path": "/\ud800"}),
    ],
)
def test_an_argument_that_does_not_fit_is_plain_text_400(wire: Any, route: str, argument: Any) -> None:
    response = wire.rpc(route, argument)
    assert response.status_code == 400
    assert response.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    "moment",
    [
        "2015-05-12",
        "2015-05-12T15:50:38",
        "2015-05-12T15:50:38.5Z",
        "2015-05-12T15:50:38+00:00",
        "2015-13-01T00:00:00Z",
    ],
)
def test_a_time_in_another_format_is_refused(wire: Any, moment: str) -> None:
    assert wire.content("files/upload", {"path": "/f", "client_modified": moment}, b"1").status_code == 400


def test_a_union_may_be_a_bare_string(wire: Any) -> None:
    wire.upload("/f", b"1")
    assert wire.upload("/f", b"2", mode="overwrite")["size"] == 1
    assert wire.upload("/f", b"22", mode={".tag": "overwrite"})["size"] == 2


def test_metadata_has_a_tag_only_where_its_type_is_open(wire: Any) -> None:
    assert ".tag" not in wire.upload("/d/f", b"1")
    assert ".tag" not in wire.ok("files/create_folder_v2", {"path": "/e"})["metadata"]
    assert wire.ok("files/get_metadata", {"path": "/d"})[".tag"] == "folder"
    assert wire.ok("files/move_v2", {"from_path": "/d/f", "to_path": "/g"})["metadata"][".tag"] == "file"
    assert wire.ok("files/delete_v2", {"path": "/g"})["metadata"][".tag"] == "file"
    result = wire.content("files/download", {"path": "rev:" + wire.upload("/h", b"1")["rev"]})
    assert ".tag" not in json.loads(result.headers["Dropbox-API-Result"])


def test_the_result_header_is_ascii(wire: Any) -> None:
    wire.upload("/héllo/😀\u00a0.txt", b"1")
    header = wire.content("files/download", {"path": "/héllo/😀\u00a0.txt"}).headers["Dropbox-API-Result"]
    assert header.isascii()
    assert json.loads(header)["name"] == "😀\u00a0.txt"


def test_a_summary_is_never_to_be_compared(wire: Any) -> None:
    summaries = {wire.rpc("files/get_metadata", {"path": "/none"}).json()["error_summary"] for _ in range(60)}
    assert len(summaries) > 1
    assert all(summary.startswith("path/not_found/.") for summary in summaries)


def test_a_body_that_breaks_off_changes_nothing(
    sandbox: DropboxSandbox, wire: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    session_id = wire.content("files/upload_session/start", {}, b"abc").json()["session_id"]
    argument = json.dumps({"cursor": {"session_id": session_id, "offset": 3}})
    host, port = urlsplit(sandbox.base_url).netloc.split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = (
            "POST /2/files/upload_session/append_v2 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sandbox\r\n"
            f"Content-Type: application/octet-stream\r\nDropbox-API-Arg: {argument}\r\n"
            "Content-Length: 9000000\r\n\r\n"
        )
        connection.sendall(head.encode() + bytes(4_000_000))
    until(
        lambda: (
            len(sandbox.log.records()) > 1 and not sandbox.log.requests.now["files/upload_session/append_v2"]
        ),
        "the request is over",
    )
    append = {"cursor": {"session_id": session_id, "offset": 3}}
    assert wire.content("files/upload_session/append_v2", append, b"d").status_code == 200
    assert list((tmp_path / "data" / "incoming").iterdir()) == []
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_another_namespace_has_nothing(wire: Any) -> None:
    wire.upload("/f", b"1")
    assert wire.rpc("files/get_metadata", {"path": "ns:99/f"}).json()["error"]["path"] == {
        ".tag": "not_found"
    }
    assert wire.ok("files/list_folder", {"path": "ns:3235641"})["entries"][0]["name"] == "f"


def test_an_argument_nested_without_end_is_refused(wire: Any) -> None:
    assert wire.rpc("files/list_folder", data="[" * 100_000).status_code == 400


def test_a_missing_or_strange_authorization_is_refused(wire: Any) -> None:
    for value in (None, "Basic abc", "Bearer "):
        response = wire.rpc("files/list_folder", {"path": ""}, headers={"Authorization": value})
        assert response.status_code == 400


def test_only_post_calls_a_function(wire: Any) -> None:
    assert wire.session.get(wire.url + "/2/files/list_folder", timeout=20).status_code == 400
    assert wire.session.get(wire.url + "/elsewhere", timeout=20).status_code == 404
