"""An account of a Dropbox, read back over its API."""

import json
from collections.abc import Iterable
from typing import Any

from cloudsandbox.dropbox.hashing import BlockHasher, combined
from cloudsandbox.fetching import answered, feed, for_each


class DropboxReader:
    """`Reader` with two of Dropbox's routes."""

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
            hasher = BlockHasher()
            feed(response, hasher)
        return combined(block.digest for block in hasher.blocks())
