"""The Box stand-in as a process, and what of it the tests look at."""

from __future__ import annotations

import errno
import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudsandbox.exchanges import Exchange
from mountfs.model.hashing import HashKind
from tests.fakes.boxschema import assert_conforms
from tests.mounted.sandboxprocess import PLENTY_BYTES, Asked, Refusal, SandboxProcess

UPLOADS = "files/upload"
PARTS = "sessions/part"
COMMITS = "sessions/commit"

UNPACED = {"uploads_per_minute": "1000000", "calls_per_minute": "1000000"}
"""Keys of a remote whose rate is not the point."""

SMALL_PARTS = {"part_size_bytes": 512 * 1024, "min_session_bytes": 1_000_000}
SMALL_PARTS_REMOTE = {"small_file_bytes": str(SMALL_PARTS["min_session_bytes"])}
"""Switches, and keys of a remote, with which a few MB are as many parts as 50 MB are: the mount goes by what
the service says of a session."""

_CODES = {
    Refusal.PERMISSION: "access_denied_insufficient_permissions",
    Refusal.SPACE: "storage_limit_exceeded",
}


class BoxProcess(SandboxProcess):
    """A Box as a child; every exchange is kept."""

    service = "box"
    hash_kind = HashKind.SHA1
    quiet: Mapping[str, Any] = {
        "pending_commits": 0,
        "latency_ms": 0.0,
        "quota_bytes": PLENTY_BYTES,
        "refusals": [],
        "viewed_folders": [],
    }
    routes: Mapping[Asked, tuple[str, ...]] = {
        Asked.START: ("sessions/create*",),
        Asked.BYTES: ("files/upload*", PARTS),
        Asked.COMMIT: ("files/upload*", COMMITS),
        Asked.DELETE: ("files/delete", "folders/delete"),
        Asked.MOVE: ("files/update", "folders/update"),
        Asked.MKDIR: ("folders/create",),
        Asked.LISTING: ("folders/items",),
        Asked.STANDING: ("folders/items", "files/get"),
    }
    refused_names: Mapping[str, int] = {
        "back\\slash": errno.EINVAL,
        "rubbed\x7fout": errno.EINVAL,
        "bell\a": errno.EINVAL,
        "next\x85line": errno.EINVAL,
        " space before": errno.EINVAL,
        "space behind ": errno.EINVAL,
        "not UTF-8 \udcff": errno.EINVAL,
        "n" * 256: errno.ENAMETOOLONG,
    }
    keeps_times = True
    streams = False

    def __init__(self, data: Path, **switches: Any) -> None:
        super().__init__(data, **{"record_exchanges": True, **switches})

    def remote(self) -> dict[str, str]:
        return {
            "type": "box",
            "access_token": self.token,
            "api_url": f"{self.url}/2.0",
            "upload_url": f"{self.url}/api/2.0",
            "token_url": f"{self.url}/oauth2/token",
            **UNPACED,
        }

    def slow_commits(self, seconds: float) -> None:
        self.spoil(Asked.COMMIT, "stall", stall_s=seconds)

    def refuse(self, name: str, why: Refusal) -> None:
        self.switches(refusals=[{"name": name, "status": 403, "code": _CODES[why]}])

    def misstate_hash(self, path: str) -> None:
        address = f"{self.url}/2.0/files/{self.tree()[path]['id']}"
        stated = {**json.loads(self._fetch(_signed(address))), "sha1": "0" * 40}
        answer = {"status": 201, "body": {"total_count": 1, "entries": [stated]}}
        self.faults({"route": "files/upload*", "action": "reply", "count": 1, **answer})

    def tree(self) -> dict[str, dict[str, Any]]:
        tree = super().tree()
        for entry in tree.values():
            if entry["kind"] == "file":
                entry |= {"content_hash": entry["sha1"], "mtime_s": entry["content_modified_s"]}
        return tree

    def read(self, path: str) -> bytes:
        return self._fetch(_signed(f"{self.url}/2.0/files/{self.tree()[path]['id']}/content"))

    def versions(self, path: str) -> list[dict[str, Any]]:
        entry = self.tree()[path]
        old = json.loads(self._fetch(_signed(f"{self.url}/2.0/files/{entry['id']}/versions")))["entries"]
        return [*({**each, "content_hash": each["sha1"]} for each in reversed(old)), entry]

    def revisions(self, path: str) -> int:
        return int(self.tree()[path]["versions"])

    def uploads(self) -> int:
        return sum(count for route, count in self.counts().items() if _is_upload(route))

    def edits(self) -> int:
        changes = ("/create", "/update", "/delete", "/copy", "/promote")
        counts = self.counts().items()
        return sum(count for route, count in counts if _is_upload(route) or route.endswith(changes))

    def moves(self) -> int:
        # Its id, and where it goes: a change of the time alone names no second place.
        return sum(len(record["paths"]) > 1 for record in self.asked(Asked.MOVE))

    def committed_names(self) -> list[str]:
        return [record["paths"][-1].rpartition("/")[2] for record in self.asked(Asked.COMMIT)]

    def sessions(self) -> list[dict[str, Any]]:
        """The upload sessions that are open."""
        found: list[dict[str, Any]] = self._get("sessions")
        return found

    def exchanges(self) -> list[Exchange]:
        """All requests that were looked at, with their replies."""
        return [Exchange(**each) for each in self._get("exchanges")]

    def check(self) -> None:
        assert_conforms(self.exchanges())
        self._post("exchanges/clear")

    def statuses(self, route: str) -> list[int | None]:
        """What was answered on a route, in order of arrival."""
        return [record["status"] for record in self.log(route)]

    def ranges(self) -> list[str]:
        """``Content-Range`` of every part that was taken, one sent twice twice."""
        return [
            each.request_headers["content-range"]
            for each in self.exchanges()
            if each.method == "PUT" and "content-range" in each.request_headers and each.status in (200, 201)
        ]


def _signed(address: str) -> urllib.request.Request:
    request = urllib.request.Request(address)
    # Not sent on to where a download is redirected.
    request.add_unredirected_header("Authorization", f"Bearer {SandboxProcess.token}")
    return request


def _is_upload(route: str) -> bool:
    return route.startswith(("files/upload", "sessions/"))
