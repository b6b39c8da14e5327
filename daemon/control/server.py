"""The control socket of a running mount, and what it answers."""

from __future__ import annotations

import contextlib
import errno
import logging
import math
import os
import socket
import struct
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, wait
from functools import partial
from pathlib import Path
from threading import Condition, Event, RLock, Thread
from typing import Protocol, TypeVar

from daemon.control.account import MountedAccount
from daemon.control.changes import ChangesRequest, PendingChanges, Story, StoryRequest
from daemon.control.protocol import (
    CHANGES_A_LINE,
    LONGEST_REQUEST_BYTES,
    CommandRequest,
    DiscardRequest,
    Listed,
    PartDone,
    PendingFiles,
    PendingRequest,
    Progress,
    ProtocolError,
    Rejected,
    Reply,
    Request,
    RetryRequest,
    Settled,
    StatusReply,
    StatusRequest,
    Stopped,
    StopRequest,
    Synced,
    SyncRequest,
    Told,
    WaitRequest,
    decode_request,
    encode,
    in_lines,
)
from daemon.control.status import MountStatus
from daemon.control.steering import HoldRequest, RatesRequest, Steered
from mountfs.errors import MountfsError, with_class
from mountfs.model.path import ROOT, RemotePath
from mountfs.ports import Clock

LOG = logging.getLogger(__name__)

T = TypeVar("T")

PROGRESS_S = 0.5
"""How often a waiting client hears something; it takes a minute of silence for death."""

PATHS_A_LINE = 250
"""A path has up to 4 KiB, each byte of which JSON may spell with six: a line of them stays below what a
reader takes."""

REST_S = 0.03
"""Between two looks at the backlog: during a batch, changes move faster than it can be counted."""

_REQUEST_TIMEOUT_S = 10.0
_LAST_WORDS_S = 2.0
_MOST_CLIENTS = 64
_MOST_PIECES = 16
"""Reads that one request may come in."""

REST_AFTER_ERROR_S = 0.25
"""Before another client is accepted after one could not be: the kernel keeps it waiting."""

Answer = Callable[[Request], Iterator[Reply]]


class Stopping(Protocol):
    """The lifecycle, as far as a client may steer it."""

    def ask_stop(self, timeout_s: float | None = None) -> None:
        """Begins the drain, unless it runs already."""

    @property
    def why_left(self) -> str:
        """Why the drain ended before its time; known with what ``await_drained`` returns."""

    def await_drained(self, timeout_s: float) -> int | None:
        """How many changes stay journaled, once that is known; None after *timeout_s*."""


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
                self._account.look_around()
                yield StatusReply(self._describe())
            case WaitRequest(path, timeout_s):
                yield from self._wait(RemotePath.parse(path), timeout_s)
            case StopRequest(timeout_s):
                yield from self._stop(timeout_s)
            case SyncRequest():
                yield from self._during(self._account.sync)
                yield Synced()
            case RetryRequest(path):
                yield (yield from self._during(lambda: self._account.retry(RemotePath.parse(path))))
            case PendingRequest(path):
                yield from self._list(RemotePath.parse(path))
            case ChangesRequest(path):
                yield from self._list_changes(RemotePath.parse(path))
            case StoryRequest(path):
                yield Story(self._account.story(RemotePath.parse(path)))
            case HoldRequest(is_held):
                self._account.hold(is_held)
                yield Steered()
            case RatesRequest():
                yield from self._during(lambda: self._account.limit_rates(request.rates))
                yield Steered()
            case CommandRequest(command, path, argument):
                yield from self._carry_out(command, RemotePath.parse(path), argument)
            case DiscardRequest(path, is_trial):
                top = RemotePath.parse(path)
                yield (yield from self._during(lambda: self._account.discard(top, is_trial=is_trial)))

    def _carry_out(self, command: str, path: RemotePath, argument: str) -> Iterator[Reply]:
        """Ends with its client, whose Ctrl-C is seen when it is told of something."""
        is_over, far = Event(), [0, 0]

        def goes_on(done: int, total: int) -> bool:
            far[:] = done, total
            return not is_over.is_set()

        def spoken() -> Reply:
            done, total = far
            return PartDone(done, total) if total else self._spoken()

        try:
            work = partial(self._account.carry_out, command, path, argument, goes_on)
            yield Told((yield from self._during(work, spoken)))
        finally:
            is_over.set()

    def _spoken(self) -> Reply:
        backlog = self._account.backlog(ROOT)
        return Progress(backlog.unsettled, backlog.size_bytes)

    def _during(
        self, do: Callable[[], T], spoken: Callable[[], Reply] | None = None
    ) -> Generator[Reply, None, T]:
        """What *do* returns. It may take long, and the client is to hear something meanwhile: *spoken*."""
        outcome: Future[T] = Future()

        def run() -> None:
            try:
                outcome.set_result(do())
            except BaseException as error:
                outcome.set_exception(error)

        Thread(target=run, name="control-work", daemon=True).start()
        while not wait([outcome], PROGRESS_S).done:
            yield (spoken or self._spoken)()
        return outcome.result()

    def _wait(self, path: RemotePath, timeout_s: float | None) -> Iterator[Reply]:
        deadline_s = math.inf if timeout_s is None else self._clock.now_s() + timeout_s
        for reply in self._during(lambda: self._account.check_known(path)):
            if self._clock.now_s() >= deadline_s:
                break  # the service does not tell in time what is there: what is pending is known here
            yield reply
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
                held_up = self._account.held_up()
                yield Progress(backlog.unsettled, backlog.size_bytes, self._account.transfer(), held_up)
            self._account.await_change(min(PROGRESS_S, deadline_s - now_s))
            self._rest.wait(REST_S)

    def _list(self, path: RemotePath) -> Iterator[Reply]:
        paths, outside = yield from self._during(lambda: self._account.pending_files(path))
        for at in range(0, len(paths), PATHS_A_LINE):
            yield PendingFiles(tuple(paths[at : at + PATHS_A_LINE]))
        yield Listed(outside)

    def _list_changes(self, path: RemotePath) -> Iterator[Reply]:
        changes, outside = yield from self._during(lambda: self._account.pending_changes(path))
        for at in range(0, len(changes), CHANGES_A_LINE):
            yield PendingChanges(tuple(changes[at : at + CHANGES_A_LINE]))
        yield Listed(outside)

    def _stop(self, timeout_s: float | None) -> Iterator[Reply]:
        self._lifecycle.ask_stop(timeout_s)
        while (left := self._lifecycle.await_drained(PROGRESS_S)) is None:
            backlog = self._account.unsent()
            yield Progress(backlog.pending, backlog.size_bytes, self._account.transfer())
        yield Stopped(left, self._lifecycle.why_left)


