"""The control socket of a running mount, and what it answers."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import BoundedSemaphore, Condition, Event, Thread
from typing import Protocol

from daemon.account import MountedAccount
from daemon.protocol import (
    LONGEST_LINE_BYTES,
    Progress,
    ProtocolError,
    Rejected,
    Reply,
    Request,
    Settled,
    StatusReply,
    StatusRequest,
    Stopped,
    StopRequest,
    Synced,
    SyncRequest,
    WaitRequest,
    decode_request,
    encode,
)
from daemon.status import MountStatus
from mountfs.errors import MountfsError
from mountfs.model.path import RemotePath

LOG = logging.getLogger(__name__)

PROGRESS_S = 0.5
"""How often a waiting client hears something; it takes a minute of silence for death."""

REST_S = 0.03
"""Between two looks at the backlog: during a batch, changes move faster than it can be counted."""

_REQUEST_TIMEOUT_S = 10.0
_LAST_WORDS_S = 2.0
_MOST_CLIENTS = 64

Answer = Callable[[Request], Iterator[Reply]]


class Stopping(Protocol):
    """The lifecycle, as far as a client may steer it."""

    def ask_stop(self, timeout_s: float | None = None) -> None:
        """Begins the drain, unless it runs already."""

    def await_drained(self, timeout_s: float) -> int | None:
        """How many changes stay journaled, once that is known; None after *timeout_s*."""


class Clock(Protocol):
    """The part of ``mountfs.ports.Clock`` that is needed here."""

    def now_s(self) -> float: ...


class Conversation:
    """Answers requests about one mount; each answer runs on its client's thread."""

    def __init__(
        self,
        account: MountedAccount,
        lifecycle: Stopping,
        describe: Callable[[], MountStatus],
        clock: Clock,
    ) -> None:
        self._account = account
        self._lifecycle = lifecycle
        self._describe = describe
        self._clock = clock
        self._rest = Event()  # never set

    def answer(self, request: Request) -> Iterator[Reply]:
        """The replies to *request*, the last of them final."""
        match request:
            case StatusRequest():
                yield StatusReply(self._describe())
            case WaitRequest(path, timeout_s):
                yield from self._wait(RemotePath.parse(path), timeout_s)
            case StopRequest(timeout_s):
                yield from self._stop(timeout_s)
            case SyncRequest():
                self._account.sync()
                yield Synced()

    def _wait(self, path: RemotePath, timeout_s: float | None) -> Iterator[Reply]:
        deadline_s = math.inf if timeout_s is None else self._clock.now_s() + timeout_s
        spoken_s = -math.inf
        while True:
            # Each time: what is written while we wait is waited for too, and need not settle either.
            self._account.hurry(path)
            backlog = self._account.backlog(path)
            now_s = self._clock.now_s()
            if not backlog.unsettled or now_s >= deadline_s:
                self._account.relax()  # or a program that saves by rename right after us is seen doing so
                yield Settled(backlog.unsettled, self._account.failures(path))
                return
            if now_s - spoken_s >= PROGRESS_S:
                spoken_s = now_s
                yield Progress(backlog.unsettled, backlog.size_bytes)
            self._account.await_change(min(PROGRESS_S, deadline_s - now_s))
            self._rest.wait(REST_S)

    def _stop(self, timeout_s: float | None) -> Iterator[Reply]:
        self._lifecycle.ask_stop(timeout_s)
        while (left := self._lifecycle.await_drained(PROGRESS_S)) is None:
            backlog = self._account.backlog(RemotePath(""))
            yield Progress(backlog.pending, backlog.size_bytes)
        yield Stopped(left)


class ControlServer:
    """Listens on a 0600 Unix socket; one request and its answer per connection, a thread for each.

    Who asked for a stop keeps its connection until ``close``: its end says that the process is ending.
    """

    def __init__(self, path: Path, answer: Answer) -> None:
        self._path = path
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._room = BoundedSemaphore(_MOST_CLIENTS)
        self._changed = Condition()
        self._clients: set[socket.socket] = set()
        self._closing = Event()

    def start(self) -> None:
        """Binds and begins to accept. OSError."""
        self._path.unlink(missing_ok=True)  # of a killed process that had the same number
        self._listener.bind(os.fspath(self._path))
        self._path.chmod(0o600)
        self._listener.listen(16)
        Thread(target=self._accept, name="control", daemon=True).start()

    def close(self) -> None:
        """Removes the socket, lets answers under way be given, then ends every connection; repeatable."""
        self._closing.set()
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._changed:
            self._changed.wait_for(lambda: not self._clients, _LAST_WORDS_S)
            for client in self._clients:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            self._room.acquire()
            try:
                client, _ = self._listener.accept()
            except OSError:
                if not self._closing.is_set():
                    LOG.exception("the control socket failed; status, wait and umount stop working")
                return
            with self._changed:
                self._clients.add(client)
            Thread(target=self._serve, args=(client,), name="control-client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            # A client that went away or never spoke is no event.
            with client, contextlib.suppress(OSError):
                client.settimeout(_REQUEST_TIMEOUT_S)
                for reply in self._replies(client):
                    client.sendall(encode(reply))
                    if isinstance(reply, Stopped):
                        self._closing.wait()
        finally:
            with self._changed:
                self._clients.discard(client)
                self._changed.notify_all()
            self._room.release()

    def _replies(self, client: socket.socket) -> Iterator[Reply]:
        if peer_uid(client) not in (0, os.geteuid()):
            yield Rejected("this mount belongs to another user")
            return
        with client.makefile("rb") as stream:
            line = stream.readline(LONGEST_LINE_BYTES)
        try:
            yield from self._answer(decode_request(line))
        except (ProtocolError, MountfsError) as error:
            yield Rejected(str(error))
        except Exception as error:
            if not self._closing.is_set():
                LOG.exception("a control request failed")
            yield Rejected(f"{type(error).__name__}: {error}")


def peer_uid(client: socket.socket) -> int:
    """Who is at the other end, as the kernel knows it; SO_PEERCRED in unix(7)."""
    size = struct.calcsize("3i")
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    uid: int = struct.unpack("3i", credentials)[1]
    return uid
