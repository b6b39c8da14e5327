"""What clients send that do not go by the official SDK's habits, and the service takes."""

from typing import Any

import pytest

VOID_ROUTES = ["users/get_current_account", "users/get_space_usage"]


@pytest.mark.parametrize("route", VOID_ROUTES)
def test_a_call_without_a_body_needs_no_content_type(wire: Any, route: str) -> None:
    response = wire.rpc(route, data=None, headers={"Content-Type": None})
    assert "Content-Type" not in response.request.headers
    assert response.status_code == 200


def test_a_body_needs_a_content_type(wire: Any) -> None:
    response = wire.rpc("files/list_folder", {"path": ""}, headers={"Content-Type": None})
    assert (response.status_code, "Content-Type" in response.text) == (400, True)


def test_an_argument_that_is_missing_is_missed(wire: Any) -> None:
    response = wire.rpc("files/list_folder", data=None, headers={"Content-Type": None})
    assert (response.status_code, "expected object, got null" in response.text) == (400, True)


@pytest.mark.parametrize("path", ["//d/f", "///d/f"])
def test_slashes_before_a_path_count_as_one(wire: Any, path: str) -> None:
    made = wire.upload(path, b"1")
    assert (made["path_lower"], made["path_display"]) == ("/d/f", "/d/f")
    assert wire.ok("files/get_metadata", {"path": path})["id"] == made["id"]
    listed = wire.ok("files/list_folder", {"path": "//d"})["entries"]
    assert [entry["path_display"] for entry in listed] == ["/d/f"]
    moved = wire.ok("files/move_v2", {"from_path": path, "to_path": "//e"})
    assert moved["metadata"]["path_display"] == "/e"
    assert wire.ok("files/delete_v2", {"path": "//e"})["metadata"]["path_display"] == "/e"


def test_slashes_within_a_path_are_no_path(wire: Any) -> None:
    response = wire.rpc("files/get_metadata", {"path": "/d//f"})
    assert response.json()["error"]["path"][".tag"] == "malformed_path"


@pytest.mark.parametrize("secret", ["sandbox-secret", "wrong"])
def test_the_app_may_name_itself_in_the_header_of_a_token_request(wire: Any, secret: str) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "sandbox-refresh"}
    app = ("sandbox-app", secret)
    reply = wire.session.post(wire.url + "/oauth2/token", data=form, auth=app, timeout=20)
    if secret == "wrong":
        assert (reply.status_code, reply.json()["error"]) == (400, "invalid_client")
    else:
        token = reply.json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert wire.rpc("users/get_current_account", headers=headers).status_code == 200


@pytest.mark.parametrize("header", ["Basic", "Basic !", "Basic /w==", "Bearer sandbox-app"])
def test_a_header_that_names_no_app_is_refused(wire: Any, header: str) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "sandbox-refresh"}
    headers = {"Authorization": header}
    reply = wire.session.post(wire.url + "/oauth2/token", data=form, headers=headers, timeout=20)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_client")
