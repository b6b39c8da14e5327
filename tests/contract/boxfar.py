"""Box's client on the stand-in, as a far side of the contract suite."""

from __future__ import annotations

import json

from cloudsandbox.box import BoxSandbox
from mountfs.backends.box.backend import BoxBackend
from mountfs.backends.box.settings import BoxSettings
from mountfs.backends.http import HttpSettings
from mountfs.clock import SystemClock
from mountfs.model.order import OrderKind
from tests.contract.far import OneToken, SandboxFar

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
    OrderKind.COPY: "*/copy",
    OrderKind.MAKE_FOLDER: "folders/create",
}
UNLIMITED = 1_000_000


class BoxFar(SandboxFar):
    """Sessions are taken for files of any size, and nothing waits for a rate."""

    refused_name = "bell\a.txt"
    routes = ROUTES
    launches = LAUNCHES

    def __init__(self, sandbox: BoxSandbox) -> None:
        self.sandbox = sandbox
        sandbox.set_switches(min_session_bytes=0, record_exchanges=True)
        super().__init__(sandbox)

    def _connect(self, token: str, url: str) -> BoxBackend:
        settings = BoxSettings(
            api_url=f"{url}/2.0",
            upload_url=f"{url}/api/2.0",
            uploads_per_minute=UNLIMITED,
            calls_per_minute=UNLIMITED,
        )
        return BoxBackend(settings, OneToken(token), SystemClock(), HttpSettings(read_timeout_s=10.0))

    def lose_sessions(self, *tokens: str) -> None:
        self.sandbox.expire_sessions(*(json.loads(token)["id"] for token in tokens))

    def void_cursors(self) -> None:
        self.sandbox.forget_events()

    def slow_jobs(self) -> None:
        self.sandbox.set_switches(pending_commits=3, commit_retry_after_s=0.0)
