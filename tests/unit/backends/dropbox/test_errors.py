"""Dropbox's tags and statuses as our classes: the table of what each one means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mountfs.backends.dropbox.errors import CHECK, LOOKUP, from_response, from_union, is_stale_token, tags_of
from mountfs.backends.wire import Response
from mountfs.errors import (
    Busy,
    Conflict,
    Corrupt,
    Forbidden,
    InvalidArgument,
    IsADirectory,
    MountfsError,
    NameNotAllowed,
    NoSpace,
    NotADirectory,
    NotFound,
    NotPermitted,
    NotSignedIn,
    NotSupported,
    Offline,
    Refused,
    RequestTooBig,
    Resend,
    ServerFault,
    SessionLost,
    Throttled,
    TooLarge,
    TransferLimit,
    Transient,
)


def union(path: str) -> dict[str, Any]:
    """``a/b/c`` as nested unions."""
    tag, _, rest = path.partition("/")
    return {".tag": tag, tag: union(rest)} if rest else {".tag": tag}


TAGS: list[tuple[str, type[MountfsError]]] = [
    ("path/not_found", NotFound),
    ("path/not_file", IsADirectory),
    ("path/not_folder", NotADirectory),
    ("path/restricted_content", Forbidden),
    ("path/unsupported_content_type", NotSupported),
    ("path/locked", Forbidden),
    ("path/malformed_path", NameNotAllowed),
    ("path/disallowed_name", NameNotAllowed),
    ("path/conflict/file", Conflict),
    ("path/conflict/folder", Conflict),
    ("path/conflict/something_new", Conflict),
    ("path/conflict/file_ancestor", NotADirectory),
    ("path/insufficient_space", NoSpace),
    ("path/no_write_permission", Forbidden),
    ("path/access_restricted", Forbidden),
    ("path/team_folder", Forbidden),
    ("path/operation_suppressed", NotPermitted),
    ("path/too_many_write_operations", Busy),
    ("path/other", Refused),
    ("too_many_write_operations", Busy),
    ("unsupported_file", NotSupported),
    ("path_lookup/not_found", NotFound),
    ("path_write/conflict/file", Conflict),
    ("path_write/conflict", Conflict),
    ("too_many_files", NotPermitted),
    ("relocation_error/from_lookup/not_found", NotFound),
    ("relocation_error/to/conflict/file", Conflict),
    ("relocation_error/to/conflict/file_ancestor", NotADirectory),
    ("relocation_error/insufficient_quota", NoSpace),
    ("relocation_error/cant_move_folder_into_itself", InvalidArgument),
    ("relocation_error/duplicated_or_nested_paths", InvalidArgument),
    ("relocation_error/cant_move_into_vault/is_shared_folder", NotPermitted),
    ("relocation_error/too_many_files", NotPermitted),
    ("internal_error", ServerFault),
    ("lookup_failed/not_found", SessionLost),
    ("lookup_failed/closed", SessionLost),
    ("lookup_failed/not_closed", SessionLost),
    ("lookup_failed/incorrect_offset", Resend),
    ("lookup_failed/too_large", TooLarge),
    ("lookup_failed/payload_too_large", RequestTooBig),
    ("lookup_failed/concurrent_session_invalid_offset", InvalidArgument),
    ("lookup_failed/something_new", Refused),
    ("concurrent_session_not_closed", SessionLost),
    ("concurrent_session_missing_data", SessionLost),
    ("properties_error/template_not_found", SessionLost),
    ("too_many_shared_folder_targets", RequestTooBig),
    ("payload_too_large", RequestTooBig),
    ("content_hash_mismatch", Corrupt),
    ("length_mismatch", Corrupt),
    ("encryption_not_supported", NotPermitted),
    ("reset", Conflict),
    ("invalid_async_job_id", SessionLost),
    ("a_tag_from_the_future", Refused),
]


@pytest.mark.parametrize(("path", "kind"), TAGS)
def test_a_tag_has_its_class(path: str, kind: type[MountfsError]) -> None:
    error = from_union(union(path), "/x")
    assert type(error) is kind
    assert str(error) == f"/x: {path}"


@pytest.mark.parametrize(
    ("path", "prefix", "kind"),
    [
        ("not_found", LOOKUP, SessionLost),
        ("closed", LOOKUP, SessionLost),
        ("content_hash_mismatch", LOOKUP, Corrupt),
        ("too_many_files", "job", RequestTooBig),
        ("too_many_write_operations", "job", Busy),
        ("internal_error", CHECK, SessionLost),
        ("invalid_async_job_id", CHECK, SessionLost),
    ],
)
def test_where_a_tag_stands_decides(path: str, prefix: str, kind: type[MountfsError]) -> None:
    assert type(from_union(union(path), "/x", prefix)) is kind


@pytest.mark.parametrize("broken", [None, 5, [], {}, {".tag": 5}, {"tag": "x"}])
def test_what_is_no_union_is_refused(broken: object) -> None:
    assert type(from_union(broken, "/x")) is Refused


def test_unions_are_walked_in_every_shape() -> None:
    assert tags_of("reset") == (("reset",), {})
    assert tags_of({".tag": "malformed_path", "malformed_path": "why"})[0] == ("malformed_path",)
    assert tags_of(union("path/conflict/file"))[0] == ("path", "conflict", "file")
    flattened = {".tag": "path", "reason": union("conflict/file"), "upload_session_id": "u"}
    assert tags_of(flattened)[0] == ("path", "conflict", "file")


def reply(status: int, body: object = b"", **headers: str) -> Response:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    wait = headers.get("retry_after")
    return Response(status, {"x-dropbox-request-id": "abc"}, encoded, float(wait) if wait else None)


def envelope(path: str) -> dict[str, Any]:
    return {"error_summary": f"{path}/..", "error": union(path)}


STATUSES: list[tuple[Response, type[MountfsError]]] = [
    (reply(400, b"Error in call to API function"), Refused),
    (reply(401, envelope("expired_access_token")), NotSignedIn),
    (reply(401, envelope("invalid_access_token")), NotSignedIn),
    (reply(401, envelope("user_suspended")), NotSignedIn),
    (reply(401, envelope("invalid_select_user")), NotSignedIn),
    (reply(401, envelope("missing_scope")), Forbidden),
    (reply(401, b"who?"), NotSignedIn),
    (reply(403, envelope("invalid_account_type/feature")), TransferLimit),
    (reply(403, envelope("invalid_account_type/endpoint")), Forbidden),
    (reply(403, envelope("no_permission")), Forbidden),
    (reply(403, b"no"), ServerFault),
    (reply(404, b"no such route"), ServerFault),
    (reply(409, envelope("path/not_found")), NotFound),
    (reply(409, b"not json"), ServerFault),
    (reply(409, ["not", "an", "object"]), ServerFault),
    (reply(410, b""), ServerFault),
    (reply(411, b""), ServerFault),
    (reply(422, envelope("no_permission")), Forbidden),
    (reply(429, b"slow down"), Throttled),
    (reply(429, {"error": {"reason": {".tag": "too_many_requests"}, "retry_after": 300}}), Throttled),
    (reply(429, {"error": {"reason": {".tag": "too_many_write_operations"}, "retry_after": 1}}), Busy),
    (reply(500, b"oops"), ServerFault),
    (reply(503, b"", retry_after="9"), ServerFault),
    (reply(408, b""), ServerFault),
    (reply(412, b"<html>"), ServerFault),
    (reply(412, envelope("path/conflict/file")), ServerFault),
    (reply(421, b""), ServerFault),
    (reply(425, b""), ServerFault),
    (reply(302, b""), Offline),
]


@pytest.mark.parametrize(("response", "kind"), STATUSES)
def test_a_status_has_its_class(response: Response, kind: type[MountfsError]) -> None:
    error = from_response(response, "files/x")
    assert type(error) is kind
    assert str(error).startswith("files/x: ")
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("response", "wait_s"),
    [
        (reply(429, b"", retry_after="15"), 15.0),
        (reply(429, {"error": {"reason": {".tag": "too_many_requests"}, "retry_after": 300}}), 300.0),
        (reply(429, {"error": {"retry_after": 300}}, retry_after="15"), 15.0),
        (reply(429, b""), None),
        (reply(503, b"", retry_after="9"), 9.0),
        (reply(500, b""), None),
    ],
)
def test_the_time_to_wait_is_passed_on(response: Response, wait_s: float | None) -> None:
    error = from_response(response, "x")
    assert isinstance(error, Transient)
    assert error.retry_after_s == wait_s


def test_what_the_service_tells_the_user_is_in_the_message() -> None:
    body = envelope("invalid_account_type/feature") | {
        "user_message": {"locale": "en", "text": "Your team\nhas used it up."}
    }
    assert "Your team has used it up." in str(from_response(reply(403, body), "x"))


def test_a_missing_permission_is_named() -> None:
    body = {"error": {".tag": "missing_scope", "required_scope": "files.content.write"}}
    assert "files.content.write" in str(from_response(reply(401, body), "x"))


@pytest.mark.parametrize(
    ("response", "is_stale"),
    [
        (reply(401, envelope("expired_access_token")), True),
        (reply(401, envelope("invalid_access_token")), True),
        (reply(401, b""), True),
        (reply(401, envelope("missing_scope")), False),
        (reply(401, envelope("invalid_select_user")), False),
        (reply(403, envelope("no_permission")), False),
        (reply(200), False),
    ],
)
def test_only_a_bad_token_is_replaced(response: Response, is_stale: bool) -> None:
    assert is_stale_token(response) is is_stale
