"""BoxSandbox: the Box side of a server, and the sandbox around it."""

from pathlib import Path
from typing import Any

from aiohttp import web

from cloudsandbox.accountservice import AccountService
from cloudsandbox.box import (
    authorize,
    downloads,
    foreign,
    routes_account,
    routes_items,
    routes_sessions,
    routes_trash,
    routes_upload,
)
from cloudsandbox.box.dispatch import Dispatcher, error_reply, response_of
from cloudsandbox.box.errors import Refusal, unauthorized
from cloudsandbox.box.service import BoxAccount
from cloudsandbox.box.switches import BoxSwitches
from cloudsandbox.exchanges import Exchange
from cloudsandbox.faults import FaultKind, FaultRule
from cloudsandbox.gate import Passage
from cloudsandbox.inprocess import Sandbox
from cloudsandbox.requestlog import RequestLog


class BoxService(AccountService[BoxAccount]):
    """The Box side of the server: routes and the control commands."""

    def __init__(self, account: BoxAccount, log: RequestLog, token: str) -> None:
        super().__init__(account, log, token)
        self._dispatcher = Dispatcher(
            account,
            [
                *routes_trash.ROUTES,  # before those of a folder: `trash` is no id of one
                *routes_items.ROUTES,
                *downloads.ROUTES,
                *routes_upload.ROUTES,
                *routes_sessions.ROUTES,
                *routes_account.ROUTES,
                *authorize.ROUTES,
            ],
        )

    def route_of(self, request: web.Request) -> str:
        """The name of the route; the method and the path when there is none."""
        found = self._dispatcher.find(request)
        return found[0].name if found is not None else f"{request.method} {request.path}"

    async def handle(self, passage: Passage) -> web.StreamResponse:
        """Answer a request outside the control surface."""
        return await self._dispatcher.handle(passage)

    async def fault(self, rule: FaultRule, request: web.Request) -> web.StreamResponse | None:
        """An expired token, a locked tree, or a session that expires just before the call."""
        if rule.action is FaultKind.EXPIRED_TOKEN:
            return response_of(error_reply(unauthorized()))
        if rule.action is FaultKind.BUSY_NAMESPACE:
            wait = {} if rule.retry_after_s is None else {"Retry-After": f"{rule.retry_after_s:g}"}
            busy = Refusal(409, "operation_blocked_temporary", "Blocked by another operation", None, wait)
            return response_of(error_reply(busy))
        found = self._dispatcher.find(request)
        if rule.action is FaultKind.SESSION_EXPIRED and found is not None and "session_id" in found[1]:
            await self.account.run(self.account.sessions.expire, [found[1]["session_id"]])
        return None

    async def edit(self, change: dict[str, Any]) -> Any:
        """Change the account as another client would."""
        return await self.account.run(foreign.apply_edit, self.account, change)

    async def census(self) -> Any:
        """How many files and folders there are."""
        return await self.account.run(self.account.items.census)

    async def service_report(self, name: str) -> Any:
        """`sessions`, those that are open, and `exchanges`, those kept."""
        if name == "sessions":
            return await self.account.run(self.account.sessions_snapshot)
        if name == "exchanges":
            return self.account.exchanges.as_json()
        raise KeyError(name)

    async def service_control(self, name: str, argument: dict[str, Any]) -> Any:
        """`tokens` gives out a token; `sessions/expire`, `events/forget`, `exchanges/clear` let go."""
        account = self.account
        match name:
            case "sessions/expire":
                return await account.run(account.sessions.expire, list(argument.get("session_ids", [])))
            case "events/forget":
                return await account.run(account.events.forget)
            case "exchanges/clear":
                return account.exchanges.clear()
            case "tokens":
                lifetime_s = float(argument.get("lifetime_s", account.switches.token_lifetime_s))
                issued = await account.run(account.tokens.issue, lifetime_s, argument.get("token"))
                return {"access_token": issued}
        raise KeyError(name)


class BoxSandbox(Sandbox[BoxService, BoxSwitches]):
    """A Box on loopback, its hosts on one port: `api_url`, `upload_url` and `token_url`."""

    def _usual_switches(self) -> BoxSwitches:
        return BoxSwitches()

    @property
    def api_url(self) -> str:
        """What stands for https://api.box.com/2.0."""
        return self.base_url + "/2.0"

    @property
    def upload_url(self) -> str:
        """What stands for https://upload.box.com/api/2.0."""
        return self.base_url + "/api/2.0"

    @property
    def token_url(self) -> str:
        """What stands for https://api.box.com/oauth2/token."""
        return self.base_url + "/oauth2/token"

    def _make_service(self, data: Path) -> BoxService:
        return BoxService(BoxAccount(data, self._switches, self.log), self.log, self.token)

    def _apply_edit(self, service: BoxService, change: dict[str, Any]) -> dict[str, Any]:
        return foreign.apply_edit(service.account, change)

    def _content(self, service: BoxService, path: str) -> bytes:
        return foreign.read(service.account, path)

    def write(self, path: str, data: bytes, content_modified_at: str | None = None) -> dict[str, Any]:
        """Write a file as another client, with the folders above it; gives its id, etag and sha1."""
        account = self._running()[1].account
        item = self._on_state(foreign.write, account, path, data, content_modified_at)
        return {"id": str(item.id), "etag": str(item.etag), "sha1": item.version.content.sha1}

    def sessions(self) -> list[dict[str, Any]]:
        """The upload sessions that are open: id, target, sizes, and the offsets of the parts."""
        listed: list[dict[str, Any]] = self._on_state(self._running()[1].account.sessions_snapshot)
        return listed

    def expire_sessions(self, *session_ids: str) -> None:
        """Let the time of upload sessions be over; of all open ones when none is named."""
        self._on_state(self._running()[1].account.sessions.expire, list(session_ids))

    def forget_events(self) -> None:
        """Make every position given out so far too old."""
        self._on_state(self._running()[1].account.events.forget)

    def issue_token(self, lifetime_s: float = 3600.0, token: str | None = None) -> str:
        """Give out an access token."""
        return str(self._on_state(self._running()[1].account.tokens.issue, lifetime_s, token))

    def exchanges(self) -> list[Exchange]:
        """The requests and replies kept while the switch record_exchanges is on."""
        return self._running()[1].account.exchanges.all()
