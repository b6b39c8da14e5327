"""An account in memory as a far side, and what of it the tests look at."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from mountfs.model.hashing import HashKind
from tests.mounted.sandboxprocess import PLENTY_BYTES, Asked, Refusal, SandboxProcess

_WHY = {Refusal.PERMISSION: "permission", Refusal.SPACE: "space"}
_UPLOADS = ("new_sessions", "open_session", "append_pack", "append", "upload_whole", "submit/put", "poll/put")
_EDITS = ("new_sessions", "open_session", "append_pack", "append", "upload_whole", "submit/", "poll/")


class MemoryProcess(SandboxProcess):
    """The simplest service that keeps the contract, as a child; what it knows ends with it."""

    service = "memory"
    program = "tests.mounted.memoryserver"
    mountfs = ("tests.mounted.memorymount",)
    hash_kind = HashKind.DROPBOX
    quiet: Mapping[str, Any] = {
        "job_duration_s": 0.05,
        "latency_ms": 0.0,
        "quota_bytes": PLENTY_BYTES,
        "refusals": [],
        "misstatements": 0,
    }
    routes: Mapping[Asked, tuple[str, ...]] = {
        Asked.START: ("new_sessions", "open_session"),
        Asked.BYTES: ("append_pack", "append", "upload_whole"),
        Asked.COMMIT: ("submit/put",),
        Asked.OUTCOME: ("poll/put",),
        Asked.DELETE: ("submit/delete",),
        Asked.MOVE: ("submit/move",),
        Asked.MKDIR: ("submit/mkdir",),
        Asked.LISTING: ("list_folder", "list_page"),
        Asked.STANDING: ("stat", "list_folder", "list_page"),
    }
    refused_names: Mapping[str, int] = {
        "desktop.ini": errno.EINVAL,
        "Thumbs.db": errno.EINVAL,
        "not UTF-8 \udcff": errno.EINVAL,
        "x" * 256: errno.ENAMETOOLONG,
    }
    keeps_times = False
    streams = True

    def __init__(self, data: Any, **switches: Any) -> None:
        super().__init__(data, **{**self.quiet, **switches})

    def remote(self) -> dict[str, str]:
        return {"type": "dropbox", "access_token": self.token, "api_url": self.url}

    def slow_commits(self, seconds: float) -> None:
        self.switches(job_duration_s=seconds)

    def refuse(self, name: str, why: Refusal) -> None:
        self.switches(refusals=[{"name": name, "why": _WHY[why]}])

    def misstate_hash(self, path: str) -> None:
        self.switches(misstatements=1)

    def read(self, path: str) -> bytes:
        text: str = self._post("content", {"path": path})
        return text.encode("latin-1")

    def versions(self, path: str) -> list[dict[str, Any]]:
        versions: list[dict[str, Any]] = self._post("versions", {"path": path})
        return versions

    def uploads(self) -> int:
        return sum(record["route"] in _UPLOADS for record in self.log())

    def edits(self) -> int:
        return sum(record["route"].startswith(_EDITS) for record in self.log())

    def moves(self) -> int:
        return sum(record["entries"] for record in self.log("submit/move"))

    def peak_jobs(self) -> int:
        return int(self._get("most_at_once"))
