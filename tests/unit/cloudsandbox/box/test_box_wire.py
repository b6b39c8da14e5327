"""The rules of the wire that no well-behaved client would try."""

import json
import threading
from typing import Any

import pytest

from cloudsandbox.box import BoxSandbox

ATTRIBUTES = ("attributes", (None, json.dumps({"name": "f", "parent": {"id": "0"}})))
FILE = ("file", ("f", b"data"))


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([FILE, ATTRIBUTES], "metadata_after_file_contents"),
        ([ATTRIBUTES], "bad_request"),
        ([ATTRIBUTES, FILE, ("more", (None, "x"))], "bad_request"),
        ([ATTRIBUTES, FILE, FILE], "bad_request"),
        ([("other", (None, "x")), FILE], "bad_request"),
        ([("attributes", (None, "{")), FILE], "bad_request"),
        ([("attributes", (None, "[]")), FILE], "bad_request"),
        ([("attributes", (None, '{"name": "f"}')), FILE], "bad_request"),
        ([("attributes", (None, '{"parent": {"id": "0"}}')), FILE], "bad_request"),
        ([("attributes", (None, '{"name": 7, "parent": {"id": "0"}}')), FILE], "bad_request"),
        ([("attributes", (None, '{"name": "f", "parent": {"id": "x"}}')), FILE], "bad_request"),
        ([("attributes", (None, '{"name": "\\ud800", "parent": {"id": "0"}}')), FILE], "bad_request"),
        ([("attributes", (None, "{" + " " * 70_000 + "}")), FILE], "bad_request"),
    ],
)
def test_a_form_that_is_not_as_it_should_be_is_refused(
    wire: Any, sandbox: BoxSandbox, parts: Any, code: str
) -> None:
    response = wire.form("/files/content", parts)
    assert (response.status_code, response.json()["code"]) == (400, code)
    assert sandbox.tree() == {}


@pytest.mark.parametrize(
    "when",
    ["yesterday", "2017-04-08", "2017-04-08T00:58:08", "1969-12-31T23:59:59Z", 7, "2017-13-01T00:00:00Z"],
)
def test_a_time_the_service_does_not_take_is_refused(wire: Any, when: Any) -> None:
    attributes = json.dumps({"name": "f", "parent": {"id": "0"}, "content_modified_at": when})
    assert wire.form("/files/content", [("attributes", (None, attributes)), FILE]).status_code == 400


@pytest.mark.parametrize(
    ("when", "shown"),
    [
        ("2017-04-08T00:58:08Z", "2017-04-07T16:58:08-08:00"),
        ("2017-04-08T00:58:08.999+02:00", "2017-04-07T14:58:08-08:00"),
        ("1970-01-01T00:00:00Z", "1969-12-31T16:00:00-08:00"),
    ],
)
def test_times_come_back_with_an_offset_and_in_whole_seconds(wire: Any, when: str, shown: str) -> None:
    file = wire.upload("f")
    argument = {"content_modified_at": when}
    changed = wire.ok("PUT", f"/2.0/files/{file['id']}?fields=content_modified_at", argument)
    assert changed == {"type": "file", "id": file["id"], "etag": "1", "content_modified_at": shown}


def test_a_time_set_later_makes_no_version(wire: Any, sandbox: BoxSandbox) -> None:
    file = wire.upload("f")
    wire.ok("PUT", f"/2.0/files/{file['id']}", {"content_modified_at": "2020-01-01T00:00:00Z"})
    assert sandbox.tree()["/f"]["versions"] == 1
    assert sandbox.tree()["/f"]["content_modified_s"] == 1_577_836_800


def test_a_call_without_a_token_has_an_empty_answer(wire: Any) -> None:
    response = wire.session.get(wire.url + "/2.0/users/me", timeout=10)
    assert (response.status_code, response.content) == (401, b"")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="Service"'


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/2.0/nothing", 404),
        ("GET", "/", 404),
        ("POST", "/2.0/files/content", 405),  # uploads go to the other host
        ("DELETE", "/2.0/users/me", 405),
        ("GET", "/dl/forged/f", 404),
        ("GET", "/2.0/files/" + "9" * 30, 405),
    ],
)
def test_what_is_not_there_is_refused(wire: Any, method: str, path: str, status: int) -> None:
    assert wire.call(method, path).status_code == status


