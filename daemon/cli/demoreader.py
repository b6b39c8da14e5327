"""Reads the demonstration's account back over the service's HTTP API, by nothing of the mount's own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

from daemon.failure import Failure
from mountfs.model.hashing import HashKind, hasher

TIMEOUT_S = 60.0
READERS = 4
PIECE_BYTES = 1024 * 1024


class ServiceReader:
    """Lists and downloads with two of Dropbox's routes; a connection per call, loopback only."""

    def __init__(self, url: str, token: str) -> None:
        address = urlsplit(url)
        self._host = address.hostname or ""
        self._port = address.port
        self._token = token

    def listed_hashes(self) -> dict[str, str]:
        """Every file of the account with the content hash the service states for it. Failure."""
        page = self._call("/2/files/list_folder", {"path": "", "recursive": True})
        entries: list[dict[str, Any]] = page["entries"]
        while page["has_more"]:
            page = self._call("/2/files/list_folder/continue", {"cursor": page["cursor"]})
            entries += page["entries"]
        return {entry["path_display"]: entry["content_hash"] for entry in entries if entry[".tag"] == "file"}

    def downloaded_hashes(self, paths: Iterable[str]) -> dict[str, str]:
        """The content hash of the bytes that the service delivers for each path. Failure."""
        wanted = list(paths)
        with ThreadPoolExecutor(READERS, thread_name_prefix="read-back") as pool:
            return dict(zip(wanted, pool.map(self._downloaded_hash, wanted), strict=True))

    def _call(self, route: str, argument: dict[str, Any]) -> dict[str, Any]:
        connection = self._connection()
        try:
            headers = {"Content-Type": "application/json", **self._authorization()}
            connection.request("POST", route, json.dumps(argument).encode(), headers)
            answer: dict[str, Any] = json.loads(self._checked(route, connection.getresponse()).read())
        except (OSError, HTTPException, ValueError) as error:
            raise Failure(f"reading back: {route}: {error}") from None
        finally:
            connection.close()
        return answer

    def _downloaded_hash(self, path: str) -> str:
        route = "/2/files/download"
        connection = self._connection()
        state = hasher(HashKind.DROPBOX)
        try:
            headers = {"Dropbox-API-Arg": json.dumps({"path": path}), **self._authorization()}
            connection.request("POST", route, headers=headers)
            response = self._checked(f"{route} {path}", connection.getresponse())
            while piece := response.read(PIECE_BYTES):
                state.update(piece)
        except (OSError, HTTPException) as error:
            raise Failure(f"reading back: {path}: {error}") from None
        finally:
            connection.close()
        return state.hexdigest()

    def _connection(self) -> HTTPConnection:
        return HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    @staticmethod
    def _checked(what: str, response: HTTPResponse) -> HTTPResponse:
        if response.status != 200:
            raise Failure(f"reading back: {what}: the service answered {response.status} {response.reason}")
        return response
