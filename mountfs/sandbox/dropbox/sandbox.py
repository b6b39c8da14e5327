"""DropboxSandbox: the stand-in as an object, on a thread of this process or as the body of its own."""

import dataclasses
import shutil
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from mountfs.sandbox.control import Control, ControlError
from mountfs.sandbox.dropbox import foreign, routes_edits, routes_files, routes_upload, routes_users
from mountfs.sandbox.dropbox.dispatch import Dispatcher, error_response, named_sessions, request_id
from mountfs.sandbox.dropbox.errors import rate_limited, tag
from mountfs.sandbox.dropbox.service import DropboxAccount
from mountfs.sandbox.dropbox.switches import DropboxSwitches
from mountfs.sandbox.dropbox.tokens import ALL_SCOPES
from mountfs.sandbox.faults import FaultKind, FaultRule, FaultSchedule, parse_rules
from mountfs.sandbox.gate import Passage
from mountfs.sandbox.requestlog import RequestLog
from mountfs.sandbox.server import SandboxServer
from mountfs.sandbox.switches import updated

LINK_PREFIX = "/cd/0/get/"


class DropboxService:
    """The Dropbox side of the server: routes, links, the token endpoint, and the control commands."""

    def __init__(self, account: DropboxAccount, log: RequestLog) -> None:
        self.account = account
        routes = [*routes_files.ROUTES, *routes_edits.ROUTES, *routes_upload.ROUTES, *routes_users.ROUTES]
        self._dispatcher = Dispatcher(account, routes)
        self.surface = Control(self, log)

    async def start(self) -> None:
        """Get the account ready."""
        await self.account.start()

    async def stop(self) -> None:
        """Close the account."""
        await self.account.stop()

    def route_of(self, path: str) -> str:
        """The function of the API, `oauth2/token`, or `temporary_link`."""
        return "temporary_link" if path.startswith(LINK_PREFIX) else path.removeprefix("/2/").strip("/")

    def latency_s(self) -> float:
        """The switch latency_ms in seconds."""
        return self.account.switches.latency_ms / 1000

    async def handle(self, passage: Passage) -> web.StreamResponse:
        """Answer a request outside the control surface."""
        request = passage.request
        if request.path.startswith("/2/"):
            return await self._dispatcher.handle(passage)
        if request.path == "/oauth2/token" and request.method == "POST":
            return await routes_users.oauth_token(self.account, request)
        if request.path.startswith(LINK_PREFIX):
            return await routes_files.serve_link(self.account, passage, time.time())
        return web.Response(status=404, text="Not Found", headers=request_id())

    async def control(self, request: web.Request) -> web.StreamResponse:
        """Answer a request of the control surface."""
        return await self.surface.handle(request)

    async def fault(self, rule: FaultRule, request: web.Request) -> web.StreamResponse | None:
        """An expired token, a busy namespace, or sessions that are forgotten just before the call."""
        if rule.action is FaultKind.EXPIRED_TOKEN:
            return error_response(401, tag("expired_access_token"))
        if rule.action is FaultKind.BUSY_NAMESPACE:
            busy = rate_limited("too_many_write_operations", int(rule.retry_after_s or 1))
            return error_response(429, busy.error, rule.retry_after_s)
        if rule.action is FaultKind.SESSION_EXPIRED:
            await self.account.run(self.account.sessions.expire, await named_sessions(request))
        return None

    def switch(self, values: dict[str, Any]) -> None:
        """Change switches. Raises SwitchError."""
        self.account.apply(updated(self.account.switches, values))

    def switch_values(self) -> dict[str, Any]:
        """All switches as they are."""
        return dataclasses.asdict(self.account.switches)

    async def edit(self, change: dict[str, Any]) -> Any:
        """Change the account as another client would."""
        return await self.account.run(foreign.apply_edit, self.account, change, time.time())

    async def tree(self) -> Any:
        """Display path -> kind, id, rev, size, content_hash."""
        return await self.account.run(self.account.snapshot)

    async def service_control(self, name: str, argument: dict[str, Any]) -> Any:
        """`tokens` gives out a token; `cursors/reset` and `sessions/expire` make clients begin anew."""
        if name == "cursors/reset":
            return await self.account.run(self.account.reset_cursors)
        if name == "sessions/expire":
            return await self.account.run(self.account.sessions.expire, list(argument["session_ids"]))
        if name != "tokens":
            raise KeyError(name)
        scopes = frozenset(argument.get("scopes", ALL_SCOPES))
        if not scopes <= ALL_SCOPES:
            raise ControlError(f"unknown scopes {sorted(scopes - ALL_SCOPES)}")
        lifetime_s = float(argument.get("lifetime_s", self.account.switches.token_lifetime_s))
        issue = self.account.tokens.issue
        issued = await self.account.run(issue, None, scopes, lifetime_s, argument.get("token"))
        return {"access_token": issued.token}