@pytest.mark.parametrize("body", ["{", "[]", '"x"', '{"name": "\\ud800"}', "[" * 100_000])
def test_a_body_that_is_no_object_is_refused(wire: Any, body: str) -> None:
    response = wire.call("POST", "/2.0/folders", data=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400


def test_json_under_another_name_is_refused(wire: Any) -> None:
    assert wire.call("POST", "/2.0/folders", data="{}", headers={"Content-Type": "text/x"}).status_code == 415


def test_what_the_client_knows_is_not_sent_again(wire: Any) -> None:
    file = wire.upload("f")
    response = wire.call("GET", f"/2.0/files/{file['id']}", headers={"If-None-Match": "0"})
    assert (response.status_code, response.content) == (304, b"")


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ({"file_size": 100, "file_name": "f"}, "missing_destination"),
        ({"folder_id": "0", "file_name": "f"}, "missing_file_size"),
        ({"folder_id": "0", "file_size": -1, "file_name": "f"}, "invalid_file_size"),
        ({"folder_id": "0", "file_size": "100", "file_name": "f"}, "invalid_file_size"),
        ({"folder_id": "0", "file_size": 100}, "missing_file_name"),
        ({"folder_id": "0", "file_size": 9, "file_name": "f"}, "file_size_too_small"),
        ({"folder_id": "0", "file_size": 100, "file_name": "a/b"}, "item_name_invalid"),
    ],
)
def test_a_session_that_makes_no_sense_is_refused(wire: Any, argument: Any, code: str) -> None:
    response = wire.call("POST", "/api/2.0/files/upload_sessions", argument)
    assert (response.status_code, response.json()["code"]) == (400, code)


@pytest.mark.parametrize("value", ["sha=", "sha=x", "sha=AAAA", "md5=AAAA", "", "sha"])
def test_a_part_needs_its_digest(wire: Any, value: str) -> None:
    session = wire.begin(100)
    assert wire.part(session, 0, b"x" * 100, 100, Digest=value).status_code == 400


def test_a_part_is_an_octet_stream(wire: Any) -> None:
    assert wire.part(wire.begin(100), 0, b"x" * 100, 100, Content_Type="text/plain").status_code == 415


def test_a_part_longer_than_its_range_is_refused(wire: Any) -> None:
    response = wire.part(wire.begin(100), 0, b"x" * 120, 100, Content_Range="bytes 0-99/100")
    assert response.status_code == 400


def test_a_part_comes_wrapped_or_bare_as_the_switch_says(wire: Any, sandbox: BoxSandbox) -> None:
    sandbox.set_switches(wrapped_part=False)
    assert wire.part(wire.begin(100), 0, b"x" * 100, 100).json()["size"] == 100


def test_a_commit_carries_the_client_s_times(wire: Any, sandbox: BoxSandbox) -> None:
    session, data = wire.begin(100), b"x" * 100
    part = wire.part(session, 0, data, 100).json()["part"]
    times = {"content_modified_at": "2017-04-08T00:58:08Z"}
    assert wire.commit(session, [part], data, attributes=times).status_code == 201
    assert sandbox.tree()["/big"]["content_modified_s"] == 1_491_613_088


def test_a_commit_may_be_answered_with_the_file_alone(wire: Any, sandbox: BoxSandbox) -> None:
    sandbox.set_switches(commit_result="file")
    response = wire.send("big", b"x" * 2500)
    assert (response.status_code, response.json()["type"]) == (201, "file")


def test_a_commit_not_ready_has_no_body_and_says_when_to_come_again(wire: Any, sandbox: BoxSandbox) -> None:
    sandbox.set_switches(pending_commits=1, commit_retry_after_s=7)
    response = wire.send("big", b"x" * 2500)
    assert (response.status_code, response.content, response.headers["Retry-After"]) == (202, b"", "7")
    assert sandbox.tree() == {}


@pytest.mark.parametrize(
    "change",
    [{"part_id": "00000000"}, {"offset": 1}, {"size": 99}, {"sha1": "0" * 40}],
    ids=["part_id", "offset", "size", "sha1"],
)
def test_a_commit_names_the_parts_as_they_are(wire: Any, change: dict[str, Any]) -> None:
    session, data = wire.begin(100), b"x" * 100
    part = wire.part(session, 0, data, 100).json()["part"]
    response = wire.commit(session, [{**part, **change}], data)
    assert (response.status_code, response.json()["code"]) == (400, "parts_mismatch")


