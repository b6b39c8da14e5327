"""What clients send that do not go by the official SDK's habits, and the service takes."""

import json
from typing import Any

import pytest
import requests

from cloudsandbox.box import BoxSandbox

ATTRIBUTES = ("attributes", (None, json.dumps({"name": "f", "parent": {"id": "0"}})))


def test_a_path_may_end_with_a_slash(wire: Any) -> None:
    argument = {"name": "f", "parent": {"id": "0"}}
    assert wire.ok("OPTIONS", "/2.0/files/content/", argument)["upload_url"].endswith("/files/content")
    assert wire.ok("GET", "/2.0/users/me/")["type"] == "user"
    assert wire.call("GET", "/2.0/users/me//").status_code == 404


def test_the_token_of_a_preflight_opens_what_it_leads_to(wire: Any, sandbox: BoxSandbox) -> None:
    headers = {"Authorization": f"Bearer {sandbox.issue_token()}"}
    reply = wire.ok("OPTIONS", "/2.0/files/content", {"name": "f", "parent": {"id": "0"}}, headers=headers)
    url, headers = reply["upload_url"], {"Authorization": f"Bearer {reply['upload_token']}"}
    files: Any = [ATTRIBUTES, ("file", ("f", b"data"))]
    assert headers["Authorization"] != "Bearer sandbox"
    assert requests.post(url, files=files, headers=headers, timeout=20).status_code == 201


@pytest.mark.parametrize("name", ["file", "contents", "f.txt"])
def test_the_part_with_the_bytes_has_any_name(wire: Any, name: str) -> None:
    response = wire.form("/files/content", [ATTRIBUTES, (name, ("f", b"data"))])
    assert (response.status_code, response.json()["entries"][0]["size"]) == (201, 4)


@pytest.mark.parametrize("name", ["file", "contents"])
def test_bytes_before_the_attributes_are_refused_under_any_name(wire: Any, name: str) -> None:
    response = wire.form("/files/content", [(name, ("f", b"data")), ATTRIBUTES])
    assert (response.status_code, response.json()["code"]) == (400, "metadata_after_file_contents")


def test_a_name_that_a_folder_has_is_told_of_as_one_object_before_an_upload(wire: Any) -> None:
    folder = wire.ok("POST", "/2.0/folders", {"name": "d", "parent": {"id": "0"}})
    response = wire.call("OPTIONS", "/2.0/files/content", {"name": "D", "parent": {"id": "0"}})
    conflict = response.json()["context_info"]["conflicts"]
    assert (response.status_code, conflict["type"], conflict["id"]) == (409, "folder", folder["id"])


def test_a_name_that_a_file_has_is_told_of_in_a_list_where_a_folder_is_made(wire: Any) -> None:
    file = wire.upload("f")
    response = wire.call("POST", "/2.0/folders", {"name": "F", "parent": {"id": "0"}})
    conflicts = response.json()["context_info"]["conflicts"]
    assert (response.status_code, [each["id"] for each in conflicts]) == (409, [file["id"]])


def test_tokens_are_given_and_taken_at_the_older_address_too(wire: Any) -> None:
    app = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
    form = {"grant_type": "refresh_token", "refresh_token": "sandbox-refresh", **app}
    reply = wire.session.post(wire.url + "/api/oauth2/token", data=form, timeout=20)
    token = {"Authorization": f"Bearer {reply.json()['access_token']}"}
    assert wire.call("GET", "/2.0/users/me", headers=token).status_code == 200
    form = {"token": reply.json()["access_token"], **app}
    assert wire.session.post(wire.url + "/api/oauth2/revoke", data=form, timeout=20).status_code == 200
    assert wire.call("GET", "/2.0/users/me", headers=token).status_code == 401


def test_a_body_without_a_content_type_is_json(wire: Any) -> None:
    body = json.dumps({"name": "d", "parent": {"id": "0"}})
    response = wire.call("POST", "/2.0/folders", data=body, headers={"Content-Type": None})
    assert "Content-Type" not in response.request.headers
    assert (response.status_code, response.json()["name"]) == (201, "d")
