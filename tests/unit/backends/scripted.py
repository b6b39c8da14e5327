"""An HTTP server on loopback that answers request by request as a test wrote down."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from mountfs.model.entry import NS_PER_S
from tests.fakes.clock import FakeClock


@dataclass(frozen=True)
class Seen:
    """A request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Reply = Callable[[BaseHTTPRequestHandler], None]


def answer(status: int, body: bytes = b"", **headers: str) -> Reply:
    """A whole reply; underscores in header names become dashes."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def json_answer(value: Any, status: int = 200, **headers: str) -> Reply:
    return answer(status, json.dumps(value).encode(), Content_Type="application/json", **headers)


def error_answer(error: Any, status: int = 409) -> Reply:
    return json_answer({"error_summary": "x/..", "error": error}, status)


def raw(data: bytes) -> Reply:
    """Exactly these bytes, then the connection ends."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(data)
        handler.close_connection = True

    return reply


def stall(until: threading.Event, before: bytes = b"") -> Reply:
    """These bytes, then silence until the event."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(before)
        handler.wfile.flush()
        until.wait(30.0)
        handler.close_connection = True

    return reply


def later(clock: FakeClock, seconds: float, reply: Reply) -> Reply:
    """*reply* after so long by *clock*, of which it has its date."""

    def dated(handler: BaseHTTPRequestHandler) -> None:
        clock.advance(seconds)
        now_s = clock.wall_ns() / NS_PER_S
        handler.date_time_string = lambda timestamp=None: formatdate(now_s, usegmt=True)  # type: ignore[method-assign]
        reply(handler)

    return dated


hang_up = raw(b"")


class Script:
    """The server; once the replies are used up the last one is given for ever."""

    def __init__(self, *replies: Reply) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self.release = threading.Event()
        self._replies = deque(replies)
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                script.connections += 1
                super().setup()

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                headers = {name.lower(): value for name, value in self.headers.items()}
                script.seen.append(Seen(self.command, self.path, headers, self.rfile.read(length)))
                reply = script._replies.popleft() if len(script._replies) > 1 else script._replies[0]
                reply(self)

            do_GET = do_PUT = do_DELETE = do_OPTIONS = do_CONNECT = do_POST  # noqa: N815 - http.server's names

            def log_message(self, *args: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: object, client_address: object) -> None:
                return  # a client that hung up is what many of these tests are about

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
