"""The ways in which a request can go wrong, by service: most befall any route, some only a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from tests.faults.rig import PATIENCE_S, STALL_S


class End(StrEnum):
    """What is to come of it."""

    ONCE = "everything arrives, each version once"
    PARKED = "some stay behind with their reason, and arrive once when asked after the fault is over"
    TAKEN_BACK = "what is refused has no effect in the mount either"
    HELD = "the account is full: files wait, and go on by themselves when there is room"


@dataclass(frozen=True, slots=True)
class Fault:
    """*rule*: of the schedule, for one place of one of the *routes*. *switches*: of the service, instead of a
    rule; they are felt on these routes."""

    name: str
    rule: Mapping[str, Any] = field(default_factory=dict)
    routes: Sequence[str] = ("*",)
    switches: Mapping[str, Any] = field(default_factory=dict)
    end: End = End.ONCE
    resends: bool = False
    """Whether the service then holds less than it acknowledged, so that bytes have to travel again."""
    patience_s: float = PATIENCE_S
    """How long replies are waited for."""
    is_told: bool = False
    """Whether people are to hear of it, though it ends well."""

    @property
    def times(self) -> int:
        """How often it occurs, at most."""
        counts = (rule.get("count", 1) for rules in self.switches.values() for rule in rules)
        return int(self.rule.get("count", 1)) if self.rule else sum(counts)

    def fits(self, route: str) -> bool:
        return any(fnmatchcase(route, pattern) for pattern in self.routes)


def _reply(status: int, body: Any = None, **more: Any) -> dict[str, Any]:
    return {"action": "reply", "status": status, "body": body, "count": 1, **more}


ANYWHERE: tuple[Fault, ...] = (
    Fault("429 with Retry-After", _reply(429, retry_after_s=7)),
    Fault("429 without", _reply(429)),
    Fault("429 ten times", _reply(429, count=10)),
    Fault("500", _reply(500)),
    Fault("500 ten times", _reply(500, count=10)),
    Fault("503", _reply(503)),
    Fault("503 with Retry-After", _reply(503, retry_after_s=7)),
    Fault(
        "stall past the deadline, applied late",
        {"action": "stall", "stall_s": STALL_S + 0.1, "count": 1},
        patience_s=STALL_S,
    ),
    Fault("reset before", {"action": "drop_before", "count": 1}),
    Fault("reset in the request", {"action": "drop_request", "cut_bytes": 100, "count": 1}),
    Fault("reply cut", {"action": "cut_body", "cut_bytes": 10, "count": 1}),
    Fault("reply lost after it was applied", {"action": "drop_after", "count": 1}),
    Fault("garbage instead of JSON", {"action": "garbage", "count": 1}),
    Fault("token expired", {"action": "expired_token", "count": 1}),
)


def _union(tag: str, **fields: Any) -> dict[str, Any]:
    return {"error_summary": f"{tag}/..", "error": {".tag": tag, **fields}}


def _entries(name: str, error: Any, route: str, count: int | None = None, **more: Any) -> Fault:
    failure = {"path": "*", "route": route, "error": error, **({} if count is None else {"count": count})}
    return Fault(name, routes=(route,), switches={"entry_failures": [failure]}, **more)


_APPENDS = ("files/upload_session/append*",)
_FINISH = "files/upload_session/finish_batch"
_CHECKS = ("*/check", "*/check_v2")
_COPY = "files/copy_batch_v2"
_EDITS = ("files/delete_batch", "files/move_batch_v2", _COPY, "files/create_folder_batch")
_WRITES = ("files/upload_session/*", *_EDITS)
_BATCHES = (_FINISH, *_EDITS)

DROPBOX: tuple[Fault, ...] = (
    Fault(
        "hash of other bytes",
        {"action": "wrong_hash", "count": 1},
        (f"{_FINISH}*",),
        resends=True,
        is_told=True,
    ),
    Fault(
        "hash of other bytes in a copy",
        {"action": "wrong_hash", "count": 1},
        (f"{_COPY[:-3]}*",),
        resends=True,
    ),
    Fault("no copies", _reply(403, _union("route_access_denied"), count=3), (_COPY,), resends=True),
    *(
        _entries(f"{way}/{tag} of copies", {".tag": way, way: {".tag": tag}}, _COPY, count, resends=True)
        for way, tag, count in (
            ("from_lookup", "not_found", 1),
            ("from_lookup", "restricted_content", 9),
            ("to", "no_write_permission", 2),
        )
    ),
    _entries("cant_copy_shared_folder", "cant_copy_shared_folder", _COPY, 2, resends=True),
    Fault(
        "session expired",
        {"action": "session_expired", "count": 1},
        (*_APPENDS, _FINISH),
        resends=True,
    ),
    Fault(
        "incorrect_offset",
        _reply(409, _union("incorrect_offset", correct_offset=0)),
        ("files/upload_session/append_v2",),
        resends=True,
    ),
    Fault("closed", _reply(409, _union("closed")), ("files/upload_session/append_v2",), resends=True),
    Fault("namespace busy", {"action": "busy_namespace", "count": 3, "retry_after_s": 1}, _WRITES),
    Fault("job stays in progress", _reply(200, {".tag": "in_progress"}, count=8), _CHECKS),
    Fault("internal_error of a job", _reply(409, _union("internal_error")), _CHECKS),
    Fault("job unknown", _reply(409, _union("invalid_async_job_id")), _CHECKS),
    *(
        _entries(f"{tag} of {count} entries of {route}", tag, route, count)
        for route in _BATCHES
        for tag in ("too_many_write_operations", "internal_error")
        for count in (2, 5)
    ),
    _entries(
        "not_closed of some entries",
        {".tag": "lookup_failed", "lookup_failed": {".tag": "not_closed"}},
        _FINISH,
        2,
        resends=True,
    ),
    *(
        _entries(f"{tag} of {route}", error, route, end=end)
        for tag, end in (
            ("insufficient_space", End.HELD),
            ("no_write_permission", End.PARKED),
            ("disallowed_name", End.PARKED),
        )
        for route, error in ((_FINISH, {".tag": "path", "reason": {".tag": tag}}),)
    ),
    *(
        _entries(
            f"no_write_permission of {route}",
            {".tag": way, way: {".tag": "no_write_permission"}},
            route,
            end=end,
        )
        for route, way, end in (
            ("files/delete_batch", "path_write", End.TAKEN_BACK),
            ("files/move_batch_v2", "to", End.TAKEN_BACK),
            ("files/create_folder_batch", "path", End.PARKED),
        )
    ),
)


def _error(status: int, code: str, **more: Any) -> dict[str, Any]:
    body = {"type": "error", "status": status, "code": code, "message": code, "request_id": "abcdef"}
    return _reply(status, body, **more)


_BOX_FILES = ("files/upload*", "sessions/commit")
_BOX_PARTS = ("sessions/part", "sessions/commit")
_BOX_CHANGES = ("*/update", "*/delete")
_BOX_WRITES = ("files/upload*", "files/copy", "sessions/*", "folders/create", *_BOX_CHANGES)
_ALWAYS = 10_000
_DENIED = "access_denied_insufficient_permissions"

BOX: tuple[Fault, ...] = (
    Fault(
        "hash of other bytes", {"action": "wrong_hash", "count": 1}, _BOX_FILES, resends=True, is_told=True
    ),
    Fault(
        "hash of other bytes in a copy", {"action": "wrong_hash", "count": 1}, ("files/copy",), resends=True
    ),
    Fault("no copies", _error(403, _DENIED, count=_ALWAYS), ("files/copy",), resends=True),
    Fault("nothing to copy", _error(404, "not_found", count=2), ("files/copy",), resends=True),
    Fault(
        "account full for copies",
        _error(403, "storage_limit_exceeded", count=_ALWAYS),
        ("files/copy",),
        end=End.HELD,
    ),
    Fault("session expired", {"action": "session_expired", "count": 1}, _BOX_PARTS, resends=True),
    Fault(
        "412", _error(412, "precondition_failed"), ("files/upload_version", "sessions/commit", *_BOX_CHANGES)
    ),
    Fault("tree locked", {"action": "busy_namespace", "count": 3, "retry_after_s": 1}, _BOX_WRITES),
    Fault("202 for minutes", _reply(202, retry_after_s=10, count=30), ("sessions/commit",)),
    Fault("parts_mismatch soon after the parts", routes=("sessions/commit",), switches={"early_commits": 2}),
    Fault("account full", _error(403, "storage_limit_exceeded", count=_ALWAYS), _BOX_FILES, end=End.HELD),
    Fault("no permission for files", _error(403, _DENIED, count=_ALWAYS), _BOX_FILES, end=End.PARKED),
    Fault(
        "no permission for folders", _error(403, _DENIED, count=_ALWAYS), ("folders/create",), end=End.PARKED
    ),
    Fault("no permission for changes", _error(403, _DENIED, count=_ALWAYS), _BOX_CHANGES, end=End.TAKEN_BACK),
    Fault("name refused", _error(400, "item_name_invalid", count=_ALWAYS), ("files/upload",), end=End.PARKED),
)

FAULTS: Mapping[str, tuple[Fault, ...]] = {
    "dropbox": (*ANYWHERE, *DROPBOX),
    "box": (*ANYWHERE, *BOX),
}
