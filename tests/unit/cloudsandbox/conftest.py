"""A running sandbox and a bare HTTP client of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from cloudsandbox.dropbox import DropboxSandbox


class Wire:
    """Speaks the wire by hand, so that a test can also speak it wrongly."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False

    def rpc(self, route: str, argument: Any = None, **options: Any) -> requests.Response:
        headers = {
            "Authorization": "Bearer sandbox",
            "Content-Type": "application/json",
            **options.pop("headers", {}),
        }
        data = options.pop("data", json.dumps(argument))
        return self.session.post(f"{self.url}/2/{route}", data=data, headers=headers, timeout=20, **options)

    def content(self, route: str, argument: Any, data: bytes = b"", **headers: str) -> requests.Response:
        fixed = {
            "Authorization": "Bearer sandbox",
            "Content-Type": "application/octet-stream",
            "Dropbox-API-Arg": json.dumps(argument),
        }
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.post(f"{self.url}/2/{route}", data=data, headers={**fixed, **given}, timeout=20)

    def upload(self, path: str, data: bytes, **commit: Any) -> dict[str, Any]:
        response = self.content("files/upload", {"path": path, **commit}, data)
        assert response.status_code == 200, response.text
        result: dict[str, Any] = response.json()
        return result

    def ok(self, route: str, argument: Any = None) -> Any:
        response = self.rpc(route, argument)
        assert response.status_code == 200, response.text
        return response.json()

    def control(self, name: str, argument: Any = None) -> Any:
        if argument is None:
            response = self.ask_control("GET", name)
        else:
            response = self.ask_control("POST", name, argument)
        assert response.status_code == 200, response.text
        return response.json()

    def ask_control(
        self, method: str, name: str, argument: Any = None, token: str = "sandbox"
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{self.url}/sandbox/{name}"
        return self.session.request(method, url, json=argument, headers=headers, timeout=20)

    def close(self) -> None:
        self.session.close()


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[DropboxSandbox]:
    with DropboxSandbox(tmp_path / "data", token="sandbox") as running:
        yield running


@pytest.fixture
def client() -> type[Any]:
    """The kind of the clients below; that of the other service in its own folder."""
    return Wire


@pytest.fixture
def wire(sandbox: Any, speak: Any) -> Any:
    return speak(sandbox.base_url)


@pytest.fixture
def speak(client: type[Any]) -> Iterator[Any]:
    """Makes more clients: `speak(url)`."""
    made: list[Any] = []

    def make(url: str) -> Any:
        made.append(client(url))
        return made[-1]

    yield make
    for each in made:
        each.close()
