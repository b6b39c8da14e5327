"""The Box stand-in as a process, and what of it the tests look at."""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mountfs.model.hashing import HashKind
from mountfs.sandbox.exchanges import Exchange
from tests.mounted.sandboxprocess import DEADLINE_S, SandboxProcess

UPLOADS = "files/upload"
PARTS = "sessions/part"
COMMITS = "sessions/commit"

UNPACED = {"service": "box", "uploads_per_minute": "1000000", "calls_per_minute": "1000000"}
"""Keys of a remote whose rate is not the point."""


class BoxProcess(SandboxProcess):
    """A Box as a child; every exchange is kept."""

    service = "box"
    hash_kind = HashKind.SHA1
    quiet: Mapping[str, Any] = {
        "pending_commits": 0,
        "latency_ms": 0.0,
        "quota_bytes": 2_000_000_000_000,
    }

    def __init__(self, data: Path, **switches: Any) -> None:
        super().__init__(data, record_exchanges=True, **switches)

    def uploads(self) -> int:
        """Requests that carry bytes up, or begin, commit or end a session."""
        return sum(count for route, count in self.counts().items() if _is_upload(route))

    def edits(self) -> int:
        """Requests that change the account."""
        changes = ("/create", "/update", "/delete", "/copy", "/promote")
        counts = self.counts().items()
        return sum(count for route, count in counts if _is_upload(route) or route.endswith(changes))

    def tree(self) -> dict[str, dict[str, Any]]:
        """Path -> kind, id, and of files size, versions, content_modified_s; `content_hash` is the SHA-1."""
        tree = super().tree()
        return {path: {**each, "content_hash": each.get("sha1")} for path, each in tree.items()}

    def content(self, path: str) -> bytes:
        address = f"{self.url}/2.0/files/{self.tree()[path]['id']}/content"
        request = urllib.request.Request(address, headers={"Authorization": "Bearer sandbox"})
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
            content: bytes = response.read()
            return content

    def revisions(self, path: str) -> int:
        return int(self.tree()[path]["versions"])

    def sessions(self) -> list[dict[str, Any]]:
        """The upload sessions that are open."""
        found: list[dict[str, Any]] = self._get("sessions")
        return found

    def exchanges(self) -> list[Exchange]:
        """All requests that were looked at, with their replies."""
        return [Exchange(**each) for each in self._get("exchanges")]

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


def _is_upload(route: str) -> bool:
    return route.startswith(("files/upload", "sessions/"))


@contextlib.contextmanager
def box_process(data: Path, **switches: Any) -> Iterator[BoxProcess]:
    """A Box that runs while the block does."""
    box = BoxProcess(data, **switches)
    try:
        box.start()
        yield box
    finally:
        box.stop()