def test_a_part_may_be_named_without_its_digest(wire: Any) -> None:
    session, data = wire.begin(100), b"x" * 100
    part = wire.part(session, 0, data, 100).json()["part"]
    del part["sha1"]
    assert wire.commit(session, [part], data).status_code == 201


def test_two_commits_at_once_make_one_version(wire: Any, sandbox: BoxSandbox, speak: Any) -> None:
    sandbox.set_switches(recommit="result")
    session, data = wire.begin(100), b"x" * 100
    part = wire.part(session, 0, data, 100).json()["part"]
    statuses: list[int] = []
    wires = [speak(sandbox.base_url) for _ in range(4)]
    threads = [
        threading.Thread(
            target=lambda each=each: statuses.append(each.commit(session, [part], data).status_code)
        )
        for each in wires
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [201] * 4
    assert sandbox.tree()["/big"]["versions"] == 1


def test_a_second_session_for_the_same_name_may_be_a_conflict(wire: Any, sandbox: BoxSandbox) -> None:
    sandbox.set_switches(session_conflict=True)
    first = wire.begin(100, "Ärger")
    argument = {"folder_id": "0", "file_size": 100, "file_name": "äRGER"}
    response = wire.call("POST", "/api/2.0/files/upload_sessions", argument)
    assert (response.status_code, response.json()["code"]) == (409, "session_conflict")
    assert response.json()["context_info"]["session"]["id"] == first["id"]


def test_names_are_one_when_they_differ_in_case_or_composition(wire: Any) -> None:
    wire.upload("\u00c9t\u00e9")
    attributes = json.dumps({"name": "e\u0301te\u0301", "parent": {"id": "0"}})
    response = wire.form("/files/content", [("attributes", (None, attributes)), FILE])
    assert response.status_code == 409


def test_more_characters_are_refused_where_the_switch_says_so(wire: Any, sandbox: BoxSandbox) -> None:
    argument = {"name": "a:b", "parent": {"id": "0"}}
    wire.ok("POST", "/2.0/folders", argument)
    sandbox.set_switches(refused_name_characters='<>:|?*"')
    response = wire.call("POST", "/2.0/folders", {"name": "c:d", "parent": {"id": "0"}})
    assert response.json()["code"] == "item_name_invalid"


@pytest.mark.parametrize("marker", ["", "e30=", "WzEsMl0=", "W1tdLHt9LDFd", "bnVsbA=="])
def test_a_marker_is_one_that_was_given_out(wire: Any, marker: str) -> None:
    status = wire.call("GET", f"/2.0/folders/0/items?usemarker=true&marker={marker}").status_code
    assert status == (200 if marker == "" else 400)


def test_the_root_has_no_order_with_markers(wire: Any) -> None:
    assert wire.call("GET", "/2.0/folders/0/items?usemarker=true&sort=name").status_code == 400


def test_pages_are_sorted_with_markers_as_well(wire: Any) -> None:
    folder = wire.ok("POST", "/2.0/folders", {"name": "d", "parent": {"id": "0"}})["id"]
    for number in range(5):
        wire.upload(f"f{number}", b"x" * (number % 2), folder)
    names: list[str] = []
    marker: str | None = ""
    while marker is not None:
        query = f"usemarker=true&limit=2&sort=size&direction=DESC&marker={marker}"
        page = wire.ok("GET", f"/2.0/folders/{folder}/items?{query}")
        names += [entry["name"] for entry in page["entries"]]
        marker = page["next_marker"]
    assert sorted(names) == [f"f{number}" for number in range(5)]
    assert sorted(names[:2]) == ["f1", "f3"]


@pytest.mark.parametrize("value", ["x", "-", "47 11"])
def test_as_user_is_an_id(wire: Any, value: str) -> None:
    assert wire.call("GET", "/2.0/users/me", headers={"as-user": value}).status_code == 400


def test_what_a_policy_forbids_is_neither_made_nor_named_nor_written(sandbox: BoxSandbox, wire: Any) -> None:
    file = wire.upload("f")
    sandbox.write("/forbidden", b"1")
    forbidden = sandbox.tree()["/forbidden"]
    sandbox.set_switches(refusals=[{"name": "forb*", "status": 403, "code": "forbidden_by_policy"}])
    named = {"name": "forbade", "parent": {"id": "0"}}
    parts = [("attributes", (None, json.dumps(named))), ("file", ("x", b""))]
    unnamed = [("attributes", (None, "{}")), ("file", ("x", b""))]
    session = {"folder_id": "0", "file_size": 5000, "file_name": "forbade"}
    refused = [
        wire.form("/files/content", parts),
        wire.form(f"/files/{forbidden['id']}/content", unnamed),
        wire.call("POST", "/api/2.0/files/upload_sessions", session),
        wire.call("POST", "/2.0/folders", named),
        wire.call("PUT", f"/2.0/files/{file['id']}", {"name": "forbade"}),
    ]
    assert [(each.status_code, each.json()["code"]) for each in refused] == [(403, "forbidden_by_policy")] * 5
    assert set(sandbox.tree()) == {"/f", "/forbidden"}
    assert sandbox.tree()["/forbidden"] == forbidden


def test_fifty_mib_are_the_most_of_one_form(wire: Any, sandbox: BoxSandbox) -> None:
    most = bytes(50 * 1024 * 1024)
    response = wire.form("/files/content", [ATTRIBUTES, ("file", ("f", most + b"x"))])
    assert (response.status_code, response.json()["code"]) == (413, "request_entity_too_large")
    assert sandbox.tree() == {}
    assert wire.form("/files/content", [ATTRIBUTES, ("file", ("f", most))]).status_code == 201


def test_a_session_is_begun_at_the_cost_of_an_upload(wire: Any, sandbox: BoxSandbox) -> None:
    file = wire.upload("f")
    new = ("/api/2.0/files/upload_sessions", {"folder_id": "0", "file_size": 100, "file_name": "g"})
    version = (f"/api/2.0/files/{file['id']}/upload_sessions", {"file_size": 100})
    for path, argument in (new, version):
        sandbox.set_switches(uploads_per_minute=1, rate_window_s=60.0)
        assert [wire.call("POST", path, argument).status_code for _ in range(2)] == [201, 429]


def test_the_token_does_not_belong_to_the_address_of_the_bytes(wire: Any) -> None:
    file = wire.upload("f", b"bytes")
    reply = wire.call("GET", f"/2.0/files/{file['id']}/content", allow_redirects=False)
    address = reply.headers["Location"]
    assert wire.session.get(address, timeout=20).content == b"bytes"
    refused = wire.session.get(address, headers={"Authorization": "Bearer sandbox"}, timeout=20)
    assert refused.status_code == 400


def test_a_commit_that_comes_too_early_is_put_off_and_does_not_count(wire: Any, sandbox: BoxSandbox) -> None:
    sandbox.set_switches(pending_commits=1, commit_retry_after_s=600)
    session, data = wire.begin(100), b"x" * 100
    part = wire.part(session, 0, data, 100).json()["part"]
    waits_s = []
    for _ in range(3):
        response = wire.commit(session, [part], data)
        assert (response.status_code, response.content) == (202, b"")
        waits_s.append(float(response.headers["Retry-After"]))
    assert 600 >= waits_s[0] >= waits_s[1] >= waits_s[2] > 500
    sandbox.set_switches(commit_retry_after_s=0)
    assert wire.commit(session, [part], data).status_code == 201


def test_a_commit_is_repeated_as_it_was(wire: Any, sandbox: BoxSandbox) -> None:
    sandbox.set_switches(pending_commits=2, commit_retry_after_s=0)
    session, data = wire.begin(100), b"x" * 100
    part = wire.part(session, 0, data, 100).json()["part"]
    first, other = ({"content_modified_at": f"2017-04-0{day}T00:58:08Z"} for day in (1, 2))
    assert wire.commit(session, [part], data, attributes=first).status_code == 202
    response = wire.commit(session, [part], data, attributes=other)
    assert (response.status_code, response.json()["code"]) == (400, "bad_request")
    statuses = [wire.commit(session, [part], data, attributes=first).status_code for _ in range(2)]
    assert statuses == [202, 201]


def test_a_commit_that_is_no_repetition_may_differ(wire: Any, sandbox: BoxSandbox) -> None:
    sandbox.set_switches(pending_commits=1, commit_retry_after_s=0)
    session, data = wire.begin(100), b"x" * 100
    part = wire.part(session, 0, data, 100).json()["part"]
    first, other = ({"content_modified_at": f"2017-04-0{day}T00:58:08Z"} for day in (1, 2))
    assert wire.commit(session, [part], data, attributes=first).status_code == 202
    wire.upload("big")
    assert wire.commit(session, [part], data, attributes=first).status_code == 409
    assert wire.commit(session, [part], data, attributes=other).status_code == 409
