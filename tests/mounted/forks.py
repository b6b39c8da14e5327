"""``python -m`` as processes that start at once: each is forked from one that has imported what it runs.

Importing what a stand-in, a mount or its network process needs takes a core longer than most tests of them,
and hundreds of tests have some of their own. The start by itself is tested where a mount goes into the
background, where README.md is followed, and where it is a service.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import importlib.metadata
import json
import os
import resource
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock

REPOSITORY = Path(__file__).resolve().parents[2]

STAND_INS = ("cloudsandbox", "tests.mounted.memoryserver")
IMPORTED_BY_STAND_INS = (
    *("_strptime", "cloudsandbox.box", "cloudsandbox.datalock", "cloudsandbox.dropbox"),
    *("cloudsandbox.server", "cloudsandbox.tls", "tests.doubles.memory_account"),
)
IMPORTED_BY_MOUNTS = (
    *("daemon.cli.mount", "daemon.process.assembly", "daemon.process.lifecycle", "daemon.process.network"),
    *("fuse", "mountfs.backends.box.backend", "mountfs.backends.dropbox.backend"),
    "tests.mounted.forkednetwork",
)
"""And by their network processes; commands import some of it."""

LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})
CERTIFICATES = {
    name: os.environ.get(name)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
}
"""The authorities that this machine trusts: each mount would read some hundred, and speaks no TLS."""
REQUEST_BYTES = 131_072
PR_SET_PDEATHSIG = 1
_asking = Lock()

is_used_for_mounts = False
"""Set by tests/conftest.py: programs that measure or try out mounts start them as users do."""


class Started:
    """A process that runs ``python -m`` with these arguments, in a session of its own."""

    def __init__(self, arguments: Sequence[str], streams: Sequence[int]) -> None:
        """*streams*: its standard input, output and error; the caller keeps his own."""
        # Even a killed run takes its mounts along.
        order = ["setpriv", "--pdeathsig", "TERM", "--", sys.executable, "-m", *arguments]
        stdin, stdout, stderr = streams
        self._process = subprocess.Popen(
            order, cwd=REPOSITORY, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
        )
        self.pid = self._process.pid

    def signal(self, number: int) -> None:
        """Harmless when it has ended."""
        self._process.send_signal(number)

    def poll(self) -> int | None:
        """Its exit code, or the negative number of the signal that ended it; None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> int | None:
        """The same, once it has ended or *timeout_s* have passed."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return None


class Forked:
    """The same, forked."""

    def __init__(self, arguments: Sequence[str], streams: Sequence[int]) -> None:
        limits = [(each, resource.getrlimit(each)) for each in LIMITS]
        environ = {name: value for name, value in os.environ.items() if CERTIFICATES.get(name) != value}
        given = {"arguments": [*arguments], "environ": environ, "limits": limits}
        request = json.dumps(given).encode()
        self._status, status = os.pipe()
        try:
            with _asking:
                is_mount = arguments[0] not in STAND_INS
                server = _server(*(IMPORTED_BY_MOUNTS if is_mount else IMPORTED_BY_STAND_INS))
                socket.send_fds(server, [request], [*streams, status])
                told, (self._pidfd,), _, _ = socket.recv_fds(server, REQUEST_BYTES, 1)
        finally:
            os.close(status)
        self.pid = int(told)
        self._code: int | None = None

    def signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def poll(self) -> int | None:
        return self.wait(0)

    def wait(self, timeout_s: float | None) -> int | None:
        if self._code is None and select.select([self._status], [], [], timeout_s)[0]:
            self._code = int(os.read(self._status, REQUEST_BYTES))
            os.close(self._status)
            os.close(self._pidfd)
        return self._code


class ForkedStandIn(Forked):
    """One whose standard input ends with the process that started it, however that ends; ``stdout`` is what
    it prints."""

    def __init__(self, arguments: Sequence[str]) -> None:
        stdin, self._stdin = os.pipe()
        out, stdout = os.pipe()
        self.stdout = os.fdopen(out, "rb")
        try:
            super().__init__(arguments, (stdin, stdout, 2))
        finally:
            os.close(stdin)
            os.close(stdout)

    def close(self) -> None:
        """Lets go of a process that has ended."""
        os.close(self._stdin)
        self.stdout.close()


@cache
def _server(*modules: str) -> socket.socket:
    """The connection to this process's server for programs that import these *modules*; ends with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    order = [sys.executable, "-m", "tests.mounted.forks", str(theirs.fileno()), *modules]
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
    """Forks as asked to, and tells how each has ended, until the client has ended."""
    running: dict[int, tuple[int, int]] = {}
    poller = select.poll()
    poller.register(client, select.POLLIN)
    while True:
        for fd, _ in poller.poll():
            if fd != client.fileno():
                poller.unregister(fd)
                _tell_the_end(fd, *running.pop(fd))
                continue
            request, fds, _, _ = socket.recv_fds(client, REQUEST_BYTES, 4)
            if not request:
                return
            pid = os.fork()
            if pid == 0:
                client.close()
                _become(**json.loads(request), streams=fds[:3])
            for stream in fds[:3]:
                os.close(stream)
            pidfd = os.pidfd_open(pid)
            running[pidfd] = pid, fds[3]
            poller.register(pidfd, select.POLLIN)
            socket.send_fds(client, [str(pid).encode()], [pidfd])


def _tell_the_end(pidfd: int, pid: int, status: int) -> None:
    _, code = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):
        os.write(status, str(os.waitstatus_to_exitcode(code)).encode())
    os.close(status)
    os.close(pidfd)


def _become(
    arguments: list[str],
    environ: dict[str, str],
    limits: list[tuple[int, tuple[int, int]]],
    streams: Sequence[int],
) -> None:
    """Never returns."""
    os.setsid()
    # Even a killed test run takes its mounts along: the server ends with it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    for number, limit in limits:  # the server has those of its own start
        resource.setrlimit(number, limit)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = arguments
    _run(arguments[0])


def _run(module: str) -> None:
    """Never returns. Where it ends with a code, its threads have ended then and its streams and atexit's
    functions are done with, the process ends without taking its modules apart, which takes longer than most
    commands run: the next process does not need the memory back."""
    code: int | None = None

    @atexit.register
    def leave() -> None:
        if code is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else None
        raise
    sys.exit()


def _main(fd: str, *modules: str) -> None:
    for each in modules:
        importlib.import_module(each)
    importlib.metadata.version("mountfs")  # a mount asks, and all that is installed is listed for the first
    gc.collect()
    gc.freeze()
    _serve(socket.socket(fileno=int(fd)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
