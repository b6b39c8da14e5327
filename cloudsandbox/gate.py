"""The gate every request passes: pause, log, latency, faults; behind it the service."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from cloudsandbox.faults import FaultKind, FaultRule, FaultSchedule
from cloudsandbox.hangup import hang_up
from cloudsandbox.requestlog import RequestLog, RequestRecord

GARBAGE = b"<html>This is not the service you are looking for</html>"
_STATED_HASH = re.compile(rb'("(?:content_hash|sha1)": ?")([0-9a-f]+)')


@dataclass(slots=True)
class Passage:
    """One request on its way through the gate, with its record in the log."""

    request: web.Request
    record: RequestRecord
    cut_bytes: int | None = None  # a streamed reply ends after so many bytes


class Service(Protocol):
    """What a stand-in gives the server. All methods run on the server's loop."""

    async def start(self) -> None:
        """Get ready, before the first request."""

    async def stop(self) -> None:
        """Let go of everything, after the last request."""

    async def handle(self, passage: Passage) -> web.StreamResponse:
        """Answer one request."""

    async def control(self, request: web.Request) -> web.StreamResponse:
        """Answer one request of the control surface that the server itself does not know."""

    def route_of(self, request: web.Request) -> str:
        """What the log and the fault rules call this request."""

    def latency_s(self) -> float:
        """How long every request waits before anything is done."""

    async def fault(self, rule: FaultRule, request: web.Request) -> web.StreamResponse | None:
        """Carry out a fault only the service knows; None: go on and handle the request."""


class Gate:
    """What stands before the service: pause, log, latency, faults. On the loop only."""

    def __init__(self, service: Service, log: RequestLog, faults: FaultSchedule) -> None:
        self._service = service
        self._log = log
        self.faults = faults
        self._is_paused = False
        self._open: set[asyncio.Transport] = set()

    def pause(self) -> None:
        """Be down: break what is going on and every request to come, the control surface apart."""
        self._is_paused = True
        for transport in self._open:
            hang_up(transport)

    def resume(self) -> None:
        """Be up again."""
        self._is_paused = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Take one request through the gate."""
        transport = request.transport
        if self._is_paused or transport is None:
            return _dropped(request)
        route = self._service.route_of(request)
        record = self._log.begin(route, request.method, request.content_length or 0)
        passage = Passage(request, record)
        self._open.add(transport)
        status = None
        try:
            with self._log.requests.hold(route):
                response = await self._with_faults(passage, route)
                status = None if transport.is_closing() else response.status
                return response
        except (ConnectionError, web.RequestPayloadError):
            return _dropped(request)  # the client hung up in the middle of its request or of our reply
        finally:
            self._open.discard(transport)
            self._log.end(record, status)

    async def _with_faults(self, passage: Passage, route: str) -> web.StreamResponse:
        latency_s = self._service.latency_s()
        if latency_s > 0:
            await asyncio.sleep(latency_s)
        rule = self.faults.pick(route)
        if rule is None:
            return await self._service.handle(passage)
        passage.record.fault = rule.action.value
        if rule.stall_s:
            await asyncio.sleep(rule.stall_s)
        return await self._spoiled(rule, passage)

    async def _spoiled(self, rule: FaultRule, passage: Passage) -> web.StreamResponse:
        request = passage.request
        match rule.action:
            case FaultKind.STALL:
                return await self._service.handle(passage)
            case FaultKind.REPLY:
                return _reply(rule)
            case FaultKind.DROP_BEFORE:
                return _dropped(request)
            case FaultKind.DROP_REQUEST:
                await _read_some(request, rule.cut_bytes)
                return _dropped(request)
            case FaultKind.DROP_AFTER:
                # A streamed reply would be under way already: cut it before its first byte of content.
                passage.cut_bytes = 0
                await self._service.handle(passage)
                return _dropped(request)
            case FaultKind.CUT_BODY:
                passage.cut_bytes = rule.cut_bytes
                return await _cut(await self._service.handle(passage), request, rule.cut_bytes)
            case FaultKind.GARBAGE:
                return await _replaced(await self._service.handle(passage), lambda _body: GARBAGE)
            case FaultKind.WRONG_HASH:
                return await _replaced(await self._service.handle(passage), _with_wrong_hashes)
            case _:
                return await self._service.fault(rule, request) or await self._service.handle(passage)


def _dropped(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        hang_up(request.transport)
    return web.Response(status=503)  # never sent


async def _read_some(request: web.Request, count_bytes: int) -> None:
    seen_bytes = 0
    while seen_bytes < count_bytes:
        piece = await request.content.readany()
        if not piece:
            return
        seen_bytes += len(piece)


def _reply(rule: FaultRule) -> web.Response:
    headers = {} if rule.retry_after_s is None else {"Retry-After": f"{rule.retry_after_s:g}"}
    if rule.body is None or isinstance(rule.body, str):
        return web.Response(status=rule.status, text=rule.body or "", headers=headers)
    response = web.json_response(rule.body, status=rule.status, headers=headers)
    response.headers["Content-Type"] = "application/json"
    return response


async def _replaced(response: web.StreamResponse, change: Callable[[bytes], bytes]) -> web.StreamResponse:
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response  # a stream of content
    response.body = change(response.body)
    return response


def _with_wrong_hashes(body: bytes) -> bytes:
    return _STATED_HASH.sub(lambda found: found[1] + b"0" * len(found[2]), body)


async def _cut(response: web.StreamResponse, request: web.Request, cut_bytes: int) -> web.StreamResponse:
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response  # a stream has seen to it itself
    short = web.StreamResponse(status=response.status, headers=response.headers)
    short.content_length = len(response.body)
    await short.prepare(request)
    await short.write(response.body[:cut_bytes])
    if request.transport is not None:
        request.transport.close()
    return short
