"""The address on this machine that a browser is sent to with a code (RFC 8252, section 7.3)."""

from __future__ import annotations

import html
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from daemon.failure import Failure
from daemon.signin.answer import Stray, code_in

PORT = 53697
"""One that is fixed: the address is registered with the application, to the last character."""
_SILENCE_S = 10.0
"""A browser opens connections that it does not use; each has a thread for so long."""


def address_of(port: int) -> str:
    """What is registered as the application's redirect URI."""
    return f"http://localhost:{port}/"


DONE = "This is all mountfs needs. You can close this page and go back to the terminal."


@dataclass(frozen=True, slots=True)
class _Reply:
    """The page that the browser shows in the end; *sent*: it has left, and the process may end."""

    status: int
    text: str
    sent: Callable[[], None] = lambda: None


_Answer = Callable[[str], _Reply]


class Redirect:
    """Listens on loopback until the answer with the right *state* is there. Others are told that they are
    strays, and end nothing: any page in the browser can send one."""

    def __init__(self, port: int, state: str) -> None:
        """Failure when the port is taken."""
        self._answers: queue.SimpleQueue[str | Failure] = queue.SimpleQueue()
        try:
            self._server = _Server(("127.0.0.1", port), self._answer)
        except OSError as error:
            what = f"port {port} of this machine cannot be listened to: {error.strerror}"
            raise Failure(f"{what}; end the program that has it, or use --no-browser") from None
        self._state = state
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="redirect", daemon=True
        )

    @property
    def address(self) -> str:
        """Where the browser is to be sent."""
        return address_of(self._server.server_port)

    def code(self, timeout_s: float) -> str:
        """Waits for the answer. Failure, also when there is none in time."""
        try:
            found = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            raise Failure(
                f"the browser did not come back within {timeout_s / 60:.0f} minutes; sign in again"
            ) from None
        if isinstance(found, Failure):
            raise found
        return found

    def _answer(self, query: str) -> _Reply:
        try:
            code = code_in(query, self._state)
        except Stray as stray:
            return _Reply(400, str(stray))
        except Failure as failure:
            return _Reply(200, str(failure), partial(self._answers.put, failure))
        return _Reply(200, DONE, partial(self._answers.put, code))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], answer: _Answer) -> None:
        super().__init__(address, _Handler)
        self.answer = answer


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SILENCE_S

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        reply = _Reply(404, "There is nothing here.")
        if parts.path == "/":
            reply = self.server.answer(parts.query)
        told = f'<p id="told">{html.escape(reply.text)}</p>'
        body = f'<!DOCTYPE html><meta charset="utf-8"><title>mountfs</title>{told}'.encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            self.wfile.write(body)
        finally:
            reply.sent()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """The code would be in it."""
