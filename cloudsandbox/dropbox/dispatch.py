"""From an HTTP request to a route and back: the rules of the wire that hold for all routes."""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aiohttp import web

from cloudsandbox.body import PayloadTooLarge, receive
from cloudsandbox.dropbox.body import HashedBody, body_hash, empty_body
from cloudsandbox.dropbox.errors import (
    BadRequest,
    PlainRefusal,
    Refused,
    RouteError,
    nested,
    rate_limited,
    summary_path,
    tag,
    unauthorized,
)
from cloudsandbox.dropbox.hashing import BlockHasher
from cloudsandbox.dropbox.schema import Check
from cloudsandbox.dropbox.service import DropboxAccount
from cloudsandbox.gate import Passage

JSON_TYPES = ("application/json", "application/json; charset=utf-8", "text/plain; charset=dropbox-cors-hack")
OCTET_TYPES = ("application/octet-stream", "text/plain; charset=dropbox-cors-hack")
DOWNLOAD_TYPES = ("", "application/octet-stream", "text/plain", "text/plain; charset=utf-8")
SINGLE_WRITES = frozenset(
    f"files/{name}"
    for name in (
        "upload",
        "upload_session/finish",
        "create_folder_v2",
        "delete_v2",
        "move_v2",
        "copy_v2",
        "restore",
    )
)
"""Routes that change the namespace in one call. Jobs have a rule of their own, `overlapping_finish`."""
_PATH_KEYS = ("path", "from_path", "to_path")


class Style(StrEnum):
    """Where the argument and the result of a route travel."""

    RPC = "rpc"
    UPLOAD = "upload"
    DOWNLOAD = "download"
    NOTIFY = "notify"  # as RPC, without a token


@dataclass(slots=True)
class Call:
    """One call of a route, its argument checked and its body complete."""

    account: DropboxAccount
    passage: Passage
    argument: Any
    token: str = ""
    body: HashedBody = field(default_factory=empty_body)
    now_s: float = field(default_factory=time.time)

    @property
    def request(self) -> web.Request:
        """The HTTP request."""
        return self.passage.request


Handler = Callable[[Call], Awaitable[Any]]  # gives a JSON value, or a response of its own


@dataclass(frozen=True, slots=True)
class Route:
    """One function of the API."""

    name: str
    argument: Check
    handler: Handler
    scope: str | None = None
    style: Style = Style.RPC


class Dispatcher:
    """Answers every request under /2/."""

    def __init__(self, account: DropboxAccount, routes: list[Route]) -> None:
        self._account = account
        self._routes = {route.name: route for route in routes}
        self._is_writing = False

    async def handle(self, passage: Passage) -> web.StreamResponse:
        """The response to one request, errors included."""
        name = passage.request.path.removeprefix("/2/")
        try:
            route = self._routes.get(name)
            if route is None:
                raise PlainRefusal(400, f'Unknown API function: "{name}"')
            return await self._call(route, passage)
        except BadRequest as error:
            return _plain(400, f'Error in call to API function "{name}": {error}')
        except PlainRefusal as error:
            return _plain(error.status, error.text)
        except RouteError as error:
            return error_response(409, error.error)
        except PayloadTooLarge:
            return error_response(409, tag("payload_too_large"))
        except Refused as error:
            return error_response(error.status, error.error, error.retry_after_s)

    async def _call(self, route: Route, passage: Passage) -> web.StreamResponse:
        request = passage.request
        if request.method != "POST" and not (route.style is Style.DOWNLOAD and request.method == "GET"):
            raise BadRequest(f'Your request method is "{request.method}". This function only accepts "POST".')
        self._check_content_type(route, request)
        token = "" if route.style is Style.NOTIFY else self._authorize(route, request)
        if token:
            self._account.count_call(time.monotonic())
        _check_path_root(request, self._account.switches.root_namespace_id)
        argument = await self._argument(route, passage)
        call = Call(self._account, passage, argument, token)
        if route.style is not Style.UPLOAD:
            return await self._carried_out(route, call)
        limit_bytes = self._account.switches.max_body_bytes
        account = self._account
        stream = account.line.uploaded(request.content.iter_any())
        with await receive(stream, limit_bytes, account.files, account.io, BlockHasher()) as call.body:
            expected = argument["content_hash"]
            if expected is not None and expected != body_hash(call.body):
                raise RouteError(tag("content_hash_mismatch"))
            return await self._carried_out(route, call)

    async def _carried_out(self, route: Route, call: Call) -> web.StreamResponse:
        """Hold the namespace for a single write, as long as a switch says; meanwhile others are refused."""
        duration_s = self._account.switches.write_duration_s
        if route.name not in SINGLE_WRITES or duration_s <= 0:
            return _response(await route.handler(call))
        if self._is_writing:
            raise rate_limited("too_many_write_operations", 1)
        self._is_writing = True
        try:
            await asyncio.sleep(duration_s)
            return _response(await route.handler(call))
        finally:
            self._is_writing = False

    @staticmethod
    def _check_content_type(route: Route, request: web.Request) -> None:
        given = request.headers.get("Content-Type", "").strip()
        allowed: tuple[str, ...]
        if route.style is Style.DOWNLOAD:
            allowed = DOWNLOAD_TYPES
        else:
            allowed = OCTET_TYPES if route.style is Style.UPLOAD else JSON_TYPES
            if not given:
                if route.style is not Style.UPLOAD and not request.body_exists:
                    return  # a void argument left out altogether
                raise BadRequest('Missing HTTP "Content-Type" header.')
        if given.lower() not in allowed:
            listed = ", ".join(f'"{each}"' for each in allowed if each)
            raise BadRequest(f'Bad HTTP "Content-Type" header: "{given}". Expecting one of {listed}.')

    def _authorize(self, route: Route, request: web.Request) -> str:
        header = request.headers.get("Authorization") or request.query.get("authorization")
        if header is None:
            raise BadRequest('Must provide HTTP header "Authorization" or URL parameter "authorization".')
        kind, _, token = header.partition(" ")
        if kind != "Bearer" or not token:
            raise BadRequest('Invalid "Authorization" value: expecting "Bearer <token>".')
        self._account.tokens.check(token, route.scope)
        for name, error in (("User", "invalid_select_user"), ("Admin", "invalid_select_admin")):
            member = request.headers.get(f"Dropbox-API-Select-{name}")
            if member is not None and member not in self._account.switches.select_users:
                raise unauthorized(error)
        return token

    async def _argument(self, route: Route, passage: Passage) -> Any:
        request = passage.request
        if route.style in (Style.RPC, Style.NOTIFY):
            raw = await request.read()
            where, text = "request body", raw.decode("utf-8", "surrogateescape")
        else:
            where, text = self._header_argument(request)
        if not text.strip():
            text = "null"
        try:
            # A lone surrogate is no Unicode text; encoding finds it.
            text.encode("utf-8")
            value = json.loads(text, parse_constant=_no_constant)
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"{where}: could not decode input as JSON") from error
        passage.record.paths, passage.record.entries = named_paths(value)
        try:
            return route.argument(value, "")
        except BadRequest as error:
            raise BadRequest(f"{where}: {error}") from None

    def _header_argument(self, request: web.Request) -> tuple[str, str]:
        raw = next((value for name, value in request.raw_headers if name.lower() == b"dropbox-api-arg"), None)
        if raw is None:
            argument = request.query.get("arg")
            if argument is None:
                raise BadRequest('Must provide HTTP header "Dropbox-API-Arg" or URL parameter "arg".')
            return 'URL parameter "arg"', argument
        if len(raw) > self._account.switches.max_arg_header_bytes:
            raise PlainRefusal(431, "Request Header Fields Too Large")
        if any(byte < 0x20 or byte >= 0x7F for byte in raw):
            raise BadRequest(
                'HTTP header "Dropbox-API-Arg": could not decode input as JSON: it is not HTTP header safe'
            )
        return 'HTTP header "Dropbox-API-Arg"', raw.decode("ascii")


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _check_path_root(request: web.Request, root_id: str) -> None:
    """The header Dropbox-API-Path-Root: the account has one namespace, its home and its root alike."""
    raw = request.headers.get("Dropbox-API-Path-Root")
    if raw is None:
        return
    try:
        root = json.loads(raw)
        name = root[".tag"]
        wanted = root_id if name == "home" else root[name]
    except (ValueError, KeyError, TypeError):
        raise BadRequest('HTTP header "Dropbox-API-Path-Root": could not decode input as JSON') from None
    if name not in ("home", "root", "namespace_id"):
        raise BadRequest(f"HTTP header \"Dropbox-API-Path-Root\": invalid union tag '{name}'")
    if wanted == root_id:
        return
    if name == "root":
        info = tag("user", root_namespace_id=root_id, home_namespace_id=root_id)
        raise Refused(422, nested("invalid_root", info))
    raise Refused(422, tag("no_permission"))


