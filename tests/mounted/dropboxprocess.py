"""The Dropbox stand-in as a process, and what of it the tests look at."""

from __future__ import annotations

import errno
import json
import re
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mountfs.model.hashing import HashKind
from tests.mounted.sandboxprocess import PLENTY_BYTES, Asked, Refusal, SandboxProcess

FINISH = "files/upload_session/finish_batch"
APPENDS = "files/upload_session/append_v2"

_UPLOADS = re.compile(r"files/(upload|upload_session/.*)")
_EDITS = re.compile(r"files/(upload.*|create_folder.*|delete.*|move.*|copy.*)")
_REASONS = {Refusal.PERMISSION: "no_write_permission", Refusal.SPACE: "insufficient_space"}


class DropboxProcess(SandboxProcess):
    """A Dropbox as a child."""

    service = "dropbox"
    hash_kind = HashKind.DROPBOX
    quiet: Mapping[str, Any] = {
        "entry_failures": [],
        "job_duration_s": 0.05,
        "latency_ms": 0.0,
        "quota_bytes": PLENTY_BYTES,
    }
    routes: Mapping[Asked, tuple[str, ...]] = {
        Asked.START: ("files/upload_session/start*",),
        Asked.BYTES: ("files/upload_session/append*",),
        Asked.COMMIT: (FINISH,),
        Asked.OUTCOME: (f"{FINISH}/check",),
        Asked.DELETE: ("files/delete_batch*",),
        Asked.MOVE: ("files/move_batch*",),
        Asked.MKDIR: ("files/create_folder_batch*",),
        Asked.LISTING: ("files/list_folder",),
        Asked.STANDING: ("files/get_metadata", "files/list_folder"),
    }
    refused_names: Mapping[str, int] = {
        "desktop.ini": errno.EINVAL,
        "Thumbs.db": errno.EINVAL,
        "Icon\r": errno.EINVAL,
        ".dropbox": errno.EINVAL,
        ".dropbox.attr": errno.EINVAL,
        "back\\slash": errno.EINVAL,
        "rubbed\x7fout": errno.EINVAL,
        "space at the end ": errno.EINVAL,
        "not UTF-8 \udcff": errno.EINVAL,
        "ä" * 256: errno.ENAMETOOLONG,
    }
    keeps_times = False
    streams = True

    def remote(self) -> dict[str, str]:
        addresses = dict.fromkeys(("api_url", "content_url", "notify_url"), self.url)
        return {"type": "dropbox", "access_token": self.token, **addresses}

    def slow_commits(self, seconds: float) -> None:
        self.switches(job_duration_s=seconds)

    def refuse(self, name: str, why: Refusal) -> None:
        error = {".tag": "path", "reason": {".tag": _REASONS[why]}}
        self.switches(entry_failures=[{"path": f"*/{name}", "error": error}])

    def misstate_hash(self, path: str) -> None:
        stated = {**self._rpc("get_metadata", path=path), ".tag": "success", "content_hash": "0" * 64}
        answer = {"status": 200, "body": {".tag": "complete", "entries": [stated]}}
        self.faults({"route": f"{FINISH}/check", "action": "reply", "count": 1, **answer})

    def tree(self) -> dict[str, dict[str, Any]]:
        tree = super().tree()
        for entry in tree.values():
            if entry["kind"] == "file":
                entry["mtime_s"] = int(datetime.fromisoformat(entry["client_modified"]).timestamp())
        return tree

    def read(self, path: str) -> bytes:
        headers = {**self.authorization, "Dropbox-API-Arg": json.dumps({"path": path})}
        return self._fetch(
            urllib.request.Request(f"{self.url}/2/files/download", headers=headers, method="POST")
        )

    def versions(self, path: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self._rpc("list_revisions", path=path, limit=100)["entries"]
        return entries[::-1]

    def uploads(self) -> int:
        return sum(count for route, count in self.counts().items() if _UPLOADS.fullmatch(route))

    def edits(self) -> int:
        return sum(count for route, count in self.counts().items() if _EDITS.fullmatch(route))

    def moves(self) -> int:
        return sum(record["entries"] for record in self.log("files/move_batch_v2"))

    def peak_jobs(self) -> int:
        return int(self._get("counts")["peak_jobs"].get("finish_batch", 0))

    def _rpc(self, name: str, **argument: Any) -> Any:
        headers = {**self.authorization, "Content-Type": "application/json"}
        body = json.dumps(argument).encode()
        return self._ask(urllib.request.Request(f"{self.url}/2/files/{name}", body, headers))
