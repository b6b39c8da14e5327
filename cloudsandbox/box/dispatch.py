"""From an HTTP request to a route and back: the rules of the wire that hold for all routes."""

import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aiohttp import web

from cloudsandbox.box.errors import Refusal, bad_parameter, bad_request, method_not_allowed, not_found
from cloudsandbox.box.names import number_of
from cloudsandbox.box.service import BoxAccount
from cloudsandbox.box.views import parsed_fields
from cloudsandbox.exchanges import Exchange
from cloudsandbox.gate import Passage

HELP_URL = "http://developers.box.com/docs/#errors"
API_PREFIX = "/2.0"
UPLOAD_PREFIX = "/api/2.0"


class Host(StrEnum):
    """Which of the service's hosts a route is on; here each is a prefix of the path."""

    API = "api"
    UPLOAD = "upload"
    SESSION = "session"  # where session_endpoints lead; also the upload host
    PLAIN = "plain"  # the path as it stands


class Takes(StrEnum):
    """What a route takes as its body."""

    NOTHING = "nothing"
    JSON = "json"
    FORM = "form"
    STREAM = "stream"  # the handler reads it


@dataclass(slots=True)
class Call:
    """One call of a route; *argument* is the JSON object or the form."""

    account: BoxAccount
    passage: Passage
    params: dict[str, str]
    exchange: Exchange
    argument: dict[str, Any] = field(default_factory=dict)

    @property
    def request(self) -> web.Request:
        """The HTTP request."""
        return self.passage.request

    @property
    def base_url(self) -> str:
        """Where the client found this server."""
        return f"{self.request.scheme}://{self.request.host}"

    @property
    def fields(self) -> list[str] | None:
        """The query parameter `fields`. Raises Refusal."""
        return parsed_fields(self.request.query.get("fields"))

    @property
    def if_match(self) -> str | None:
        """The header If-Match."""
        return self.request.headers.get("If-Match")

    @property
    def token(self) -> str:
        """The access token that opened the account to this call."""
        return self.request.headers["Authorization"].partition(" ")[2]

    def number(self, name: str) -> int:
        """The number of the id in the path. Raises Refusal: 405."""
        return number_of(self.params[name])

    def whole(self, name: str, default: int) -> int:
        """A query parameter that is a whole number. Raises Refusal."""
        text = self.request.query.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"-?\d{1,15}", text, re.ASCII):
            raise bad_parameter(name, f"Invalid value '{text}'")
        return int(text)

    def flag(self, name: str) -> bool:
        """A query parameter that is true or false. Raises Refusal."""
        text = self.request.query.get(name, "false").lower()
        if text not in ("true", "false"):
            raise bad_parameter(name, f"Invalid value '{text}'")
        return text == "true"

    def names(self, *named: str) -> None:
        """Write into the log what the body names."""
        self.passage.record.paths.extend(named)


