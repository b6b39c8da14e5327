"""Serves the page of a mount on loopback."""

from __future__ import annotations

import logging
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Thread

from daemon.page.answers import ENDED, LONGEST_BODY_BYTES, Answer, Answers, Asked
from mountfs.errors import with_class

LOG = logging.getLogger(__name__)

MOST_AT_ONCE = 16
SILENCE_S = 15.0
"""A connection that says nothing for so long is closed."""


class PageServer:
    """Listens from ``start`` to ``close``; a thread for each connection, of which there are few."""

    def __init__(self, host: str, port: int, answers: Answers) -> None:
        """*port* 0: any that is free. OSError."""
        self._server = _Server((host, port), answers)
        self._host = host
        names = {host, "localhost"}
        answers.hosts = frozenset(f"{name}:{self.port}" for name in names)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, token: str) -> str:
        return f"http://{self._host}:{self.port}/?token={token}"

    def start(self) -> None:
        Thread(target=self._server.serve_forever, name="page", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], answers: Answers) -> None:
        self.answers = answers
        self.seats = BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(address, _Handler)

    def process_request(self, request: object, client_address: object) -> None:
        if not self.seats.acquire(blocking=False):
            self.shutdown_request(request)  # type: ignore[arg-type]
            return
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def process_request_thread(self, request: object, client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self.seats.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no event."""


class _Handler(BaseHTTPRequestHandler):
    server_version = "mountfs"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = SILENCE_S
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LONGEST_BODY_BYTES:
            self.close_connection = True
            self._send(Answer(413, b"too long\n"))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, self.rfile.read(int(length)))
        try:
            answer = self.server.answers.answer(asked)
        except Exception as error:
            if self.server.answers.is_over():
                answer = ENDED
            else:
                LOG.exception("the page failed")
                answer = Answer(500, f"{with_class(error)}\n".encode())
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's
        """The address holds the token: it belongs into no log."""