def named_paths(value: Any) -> tuple[list[str], int]:
    """The paths an argument names, in order, and how many entries it has when it is a batch."""
    paths: list[str] = []
    _collect(value, paths)
    batch = (value.get("entries") or value.get("paths")) if isinstance(value, dict) else None
    return paths, len(batch) if isinstance(batch, list) else 0


def _collect(value: Any, paths: list[str]) -> None:
    if isinstance(value, list):
        for each in value:
            _collect(each, paths)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name in _PATH_KEYS and isinstance(each, str):
                paths.append(each)
            elif name == "paths" and isinstance(each, list):
                paths.extend(path for path in each if isinstance(path, str))
            else:
                _collect(each, paths)


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """JSON with exactly the content type that the official clients insist on."""
    return web.Response(
        body=json.dumps(value).encode(),
        status=status,
        content_type="application/json",
        headers={**(headers or {}), **request_id()},
    )


def error_response(status: int, error: dict[str, Any], retry_after_s: float | None = None) -> web.Response:
    """The error envelope; its summary ends with a random number of dots, so that nobody compares it."""
    headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:g}"}
    summary = summary_path(error) + "/" + "." * (1 + secrets.randbelow(4))
    return json_response({"error_summary": summary, "error": error}, status, headers)


def request_id() -> dict[str, str]:
    """The header that every response carries."""
    return {"X-Dropbox-Request-Id": secrets.token_hex(16)}


def _plain(status: int, text: str) -> web.Response:
    return web.Response(text=text, status=status, headers=request_id())


def _response(value: Any) -> web.StreamResponse:
    return value if isinstance(value, web.StreamResponse) else json_response(value)


async def named_sessions(request: web.Request) -> list[str]:
    """The ids of the upload sessions that a request names in its argument, wherever the argument travels."""
    raw = (
        request.headers.get("Dropbox-API-Arg") or request.query.get("arg") or (await request.read()).decode()
    )
    ids: list[str] = []
    with suppress(ValueError):
        _collect_sessions(json.loads(raw), ids)
    return ids


def _collect_sessions(value: Any, ids: list[str]) -> None:
    if isinstance(value, list):
        for each in value:
            _collect_sessions(each, ids)
    elif isinstance(value, dict):
        if isinstance(value.get("session_id"), str):
            ids.append(value["session_id"])
        for each in value.values():
            _collect_sessions(each, ids)
