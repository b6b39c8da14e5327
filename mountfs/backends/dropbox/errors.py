"""Dropbox's error tags and HTTP statuses in the words of the file system."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from mountfs.backends import checked
from mountfs.backends.throttle import bounded_s
from mountfs.backends.wire import OF_FORM, Response
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

REQUEST_ID = "x-dropbox-request-id"
LOOKUP = "lookup_failed"
"""The tag above a session's error; the append routes leave it out."""

CHECK = "check"
"""Put above the errors of asking after a job."""

CLASS_OF: dict[str, type[MountfsError]] = {
    # Anywhere.
    "too_many_write_operations": Busy,
    "too_many_requests": Throttled,
    "internal_error": ServerFault,
    # LookupError, WriteError.
    "not_found": NotFound,
    "invalid_revision": NotFound,
    "in_progress": Busy,
    "not_file": IsADirectory,
    "not_folder": NotADirectory,
    "restricted_content": Forbidden,
    "unsupported_content_type": NotSupported,
    "unsupported_file": NotSupported,
    "locked": Forbidden,
    "malformed_path": NameNotAllowed,
    "disallowed_name": NameNotAllowed,
    "conflict": Conflict,
    "conflict/file_ancestor": NotADirectory,
    "no_write_permission": Forbidden,
    "access_restricted": Forbidden,
    "team_folder": Forbidden,
    "insufficient_space": NoSpace,
    "insufficient_quota": NoSpace,
    "operation_suppressed": NotPermitted,
    # RelocationError, DeleteError.
    "cant_move_folder_into_itself": InvalidArgument,
    "duplicated_or_nested_paths": InvalidArgument,
    "cant_copy_shared_folder": NotPermitted,
    "cant_nest_shared_folder": NotPermitted,
    "cant_transfer_ownership": NotPermitted,
    "cant_move_shared_folder": NotPermitted,
    "cant_move_into_vault": NotPermitted,
    "cant_move_into_family": NotPermitted,
    "too_many_files": NotPermitted,
    "job/too_many_files": RequestTooBig,
    # Upload sessions. What a resend cannot mend is begun again with another session.
    "lookup_failed/not_found": SessionLost,
    "lookup_failed/closed": SessionLost,
    "lookup_failed/not_closed": SessionLost,
    "concurrent_session_not_closed": SessionLost,
    "concurrent_session_missing_data": SessionLost,
    "incorrect_offset": Resend,
    "concurrent_session_invalid_offset": InvalidArgument,
    "concurrent_session_invalid_data_size": InvalidArgument,
    "concurrent_session_data_not_allowed": InvalidArgument,
    "concurrent_session_close_not_allowed": InvalidArgument,
    "content_hash_mismatch": Corrupt,
    "length_mismatch": Corrupt,
    "too_large": TooLarge,
    "payload_too_large": RequestTooBig,
    "too_many_shared_folder_targets": RequestTooBig,
    # The bytes were stored, only the properties were not: a look at the target settles it.
    "properties_error": SessionLost,
    "encryption_not_supported": NotPermitted,
    # Jobs and cursors.
    "invalid_async_job_id": SessionLost,
    # "Verify, then try again": asking once more would give the same answer for ever.
    "check/internal_error": SessionLost,
    "reset": Conflict,
    # HTTP 401, 403, 422.
    "invalid_access_token": NotSignedIn,
    "expired_access_token": NotSignedIn,
    "user_suspended": NotSignedIn,
    "invalid_select_user": NotSignedIn,
    "invalid_select_admin": NotSignedIn,
    "missing_scope": Forbidden,
    "route_access_denied": Forbidden,
    # Also what a team gets whose monthly data transport is used up.
    "invalid_account_type/feature": TransferLimit,
    "invalid_account_type": Forbidden,
    "paper_access_denied": Forbidden,
    "team_access_denied": Forbidden,
    "no_permission": Forbidden,
    "invalid_root": Forbidden,
}
"""By tag, or by tags joined with a slash where the one above decides; the longest match counts."""

_PLAIN: dict[int, type[MountfsError]] = {400: Refused, 401: NotSignedIn}
"""What a status says without an error in JSON. Any other one is no word of the service, which has none but
those and 403, 409 and 422, with a tag in JSON (HTTP documentation, error handling): a proxy or a portal
answers."""

_MOST_TAGS = 8
_MOST_TAG_CHARS = 100
"""Both far beyond those of the reference."""


