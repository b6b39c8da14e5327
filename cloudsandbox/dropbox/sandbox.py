"""DropboxSandbox: the Dropbox side of a server, and the sandbox around it."""

import time
from pathlib import Path
from typing import Any

from aiohttp import web

from cloudsandbox.accountservice import AccountService
from cloudsandbox.control import ControlError
from cloudsandbox.dropbox import authorize, foreign, routes_edits, routes_files, routes_upload, routes_users
from cloudsandbox.dropbox.dispatch import Dispatcher, error_response, named_sessions, request_id
from cloudsandbox.dropbox.errors import rate_limited, tag
from cloudsandbox.dropbox.service import DropboxAccount
from cloudsandbox.dropbox.switches import DropboxSwitches
from cloudsandbox.dropbox.tokens import ALL_SCOPES
from cloudsandbox.faults import FaultKind, FaultRule
from cloudsandbox.gate import Passage
from cloudsandbox.inprocess import Sandbox
from cloudsandbox.requestlog import RequestLog

LINK_PREFIX = "/cd/0/get/"


class DropboxService(AccountService[DropboxAccount]):
    """The Dropbox side of the server: routes, links, the OAuth pages, and the control commands."""

    def __init__(self, account: DropboxAccount, log: RequestLog, token: str) -> None:
        super().__init__(account, log, token)
        routes = [*routes_files.ROUTES, *routes_edits.ROUTES, *routes_upload.ROUTES, *routes_users.ROUTES]
        self._dispatcher = Dispatcher(account, routes)
        self._authorization = authorize.Authorization(account)

    def route_of(self, request: web.Request) -> str:
        """The function of the API, `oauth2/token`, or `temporary_link`."""
        path = request.path
        return "temporary_link" if path.startswith(LINK_PREFIX) else path.removeprefix("/2/").strip("/")

    async def handle(self, passage: Passage) -> web.StreamResponse:
        """Answer a request outside the control surface."""
        request = passage.request
        if request.path.startswith("/2/"):
            return await self._dispatcher.handle(passage)
        if request.path == authorize.PATH and request.method in ("GET", "POST"):
            return await self._authorization.page(request)
        if request.path == "/oauth2/token" and request.method == "POST":
            form = await routes_users.token_form(request)
            if form.get("grant_type") == "authorization_code":
                return await self._authorization.exchange(form)
            return await routes_users.refresh(self.account, form)
        if request.path.startswith(LINK_PREFIX):
            return await routes_files.serve_link(self.account, passage, time.time())
        return web.Response(status=404, text="Not Found", headers=request_id())

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

    async def edit(self, change: dict[str, Any]) -> Any:
        """Change the account as another client would."""
        return await self.account.run(foreign.apply_edit, self.account, change, time.time())

    async def census(self) -> Any:
        """How many files and folders there are."""
        return await self.account.run(self.account.tree.census)

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


class DropboxSandbox(Sandbox[DropboxService, DropboxSwitches]):
    """A Dropbox on loopback, its three roles on one port."""

    def _usual_switches(self) -> DropboxSwitches:
        return DropboxSwitches()

    def _make_service(self, data: Path) -> DropboxService:
        return DropboxService(DropboxAccount(data, self._switches, self.log), self.log, self.token)

    def _apply_edit(self, service: DropboxService, change: dict[str, Any]) -> dict[str, Any]:
        return foreign.apply_edit(service.account, change, time.time())

    def _content(self, service: DropboxService, path: str) -> bytes:
        return foreign.read(service.account, path)

    def write(self, path: str, data: bytes, client_modified: str | None = None) -> dict[str, Any]:
        """Write a file as another client; gives its metadata."""
        account = self._running()[1].account
        entry = self._on_state(foreign.write, account, path, data, client_modified, time.time())
        return {"rev": entry.revision.rev, "id": entry.id, "path_display": entry.path_display}

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
