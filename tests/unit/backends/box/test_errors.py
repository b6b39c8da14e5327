"""Codes and statuses in our words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mountfs.backends.box.errors import CLASS_OF, RequestTooLarge, code_of, conflicting_item, from_response
from mountfs.backends.wire import Response
from mountfs.errors import (
    Busy,
    Conflict,
    DirectoryNotEmpty,
    Forbidden,
    Locked,
    MountfsError,
    NameNotAllowed,
    NameTooLong,
    NoSpace,
    NotFound,
    NotSignedIn,
    Offline,
    Refused,
    ServerFault,
    SessionLost,
    Throttled,
    TooLarge,
)


def reply(status: int, code: str | None = None, wait_s: float | None = None, **more: Any) -> Response:
    body = {"type": "error", "status": status, "code": code, "message": "So it is", **more}
    return Response(status, {}, b"" if code is None else json.dumps(body).encode(), wait_s)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "item_name_invalid", NameNotAllowed),
        (400, "item_name_too_long", NameTooLong),
        (400, "folder_not_empty", DirectoryNotEmpty),
        (400, "something_new", Refused),
        (400, "invalid_upload_session_id", SessionLost),
        (401, None, NotSignedIn),
        (403, "storage_limit_exceeded", NoSpace),
        (403, "file_size_limit_exceeded", TooLarge),
        (403, "access_denied_insufficient_permissions", Forbidden),
        (403, "operation_limit_exceeded", Forbidden),
        (403, "access_denied_item_locked", Locked),
        (403, None, Forbidden),
        (404, "trashed", NotFound),
        (404, None, NotFound),
        (409, "item_name_in_use", Conflict),
        (409, "operation_blocked_temporary", Busy),
        (409, "name_temporarily_reserved", Busy),
        (410, "session_expired", SessionLost),
        (412, "precondition_failed", Conflict),
        (413, None, RequestTooLarge),
        (423, None, Locked),
        (429, "rate_limit_exceeded", Throttled),
        (500, None, ServerFault),
        (503, "unavailable", ServerFault),
        (302, None, Offline),
        (408, None, ServerFault),
        (421, None, ServerFault),
        (425, None, ServerFault),
    ],
)
def test_an_error_has_its_class(status: int, code: str | None, kind: type[MountfsError]) -> None:
    assert type(from_response(reply(status, code), "x")) is kind


def test_every_code_is_one_of_our_errors() -> None:
    assert all(issubclass(kind, MountfsError) for kind in CLASS_OF.values())


def test_the_time_to_wait_is_the_services() -> None:
    for status, code in ((429, "rate_limit_exceeded"), (503, None), (409, "operation_blocked_temporary")):
        error = from_response(reply(status, code, 7.0), "x")
        assert isinstance(error, Throttled | ServerFault | Busy)
        assert error.retry_after_s == 7.0


def test_the_message_is_one_line_with_the_services_sentence() -> None:
    error = from_response(reply(409, "item_name_in_use", message="Item with\nthe same name"), "/A/x")
    assert str(error) == "/A/x: item_name_in_use: Item with the same name"
    assert "request abc" in str(from_response(reply(500, "oops", request_id="abc"), "x"))


def test_text_that_is_no_json_is_shown_by_its_first_line() -> None:
    error = from_response(Response(400, {}, b"<html>\nmore"), "x")
    assert str(error) == "x: HTTP 400: <html>"


@pytest.mark.parametrize("shape", [list, dict])
def test_what_holds_a_name_comes_alone_or_in_a_list(shape: type) -> None:
    item = {"type": "file", "id": "12", "sha1": "00"}
    conflicts = [item] if shape is list else item
    response = reply(409, "item_name_in_use", context_info={"conflicts": conflicts})
    assert conflicting_item(response) == item
    assert code_of(response) == "item_name_in_use"


@pytest.mark.parametrize(
    "context", [None, {}, {"conflicts": []}, {"conflicts": [3]}, {"conflicts": {"id": 3}}]
)
def test_nothing_that_holds_a_name_is_none(context: object) -> None:
    assert conflicting_item(reply(409, "item_name_in_use", context_info=context)) is None
    assert conflicting_item(Response(409, {}, b"[]")) is None
