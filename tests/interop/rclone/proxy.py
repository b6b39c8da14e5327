"""A CONNECT proxy on loopback that leads the hosts a client has built in to the stand-ins."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

PIECE_BYTES = 256 * 1024


class Proxy:
    """Tunnels to the ports of 127.0.0.1 that *ports* names by host, and to nowhere else.

    The bytes in the tunnel are the client's TLS, which ends at the stand-in. What else was asked for is in
    `refused`, so that a test run can end with the certainty that nothing tried to leave the machine.
    """

    def __init__(self, ports: Mapping[str, int]) -> None:
        self.ports = dict(ports)
        self.refused: list[str] = []
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, name="connect-proxy", daemon=True)

    @property
    def url(self) -> str:
        """What HTTPS_PROXY is to be."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    """Waits in `server_close` for all tunnels; a tunnel ends with the client's connection."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], proxy: Proxy) -> None:
        super().__init__(address, _Tunnel)
        self.proxy = proxy


class _Tunnel(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        request = self.rfile.readline().decode("latin-1").split()
        while self.rfile.readline().strip():
            pass
        if len(request) < 2:
            return  # a connection that was given up before it asked for anything
        method, target = request[:2]
        port = self.server.proxy.ports.get(target.removesuffix(":443"))
        if method != "CONNECT" or port is None:
            self.server.proxy.refused.append(f"{method} {target}")
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", port)) as service:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(service, self.connection), name="connect-proxy-back")
            back.start()
            _pump(self.connection, service)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Passes on bytes until the source ends; then the sink is told, and the other direction goes on."""
    with contextlib.suppress(OSError):  # either end may break off at any time
        while piece := source.recv(PIECE_BYTES):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