class DropboxSandbox:
    """A Dropbox on loopback. Without *data* its state lives in a temporary directory that `stop` removes.

    `start` and `stop` may be called again and again; state in *data* carries over. Methods are for any thread
    but the sandbox's own.
    """

    def __init__(
        self,
        data: Path | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        switches: DropboxSwitches | None = None,
        faults: list[FaultRule] | None = None,
    ) -> None:
        self._data = data
        self._scratch: Path | None = None
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        self._switches = switches or DropboxSwitches()
        self._faults = faults or []
        self._server: SandboxServer | None = None
        self._service: DropboxService | None = None
        self.log = RequestLog()
        self.base_url = ""

    def build(self) -> SandboxServer:
        """The server, not yet listening: for a process that brings its own loop and calls its `serve`."""
        data = self._data
        if data is None:
            data = self._scratch = Path(tempfile.mkdtemp(prefix="mountfs-sandbox-"))
        service = DropboxService(DropboxAccount(data, self._switches, self.log), self.log)
        try:
            server = SandboxServer(
                service,
                self.log,
                FaultSchedule(self._faults),
                host=self._host,
                port=self._port,
                ssl_context=self._ssl_context,
            )
        except BaseException:
            service.account.io.shutdown()
            service.account.state.close()
            raise
        service.surface.gate = server.gate
        self._service, self._server = service, server
        return server

    def start(self) -> str:
        """Listen on a thread of its own; gives the base URL, which the three roles share."""
        try:
            self.base_url = self.build().start()
        except BaseException:
            self.stop()
            raise
        return self.base_url

    def stop(self) -> None:
        """Stop listening and close the state; harmless when not running."""
        if self._server is not None:
            self._server.stop()
        self._server = self._service = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch)
            self._scratch = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def set_faults(self, rules: list[FaultRule | dict[str, Any]]) -> None:
        """Put fault rules in force, their counters at zero; an empty list ends all faults."""
        parsed = [rule if isinstance(rule, FaultRule) else parse_rules([rule])[0] for rule in rules]
        server = self._running()[0]
        server.call(lambda: server.gate.faults.replace(parsed))

    def set_switches(self, **values: Any) -> None:
        """Change switches. Raises SwitchError."""
        server, service = self._running()
        server.call(lambda: service.switch(values))

    def pause(self) -> None:
        """Be down: every connection breaks, until `resume`."""
        server = self._running()[0]
        server.call(server.gate.pause)

    def resume(self) -> None:
        """Be up again."""
        server = self._running()[0]
        server.call(server.gate.resume)

    def write(self, path: str, data: bytes, client_modified: str | None = None) -> dict[str, Any]:
        """Write a file as another client; gives its metadata."""
        account = self._running()[1].account
        entry = self._on_state(foreign.write, account, path, data, client_modified, time.time())
        return {"rev": entry.revision.rev, "id": entry.id, "path_display": entry.path_display}

    def delete(self, path: str) -> None:
        """Delete a file or folder as another client."""
        self.edit({"op": "delete", "path": path})

    def move(self, from_path: str, to_path: str) -> None:
        """Move a file or folder as another client."""
        self.edit({"op": "move", "from_path": from_path, "to_path": to_path})

    def create_folder(self, path: str) -> None:
        """Create a folder as another client."""
        self.edit({"op": "mkdir", "path": path})

    def edit(self, change: dict[str, Any]) -> dict[str, Any]:
        """Change the account as another client, as `POST /sandbox/edit` does. Raises ControlError."""
        account = self._running()[1].account
        result: dict[str, Any] = self._on_state(foreign.apply_edit, account, change, time.time())
        return result

    def read(self, path: str) -> bytes:
        """The content of a file, straight from the state."""
        data: bytes = self._on_state(foreign.read, self._running()[1].account, path)
        return data

    def tree(self) -> dict[str, dict[str, Any]]:
        """Display path -> what is there: kind, and for files rev, size, content_hash, client_modified."""
        snapshot: dict[str, dict[str, Any]] = self._on_state(self._running()[1].account.snapshot)
        return snapshot

    def files(self) -> dict[str, dict[str, Any]]:
        """The files of `tree`."""
        return {path: each for path, each in self.tree().items() if each["kind"] == "file"}

    def issue_token(
        self, scopes: list[str] | None = None, lifetime_s: float = 14400.0, token: str | None = None
    ) -> str:
        """Give out an access token with these scopes, all when None."""
        account = self._running()[1].account
        granted = ALL_SCOPES if scopes is None else frozenset(scopes)
        issued = self._on_state(account.tokens.issue, None, granted, lifetime_s, token)
        return str(issued.token)

    def reset_cursors(self) -> None:
        """Make every cursor given out so far answer `reset`."""
        self._on_state(self._running()[1].account.reset_cursors)

    def expire_sessions(self, *session_ids: str) -> None:
        """Make upload sessions unknown."""
        self._on_state(self._running()[1].account.sessions.expire, list(session_ids))

    def _on_state(self, work: Callable[..., Any], *args: Any) -> Any:
        return self._running()[1].account.state.submit(work, *args).result()

    def _running(self) -> tuple[SandboxServer, DropboxService]:
        if self._server is None or self._service is None:
            raise RuntimeError("the sandbox is not running")
        return self._server, self._service