class ControlServer:
    """Listens on a 0600 Unix socket; one request and its answer per connection, a thread for each.

    Who asked for a stop keeps its connection until ``close``: its end says that the process is ending. A
    process without a free descriptor, thread or seat still answers one client after the other.
    """

    def __init__(self, path: Path, answer: Answer) -> None:
        self._path = path
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._reserve: socket.socket | None = None
        """A descriptor kept for the client that comes when the process has no other."""
        self._changed = Condition(RLock())
        self._clients: dict[socket.socket, bool] = {}
        """Whether its request was read, by client, the oldest first."""
        self._closing = Event()

    def start(self) -> None:
        """Binds and begins to accept. OSError."""
        self._path.unlink(missing_ok=True)  # of a killed process that had the same number
        self._listener.bind(os.fspath(self._path))
        self._path.chmod(0o600)
        self._listener.listen(2 * _MOST_CLIENTS)
        self._keep_reserve()
        Thread(target=self._accept, name="control", daemon=True).start()

    def close(self) -> None:
        """Removes the socket, lets answers under way be given, then ends every connection; repeatable."""
        self._closing.set()
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._changed:
            self._release_reserve()
            self._changed.wait_for(lambda: not self._clients, _LAST_WORDS_S)
            for client in self._clients:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    # Clients

    def _accept(self) -> None:
        is_told = False
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
                is_told = False
            except OSError as error:
                if not self._closing.is_set() and not is_told:
                    is_told = True
                    LOG.warning("a client of the control socket has to wait: %s", error.strerror)
                if error.errno not in (errno.EMFILE, errno.ENFILE) or not self._release_reserve():
                    self._closing.wait(REST_AFTER_ERROR_S)
                continue
            try:
                self._seat(client)
                Thread(target=self._serve, args=(client,), name="control-client", daemon=True).start()
            except Exception:
                LOG.exception("a client of the control socket was turned away")
                self._leave(client)
                client.close()

    def _seat(self, client: socket.socket) -> None:
        """Makes room for one more: whoever has not said yet what it wants goes first, the oldest of them."""
        with self._changed:
            self._clients[client] = False
            if len(self._clients) > _MOST_CLIENTS:
                silent = next((each for each, is_heard in self._clients.items() if not is_heard), client)
                with contextlib.suppress(OSError):
                    silent.shutdown(socket.SHUT_RDWR)

    def _leave(self, client: socket.socket) -> None:
        with self._changed:
            self._clients.pop(client, None)
            self._changed.notify_all()

    def _serve(self, client: socket.socket) -> None:
        try:
            # A client that went away or never spoke is no event.
            with client, contextlib.suppress(OSError):
                client.settimeout(_REQUEST_TIMEOUT_S)
                for reply in (line for each in self._replies(client) for line in in_lines(each)):
                    client.sendall(encode(reply))
                    if isinstance(reply, Stopped):
                        self._closing.wait()
        finally:
            self._keep_reserve()
            self._leave(client)

    def _keep_reserve(self) -> None:
        with self._changed, contextlib.suppress(OSError):
            if self._reserve is None and not self._closing.is_set():
                self._reserve = self._listener.dup()

    def _release_reserve(self) -> bool:
        """Whether there was one."""
        with self._changed:
            reserve, self._reserve = self._reserve, None
        if reserve is not None:
            reserve.close()
        return reserve is not None

    def _request(self, client: socket.socket) -> bytes:
        """One line, or what came of it. OSError."""
        line = b""
        for _ in range(_MOST_PIECES):
            piece = client.recv(LONGEST_REQUEST_BYTES - len(line))
            line += piece
            if not piece or b"\n" in piece or len(line) >= LONGEST_REQUEST_BYTES:
                break
        with self._changed:
            if client in self._clients:
                self._clients[client] = True
        return line.partition(b"\n")[0]

    def _replies(self, client: socket.socket) -> Iterator[Reply]:
        if peer_uid(client) not in (0, os.geteuid()):
            yield Rejected("this mount belongs to another user")
            return
        line = self._request(client)
        try:
            yield from self._answer(decode_request(line))
        except (ProtocolError, MountfsError) as error:
            yield Rejected(str(error))
        except Exception as error:
            if not self._closing.is_set():
                LOG.exception("a control request failed")
            yield Rejected(with_class(error))


def peer_uid(client: socket.socket) -> int:
    """Who is at the other end, as the kernel knows it; SO_PEERCRED in unix(7)."""
    size = struct.calcsize("3i")
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    uid: int = struct.unpack("3i", credentials)[1]
    return uid
