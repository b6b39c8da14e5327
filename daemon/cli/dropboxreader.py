"""The demonstration's eyes on a Dropbox."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from daemon.cli.demoreader import answered, for_each, hash_of_body
from mountfs.model.hashing import HashKind, hasher


class DropboxReader:
    """``ServiceReader`` with two of Dropbox's routes."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._authorization = {"Authorization": f"Bearer {token}"}

    def listed_hashes(self) -> dict[str, str]:
        page = self._call("files/list_folder", {"path": "", "recursive": True})
        entries: list[dict[str, Any]] = page["entries"]
        while page["has_more"]:
            page = self._call("files/list_folder/continue", {"cursor": page["cursor"]})
            entries += page["entries"]
        return {entry["path_display"]: entry["content_hash"] for entry in entries if entry[".tag"] == "file"}

    def downloaded_hashes(self, paths: Iterable[str]) -> dict[str, str]:
        return for_each(paths, self._downloaded_hash)

    def _call(self, route: str, argument: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", **self._authorization}
        body = json.dumps(argument).encode()
        with answered("POST", f"{self._url}/2/{route}", 200, body, headers) as response:
            answer: dict[str, Any] = json.loads(response.read())
        return answer

    def _downloaded_hash(self, path: str) -> str:
        headers = {"Dropbox-API-Arg": json.dumps({"path": path}), **self._authorization}
        with answered("POST", f"{self._url}/2/files/download", 200, None, headers) as response:
            return hash_of_body(response, hasher(HashKind.DROPBOX))
