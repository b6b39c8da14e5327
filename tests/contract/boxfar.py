"""Box's client on the stand-in, as a far side of the contract suite."""

from __future__ import annotations

import json

from cloudsandbox.box import BoxSandbox
from cloudsandbox.faults import FaultKind, FaultRule
from mountfs.backends.box.backend import BoxBackend
from mountfs.backends.box.settings import BoxSettings
from mountfs.backends.http import HttpSettings
from mountfs.clock import SystemClock
from mountfs.model.order import OrderKind
from mountfs.ports import Backend
from tests.contract.far import DeafPort, OneToken

ROUTES = {
    "append": "sessions/part",
    "open_session": "sessions/create",
    "list_folder": "folders/items",
    "account": "users/me",
}
LAUNCHES = {
    OrderKind.PUT: "files/upload*",
    OrderKind.DELETE: "*/delete",
    OrderKind.MOVE: "*/update",
    OrderKind.MAKE_FOLDER: "folders/create",
}
UNLIMITED = 1_000_000


class BoxFar:
    """Sessions are taken for files of any size, and nothing waits for a rate."""

    refused_name = "bell\a.txt"

    def __init__(self, sandbox: BoxSandbox) -> None:
        self.sandbox = sandbox
        sandbox.set_switches(min_session_bytes=0, record_exchanges=True)
        self._deaf = DeafPort()
        self._opened: list[BoxBackend] = []
        self.backend: Backend = self.another()

    def another(self) -> BoxBackend:
        return self._connect("sandbox", self.sandbox.api_url, self.sandbox.upload_url)

    def sign_out(self) -> Backend:
        return self._connect("nobody", self.sandbox.api_url, self.sandbox.upload_url)

    def astray(self) -> Backend:
        return self._connect("sandbox", self._deaf.url, self._deaf.url)

    def _connect(self, token: str, api_url: str, upload_url: str) -> BoxBackend:
        settings = BoxSettings(
            api_url=api_url,
            upload_url=upload_url,
            uploads_per_minute=UNLIMITED,
            calls_per_minute=UNLIMITED,
        )
        backend = BoxBackend(settings, OneToken(token), SystemClock(), HttpSettings(read_timeout_s=10.0))
        self._opened.append(backend)
        return backend

    def write(self, path: str, body: bytes) -> None:
        self.sandbox.write(path, body)

    def mkdir(self, path: str) -> None:
        self.sandbox.create_folder(path)

    def remove(self, path: str) -> None:
        self.sandbox.delete(path)

    def move(self, source: str, target: str) -> None:
        self.sandbox.move(source, target)

    def read(self, path: str) -> bytes:
        return self.sandbox.read(path)

    def paths(self) -> set[str]:
        return set(self.sandbox.tree())

    def lose_sessions(self, *tokens: str) -> None:
        self.sandbox.expire_sessions(*(json.loads(token)["id"] for token in tokens))

    def void_cursors(self) -> None:
        self.sandbox.forget_events()

    def lose_reply(self, method: str, kind: OrderKind = OrderKind.PUT) -> None:
        route = LAUNCHES[kind] if method == "submit" else ROUTES[method]
        self.sandbox.set_faults([FaultRule(route=route, action=FaultKind.DROP_AFTER, count=1)])

    def go_down(self) -> None:
        self.sandbox.pause()

    def slow_jobs(self) -> None:
        self.sandbox.set_switches(pending_commits=3, commit_retry_after_s=0.0)

    def close(self) -> None:
        for backend in self._opened:
            backend.close()
        self._deaf.close()