def tags_of(union: Any) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """The tags of a Stone union from the outside in, and the fields beside the innermost one.

    A payload may be nested under its tag's name or flattened beside it (``upload``'s ``path`` has its
    own under ``reason``); one that is absent, or a plain value, ends the walk.
    """
    tags: list[str] = []
    fields: Mapping[str, Any] = {}
    while len(tags) < _MOST_TAGS:
        if isinstance(union, str):
            return (*tags, checked.words(union, _MOST_TAG_CHARS)), {}
        if not isinstance(union, Mapping) or not isinstance(union.get(".tag"), str):
            return tuple(tags), fields
        tag, fields = union[".tag"], union
        tags.append(checked.words(tag, _MOST_TAG_CHARS))
        nested = union.get(tag, union.get("reason"))
        if not isinstance(nested, Mapping):
            return tuple(tags), fields
        union = nested
    return tuple(tags), fields


def from_union(union: Any, where: str, *prefix: str) -> MountfsError:
    """The error a union stands for; *where* begins its message, *prefix* are tags left out above it.

    A tag we do not know is Refused: what fails like that is kept and shown, never sent for ever.
    """
    tags, fields = tags_of(union)
    kind = _class_of((*prefix, *tags))
    message = f"{where}: {'/'.join(tags) or 'unknown error'}"
    if "missing_scope" in tags:
        message += f" ({checked.brief(fields.get('required_scope'))}); sign in again with this permission"
    return kind(message)


def _class_of(tags: tuple[str, ...]) -> type[MountfsError]:
    for end in range(len(tags), 0, -1):
        for start in range(end):
            kind = CLASS_OF.get("/".join(tags[start:end]))
            if kind is not None:
                return kind
    return Refused


def is_foreign(response: Response) -> bool:
    """Whether something on the way answered. What is wrong with a request as such the service says with 400
    alone, and with the header that each of its replies has."""
    if response.is_foreign:
        return True
    return response.status in OF_FORM and (response.status != 400 or REQUEST_ID not in response.headers)


def is_stale_token(response: Response) -> bool:
    """Whether another access token may be the answer; a missing scope needs more than that."""
    if response.status != 401:
        return False
    tags, _ = tags_of(error_in(response))
    return not tags or tags[0] in ("expired_access_token", "invalid_access_token")


def from_response(response: Response, route: str, *prefix: str) -> MountfsError:
    """The error that a reply with a status other than 2xx stands for."""
    status = response.status
    if status == 429:
        return _rate_limit(response, route)
    # No call of ours states a condition in a header: that one failed is not the service's word.
    if response.is_fault or status == 412:
        request_id = response.headers.get(REQUEST_ID, "none")[:80]
        return ServerFault(f"{route}: HTTP {status} (request {request_id})", response.retry_after_s)
    if status in (401, 403, 409, 422):
        error = error_in(response)
        if isinstance(error, Mapping) and tags_of(error)[0]:  # others have errors in JSON as well
            return _with_user_message(from_union(error, route, *prefix), response)
    # The service itself sends no redirects: a portal of the local network answers in its place.
    kind = Offline if status < 400 else _PLAIN.get(status, ServerFault)
    return kind(f"{route}: HTTP {status}: {_first_line(response)}")


def _rate_limit(response: Response, route: str) -> MountfsError:
    """Plain text, or no known reason, counts as too many requests; a time may be in the body only."""
    error = error_in(response)
    wait_s = response.retry_after_s
    kind: type[Transient] = Throttled
    if isinstance(error, Mapping):
        tags, _ = tags_of(error.get("reason"))
        kind = Busy if tags[:1] == ("too_many_write_operations",) else Throttled
        stated = error.get("retry_after")
        if wait_s is None and stated is not None:
            with contextlib.suppress(ServerFault):
                wait_s = bounded_s(checked.seconds(stated, "retry_after"))
    return kind(f"{route}: the service asks to slow down", wait_s)


def error_in(response: Response) -> Any:
    """The ``error`` of a JSON envelope, or None."""
    try:
        envelope = response.json()
    except ServerFault:
        return None
    return envelope.get("error") if isinstance(envelope, Mapping) else None


def _with_user_message(error: MountfsError, response: Response) -> MountfsError:
    """What the service wants the user to read, if anything, behind our own line."""
    message = response.json().get("user_message")
    with contextlib.suppress(ServerFault):
        text = checked.text(checked.obj(message, "user_message").get("text"), "text")
        error.args = (f"{error}: {' '.join(text.split())}",)
    return error


def _first_line(response: Response) -> str:
    return response.text.partition("\n")[0][:200]
