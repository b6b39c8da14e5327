"""Box's error codes and HTTP statuses in the words of the file system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mountfs.backends import checked
from mountfs.backends.wire import BY_ANYBODY, OF_FORM, Response
from mountfs.errors import (
    Busy,
    Conflict,
    Corrupt,
    DirectoryNotEmpty,
    Forbidden,
    InvalidArgument,
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
    Transient,
)

NAME_IN_USE = "item_name_in_use"
SESSION_CONFLICT = "session_conflict"
PART_OVERLAPS = "range_overlaps_existing_part"
PARTS_MISMATCH = "parts_mismatch"
TOO_SMALL = "file_size_too_small"
NOT_EMPTY = "folder_not_empty"
MOVED_ALONE = "operation_limit_exceeded"
"""Of a folder that is to be moved and changed otherwise in one request (reference, PUT /folders/:id)."""


class FailedCondition(ServerFault):
    """412 to a request that states no condition."""


class RequestTooLarge(TooLarge):
    """413: more bytes than the service takes in one request."""


CLASS_OF: dict[str, type[MountfsError]] = {
    # 400
    "bad_digest": Corrupt,
    "item_name_invalid": NameNotAllowed,
    "item_name_too_long": NameTooLong,
    NOT_EMPTY: DirectoryNotEmpty,
    "cyclical_folder_structure": InvalidArgument,
    "invalid_upload_session_id": SessionLost,
    PARTS_MISMATCH: Corrupt,
    # 403
    "access_denied_item_locked": Locked,
    "storage_limit_exceeded": NoSpace,
    "file_size_limit_exceeded": TooLarge,
    # 404
    "not_found": NotFound,
    "trashed": NotFound,
    # 409
    NAME_IN_USE: Conflict,
    "conflict": Conflict,
    "name_temporarily_reserved": Busy,
    "operation_blocked_temporary": Busy,
    PART_OVERLAPS: Conflict,
    # 410
    "session_expired": SessionLost,
    "upload_failed": SessionLost,
    # 412
    "precondition_failed": Conflict,
    "sync_state_precondition_failed": Conflict,
}
"""By ``code``, which decides; where it is unknown or missing the status does."""

CLASS_OF_STATUS: dict[int, type[MountfsError]] = {
    401: NotSignedIn,
    403: Forbidden,
    404: NotFound,
    405: InvalidArgument,
    409: Conflict,
    410: SessionLost,
    412: Conflict,
    413: RequestTooLarge,
    423: Locked,
}

_WITHOUT_CODE = BY_ANYBODY | {401, 412, 416}
"""May come from the service without a code: of the token, a condition, a range."""
_SIGNED = OF_FORM | {403, 405, 415}
"""Without a code the service's where nothing but a header of its own comes with it."""


def code_of(response: Response) -> str:
    """The ``code`` of an error's body; empty where there is none, as in many 401s."""
    code = body_of(response).get("code")
    return checked.words(code, 80) if isinstance(code, str) else ""


def is_foreign(response: Response) -> bool:
    """Whether something on the way answered. What an item or a session has against a call the service says
    with a ``code``, in JSON. What it has against the caller or the request as such it may say by a header of
    its own alone, and that a token lacks a scope as OAuth does; that something is gone, or in the way, it
    never says without a word."""
    status = response.status
    if response.is_foreign:
        return True
    if not 400 <= status < 500 or status in _WITHOUT_CODE or code_of(response):
        return False
    if status == 403 and body_of(response).get("error") == "insufficient_scope":  # RFC 6750, 3.1
        return False
    return status not in _SIGNED or bool(response.body.strip()) or not _is_signed(response)


def _is_signed(response: Response) -> bool:
    """Whether a header tells that the service itself answered: its name for the request, or what it has
    against the token (RFC 6750, 3)."""
    challenge = response.headers.get("www-authenticate", "")
    return "box-request-id" in response.headers or challenge.lower().startswith("bearer")


def body_of(response: Response) -> Mapping[str, Any]:
    """The body as an object; an empty one where it is something else."""
    try:
        body = response.json()
    except ServerFault:
        return {}
    return body if isinstance(body, Mapping) else {}


def conflicting_item(response: Response) -> Mapping[str, Any] | None:
    """What holds the name, of a 409; the reference says a list, files come as a single object."""
    context = body_of(response).get("context_info")
    conflicts = context.get("conflicts") if isinstance(context, Mapping) else None
    if isinstance(conflicts, list):
        conflicts = conflicts[0] if conflicts else None
    if isinstance(conflicts, Mapping) and isinstance(conflicts.get("id"), str):
        return conflicts
    return None


def is_held_by_link(response: Response) -> bool:
    """Whether a name is refused because a web link has it: no listing of ours shows that."""
    if response.status != 409 or code_of(response) != NAME_IN_USE:
        return False
    return (conflicting_item(response) or {}).get("type") == "web_link"


def from_response(response: Response, where: str) -> MountfsError:
    """The error that a reply with a status other than 2xx stands for; *where* begins its message.

    A code we do not know is judged by its status, and one of those is Refused: what fails like that is
    kept and shown, never sent for ever.
    """
    status, code = response.status, code_of(response)
    if status == 429:
        return Throttled(f"{where}: the service asks to slow down", response.retry_after_s)
    if response.is_fault:
        return ServerFault(
            f"{where}: HTTP {status} (request {_request_id(response)})", response.retry_after_s
        )
    if status < 400:
        # A redirect, or a success of an unknown kind: a portal of the local network answers.
        return Offline(f"{where}: HTTP {status}: {_first_line(response)}")
    if is_held_by_link(response):
        return NameNotAllowed(f"{where}: a web link of Box, which a mount does not show, has this name")
    kind = CLASS_OF.get(code) or CLASS_OF_STATUS.get(status, Refused)
    message = f"{where}: {code or f'HTTP {status}'}{_explained(response)}"
    if issubclass(kind, Transient):
        return kind(message, response.retry_after_s)
    return kind(message)


def _explained(response: Response) -> str:
    """The service's own sentence, if it gives one."""
    body = body_of(response)
    text = body.get("message") or body.get("error_description")
    if isinstance(text, str) and text.strip():
        return f": {checked.words(' '.join(text[:1000].split()), 200)}"
    return "" if body else f": {_first_line(response)}"


def _request_id(response: Response) -> str:
    stated = response.headers.get("box-request-id") or body_of(response).get("request_id")
    return checked.words(stated, 80) if isinstance(stated, str) else "none"


def _first_line(response: Response) -> str:
    return response.text.partition("\n")[0][:200] or "no text"
