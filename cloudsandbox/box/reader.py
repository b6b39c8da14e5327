"""An account of a Box, read back over its API."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlencode

from cloudsandbox.fetching import answered, feed, for_each

ROOT_FOLDER_ID = "0"


class BoxReader:
    """`Reader` by the listings of all folders, and downloads by id."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._authorization = {"Authorization": f"Bearer {token}"}
        self._ids: dict[str, str] = {}

    def listed_hashes(self) -> dict[str, str]:
        found: dict[str, str] = {}
        folders = [("", ROOT_FOLDER_ID)]
        while folders:
            above, folder_id = folders.pop()
            for item in self._items(folder_id):
                path = f"{above}/{item['name']}"
                if item["type"] == "folder":
                    folders.append((path, item["id"]))
                else:
                    self._ids[path] = item["id"]
                    found[path] = item["sha1"]
        return found

    def downloaded_hashes(self, paths: Iterable[str]) -> dict[str, str]:
        return for_each(paths, self._downloaded_hash)

    def _items(self, folder_id: str) -> Iterator[dict[str, Any]]:
        query = {"fields": "name,sha1", "limit": "1000", "usemarker": "true"}
        while True:
            url = f"{self._url}/2.0/folders/{folder_id}/items?{urlencode(query)}"
            with answered("GET", url, 200, headers=self._authorization) as response:
                page = json.loads(response.read())
            yield from page["entries"]
            if not page.get("next_marker"):
                return
            query["marker"] = page["next_marker"]

    def _downloaded_hash(self, path: str) -> str:
        """The service answers with an address that is signed, and must not be shown the token."""
        url = f"{self._url}/2.0/files/{self._ids[path]}/content"
        with answered("GET", url, 302, headers=self._authorization) as redirect:
            location = redirect.headers["Location"]
        with answered("GET", location, 200) as response:
            digest = hashlib.sha1(usedforsecurity=False)
            feed(response, digest)
        return digest.hexdigest()