@dataclass(frozen=True, slots=True)
class Reply:
    """A JSON value to send; None is an empty body."""

    value: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Awaitable[Reply | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One function of the API; *name* is what the log and the fault rules call it."""

    name: str
    method: str
    pattern: str  # as in the reference: `files/{file_id}/content`
    handler: Handler
    host: Host = Host.API
    takes: Takes = Takes.NOTHING
    needs_token: bool = True
    is_upload: bool = False  # counts in the bucket of uploads

    @property
    def regex(self) -> re.Pattern[str]:
        """What the path below the host's prefix looks like."""
        return re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", self.pattern))


class Dispatcher:
    """Answers every request outside the control surface."""

    def __init__(self, account: BoxAccount, routes: list[Route]) -> None:
        self._account = account
        self._routes = [(route, route.regex) for route in routes]

    def find(self, request: web.Request) -> tuple[Route, dict[str, str]] | None:
        """The route of a request and the parts of its path; None when there is none."""
        below = self._below_prefixes(request.path)
        for route, regex in self._routes:
            path = below.get(route.host)
            match = regex.fullmatch(path) if path is not None and route.method == request.method else None
            if match is not None:
                return route, match.groupdict()
        return None

    def _is_path_known(self, request: web.Request) -> bool:
        below = self._below_prefixes(request.path)
        return any(regex.fullmatch(below.get(route.host, "")) for route, regex in self._routes)

    def _below_prefixes(self, path: str) -> dict[Host, str]:
        switches = self._account.switches
        found = {Host.PLAIN: path.removeprefix("/")}
        prefixes = [(Host.API, API_PREFIX), (Host.UPLOAD, UPLOAD_PREFIX)]
        if not switches.only_session_urls:
            prefixes.append((Host.SESSION, UPLOAD_PREFIX))
        prefixes.append((Host.SESSION, switches.session_prefix))
        for host, prefix in prefixes:
            if path.startswith(prefix + "/"):
                found[host] = path[len(prefix) + 1 :].removesuffix("/")  # as the service reads it
        return found

    async def handle(self, passage: Passage) -> web.StreamResponse:
        """The response to one request, errors included."""
        request = passage.request
        headers = {name.lower(): value for name, value in request.headers.items()}
        exchange = Exchange(request.method, request.path, dict(request.query), headers)
        try:
            reply = await self._call(passage, exchange)
        except Refusal as refusal:
            await _drain(request)
            reply = error_reply(refusal)
        response = reply if isinstance(reply, web.StreamResponse) else response_of(reply)
        if self._account.switches.record_exchanges:
            exchange.status = response.status
            exchange.reply_headers = {name.lower(): value for name, value in response.headers.items()}
            exchange.reply_body = reply.value if isinstance(reply, Reply) else _length(response)
            self._account.exchanges.add(exchange)
        return response

    async def _call(self, passage: Passage, exchange: Exchange) -> Reply | web.StreamResponse:
        request = passage.request
        found = self.find(request)
        if found is None:
            raise not_found() if not self._is_path_known(request) else method_not_allowed()
        route, params = found
        if route.needs_token:
            self._account.tokens.check(request.headers.get("Authorization"))
            as_user = request.headers.get("as-user", "0")
            if not as_user.isascii() or not as_user.isdigit():
                raise bad_parameter("as-user", f"Invalid value '{as_user}'")
            self._account.rates.take(self._is_upload(route), time.monotonic())
        call = Call(self._account, passage, params, exchange)
        call.names(*params.values())
        if route.takes is Takes.JSON:
            call.argument = exchange.request_body = await _json_object(request)
            _name_items(call)
        elif route.takes is Takes.FORM:
            form = await request.post()
            call.argument = exchange.request_body = {name: str(value) for name, value in form.items()}
        return await route.handler(call)

    def _is_upload(self, route: Route) -> bool:
        is_part = route.host is Host.SESSION
        return route.is_upload and (not is_part or self._account.switches.parts_are_uploads)


async def _json_object(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    if not raw:
        return {}
    if "Content-Type" in request.headers and request.content_type != "application/json":
        raise Refusal(415, "unsupported_media_type", f"Unsupported media type {request.content_type}")
    try:
        value = json.loads(raw.decode("utf-8"))
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate is no text
    except (ValueError, RecursionError) as error:
        raise bad_request("Could not parse JSON") from error
    if not isinstance(value, dict):
        raise bad_request("Entity body should be a correctly nested resource attribute object")
    return value


def _name_items(call: Call) -> None:
    argument = call.argument
    parent = argument.get("parent")
    folder = parent.get("id") if isinstance(parent, dict) else argument.get("folder_id")
    name = argument.get("name") or argument.get("file_name")
    if isinstance(name, str):
        call.names(f"{folder}/{name}" if isinstance(folder, str) else name)
    elif isinstance(folder, str):
        call.names(folder)


async def _drain(request: web.Request) -> None:
    """Read what the client still sends, or it sees a broken connection instead of the answer."""
    async for _ in request.content.iter_any():
        pass


def _length(response: web.StreamResponse) -> dict[str, int] | None:
    length = response.content_length or 0
    return {"bytes": length} if length else None


def error_reply(refusal: Refusal) -> Reply:
    """The error body; none for a refusal without a code."""
    if not refusal.code:
        return Reply(None, refusal.status, refusal.headers)
    body = {
        "type": "error",
        "status": refusal.status,
        "code": refusal.code,
        "message": refusal.message,
        "help_url": HELP_URL,
        "request_id": secrets.token_hex(8),
    }
    if refusal.context_info is not None:
        body["context_info"] = refusal.context_info
    return Reply(body, refusal.status, refusal.headers)


def response_of(reply: Reply) -> web.Response:
    """The HTTP response with the headers that every one has."""
    headers = {"box-request-id": secrets.token_hex(12), **reply.headers}
    if reply.value is None:
        return web.Response(status=reply.status, headers=headers)
    body = json.dumps(reply.value).encode()
    return web.Response(body=body, status=reply.status, content_type="application/json", headers=headers)
