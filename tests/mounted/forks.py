"""Processes that start at once: each is forked from one that has imported what they run.

Importing what a stand-in needs takes a third of a second of a core, and hundreds of tests have one of
their own.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from cloudsandbox.__main__ import main as sandbox
from tests.mounted.memoryserver import main as memory

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAMS: dict[str, Callable[[list[str]], int]] = {"sandbox": sandbox, "memory": memory}
REQUEST_BYTES = 65536


class Forked:
    """A process that runs one of PROGRAMS; ``stdout`` is what it prints. Its standard input ends with the
    process that started it, however that ends."""

    def __init__(self, program: str, arguments: Sequence[str]) -> None:
        stdin, self._stdin = os.pipe()
        out, stdout = os.pipe()
        server = _server()
        socket.send_fds(server, [json.dumps([program, *arguments]).encode()], [stdin, stdout])
        self.pid = int(server.recv(REQUEST_BYTES))
        os.close(stdin)
        os.close(stdout)
        self.stdout = os.fdopen(out, "rb")
        self._pidfd = os.pidfd_open(self.pid)

    def signal(self, number: int) -> None:
        signal.pidfd_send_signal(self._pidfd, number)

    def wait(self, timeout_s: float) -> bool:
        """Whether it ended within *timeout_s*."""
        readable, _, _ = select.select([self._pidfd], [], [], timeout_s)
        return bool(readable)

    def close(self) -> None:
        """Lets go of a process that has ended."""
        os.close(self._pidfd)
        os.close(self._stdin)
        self.stdout.close()


@cache
def _server() -> socket.socket:
    """The connection to this process's server, which ends with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    order = [sys.executable, "-m", "tests.mounted.forks", str(theirs.fileno())]
    process = subprocess.Popen(
        order, cwd=REPOSITORY, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True
    )
    theirs.close()

    @atexit.register
    def end() -> None:
        ours.close()
        process.wait()

    return ours


def _serve(client: socket.socket) -> None:
    """Forks as asked to, until the client has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    while True:
        request, fds, _, _ = socket.recv_fds(client, REQUEST_BYTES, 2)
        if not request:
            return
        pid = os.fork()
        if pid == 0:
            client.close()
            _become(json.loads(request), *fds)
        for fd in fds:
            os.close(fd)
        client.send(str(pid).encode())


def _become(order: list[str], stdin: int, stdout: int) -> None:
    """Never returns."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for source, target in ((stdin, 0), (stdout, 1)):
        os.dup2(source, target)
        os.close(source)
    program, *arguments = order
    sys.exit(PROGRAMS[program](arguments))


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
