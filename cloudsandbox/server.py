"""A stand-in's HTTP server: loopback only, one loop, on a thread of its own or as the body of a process."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from cloudsandbox.faults import FaultSchedule
from cloudsandbox.gate import Gate, Service
from cloudsandbox.hangup import hang_up, on_loop_error
from cloudsandbox.requestlog import RequestLog

LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")
CONTROL_PREFIX = "/sandbox/"
MAX_HEADER_BYTES = 4 * 1024 * 1024  # services put arguments of whole batches in one header
MAX_RPC_BODY_BYTES = 64 * 1024 * 1024  # of bodies read whole; content is streamed
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
BACKLOG = 512
ACCEPTING_TURNS = 5  # of the loop, until what asyncio has accepted is a connection


class SandboxServer:
    """Runs a service on a thread of its own. `start` and `stop` are for the owner's thread."""

    def __init__(
        self,
        service: Service,
        log: RequestLog,
        faults: FaultSchedule,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        if host not in LOOPBACK_HOSTS:
            raise ValueError(f"the sandbox listens on loopback only, not on {host}")
        self.service = service
        self.log = log
        self.gate = Gate(service, log, faults)
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self.base_url = ""

    def start(self) -> str:
        """Listen; gives the base URL. Raises what went wrong, OSError for a port in use."""
        self._thread = threading.Thread(target=self._run, name="sandbox-server", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S):
            raise TimeoutError("the sandbox did not start")
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self.base_url

    def stop(self) -> None:
        """End all requests, stop the service and wait for the thread; harmless when not running."""
        if self._thread is None or self._loop is None or self._stopping is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop may be closed already
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(STOP_TIMEOUT_S)
        self._thread = None

    def call(self, work: Callable[[], Any]) -> Any:
        """Run *work* on the loop and wait for its result; it may be a coroutine function."""
        if self._loop is None:
            raise RuntimeError("the sandbox is not running")

        async def on_loop() -> Any:
            result = work()
            return await result if isinstance(result, Awaitable) else result

        return asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result(START_TIMEOUT_S)

    def _run(self) -> None:
        try:
            asyncio.run(self.serve())
        except BaseException as error:
            if self._ready.is_set():
                raise
            self._failure = error
        finally:
            self._ready.set()

    async def serve(self, on_ready: Callable[[str], None] | None = None) -> None:
        """Listen and serve until `stop`, on the running loop; *on_ready* gets the base URL."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(on_loop_error)
        self._stopping = asyncio.Event()
        app = web.Application(client_max_size=MAX_RPC_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(
            app,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            access_log=None,
            shutdown_timeout=0.2,
        )
        await runner.setup()
        listening: socket.socket | None = None
        try:
            await self.service.start()
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            listening = socket.create_server((self._host, self._port), family=family, backlog=BACKLOG)
            site = web.SockSite(runner, listening, ssl_context=self._ssl_context, backlog=BACKLOG)
            await site.start()
            self._port = int(listening.getsockname()[1])
            scheme = "http" if self._ssl_context is None else "https"
            host = f"[{self._host}]" if ":" in self._host else self._host
            self.base_url = f"{scheme}://{host}:{self._port}"
            self._ready.set()
            if on_ready is not None:
                on_ready(self.base_url)
            await self._stopping.wait()
        finally:
            await _close(runner, listening)
            await self.service.stop()

    def request_stop(self) -> None:
        """End `serve`. On the loop."""
        if self._stopping is not None:
            self._stopping.set()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith(CONTROL_PREFIX):
            return await self.service.control(request)
        return await self.gate.handle(request)


async def _close(runner: web.AppRunner, listening: socket.socket | None) -> None:
    """Ends all connections, those too that are only being accepted."""
    if listening is not None:
        # asyncio drops the sockets of connections that it accepted and did not begin before it is told to
        # stop listening: so let it accept no more, and begin all.
        asyncio.get_running_loop().remove_reader(listening)
        for _ in range(ACCEPTING_TURNS):
            await asyncio.sleep(0)
    connections = runner.server.connections if runner.server is not None else []
    transports = [each.transport for each in connections if each.transport is not None]
    await runner.cleanup()
    if listening is not None:
        listening.close()
    # One that was closed in the middle of a write, or waits for its peer's farewell, outlives the loop.
    for transport in transports:
        hang_up(transport)
