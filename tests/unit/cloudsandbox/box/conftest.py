"""A running sandbox Box and a bare HTTP client of it."""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from cloudsandbox.box import BoxSandbox, BoxSwitches
from tests.fakes.boxschema import assert_conforms


class Wire:
    """Speaks the wire by hand, so that a test can also speak it wrongly."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False

    def call(self, method: str, path: str, argument: Any = None, **options: Any) -> requests.Response:
        headers = {"Authorization": "Bearer sandbox", **options.pop("headers", {})}
        if argument is not None:
            options["json"] = argument
        return self.session.request(method, self.url + path, headers=headers, timeout=20, **options)

    def ok(self, method: str, path: str, argument: Any = None, **options: Any) -> Any:
        response = self.call(method, path, argument, **options)
        assert response.status_code < 400, response.text
        return response.json() if response.content else None

    def form(self, path: str, parts: list[tuple[str, Any]], **headers: str) -> requests.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("POST", "/api/2.0" + path, files=parts, headers=given)

    def upload(self, name: str, data: bytes = b"data", parent: str = "0", **headers: str) -> Any:
        attributes = json.dumps({"name": name, "parent": {"id": parent}})
        parts = [("attributes", (None, attributes)), ("file", (name, data))]
        response = self.form("/files/content", parts, **headers)
        assert response.status_code == 201, response.text
        return response.json()["entries"][0]

    def begin(self, size_bytes: int, name: str = "big") -> Any:
        argument = {"folder_id": "0", "file_size": size_bytes, "file_name": name}
        return self.ok("POST", "/api/2.0/files/upload_sessions", argument)

    def part(self, session: Any, offset: int, piece: bytes, total: int, **headers: str) -> requests.Response:
        fixed = {
            "Content-Type": "application/octet-stream",
            "Digest": digest(piece),
            "Content-Range": f"bytes {offset}-{offset + len(piece) - 1}/{total}",
        }
        url = session["session_endpoints"]["upload_part"].removeprefix(self.url)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("PUT", url, data=piece, headers={**fixed, **given})

    def commit(self, session: Any, parts: list[Any], data: bytes, **argument: Any) -> requests.Response:
        url = session["session_endpoints"]["commit"].removeprefix(self.url)
        return self.call("POST", url, {"parts": parts, **argument}, headers={"Digest": digest(data)})

    def send(self, name: str, data: bytes) -> Any:
        """A whole file through a session."""
        session = self.begin(len(data), name)
        size = session["part_size"]
        parts = []
        for offset in range(0, len(data), size):
            response = self.part(session, offset, data[offset : offset + size], len(data))
            assert response.status_code == 200, response.text
            parts.append(response.json()["part"])
        return self.commit(session, parts, data)

    def control(self, name: str, argument: Any = None) -> Any:
        response = self.call("GET" if argument is None else "POST", f"/sandbox/{name}", argument)
        assert response.status_code == 200, response.text
        return response.json()

    def close(self) -> None:
        self.session.close()


def digest(data: bytes) -> str:
    return "sha=" + base64.b64encode(hashlib.sha1(data).digest()).decode()


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[BoxSandbox]:
    switches = BoxSwitches(min_session_bytes=10, part_size_bytes=1000, record_exchanges=True)
    with BoxSandbox(tmp_path / "data", switches=switches, token="sandbox") as running:
        yield running
        assert_conforms(running.exchanges(), refused_may_be_wrong=True)


@pytest.fixture
def client() -> type[Wire]:
    return Wire
