"""The side of the network process: answers the calls of its mount by those of a backend."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Condition, Lock

from mountfs.errors import Internal, MountfsError, Offline, with_class
from mountfs.model.entry import Account, File
from mountfs.model.logevent import LogEvent
from mountfs.ports import Backend
from mountfs.transport.codec import dumps, loads
from mountfs.transport.frames import Broken, Channel, Kind
from mountfs.transport.landing import Landing
from mountfs.transport.window import fill, is_raised

LOG = logging.getLogger(__name__)

LEAST_ON_BYTES = 256 * 1024
"""A reply that brought so much before it broke off is read on, or the same few bytes would be asked for over
and over."""
LAST_CALLS_S = 2.0
"""How long calls that run at the end may take, after their connections were cut."""
CALLS_AT_ONCE = 128
"""Threads that answer. Each call is made by a thread of the mount, which hardly ever has so many in calls."""
WITHOUT_REQUESTS = frozenset({"calls", "limit_rates", "outcomes", "trouble"})
"""Calls that make no request: answered by the receiving thread, so that `mountfs status` never waits until
one of the others is free."""


class Serving:
    """Answers the calls that come through *channel* by those of *backend*."""

    def __init__(
        self, channel: Channel, window_fd: int, backend: Backend, mounted: Callable[[Account], None]
    ) -> None:
        """*window_fd*: the memory that downloads are written to. *mounted*: is called with the account that
        is mounted, once the mount has told."""
        self._channel = channel
        self._window_fd = window_fd
        self._backend = backend
        self._mounted = mounted
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, "call")
        self._lock = Lock()
        self._told: tuple[object, ...] = ()
        self._under_way = 0
        self._ended = Condition()
        self._last_bug = ""

    def run(self) -> None:
        """Answers until the mount has died or has ended the stream, and closes the backend then."""
        self._tell_state()
        while True:
            try:
                frame = self._channel.receive()
            except Broken:
                break
            if frame.kind == Kind.CLOSE:
                self._backend.close()
            elif frame.kind == Kind.MOUNTED:
                self._mounted(loads(frame.payload))
            elif frame.kind == Kind.CALL:
                self._begin(frame.number, frame.payload)
        self._backend.close()

    def await_last_calls(self) -> None:
        """Waits until the calls that run have been answered, at most LAST_CALLS_S."""
        with self._ended:
            self._ended.wait_for(lambda: not self._under_way, LAST_CALLS_S)

    def _begin(self, number: int, payload: bytes) -> None:
        method, arguments, named = loads(payload)
        if method in WITHOUT_REQUESTS:
            self._answer(number, method, arguments, named)
        else:
            with self._ended:
                self._under_way += 1
            self._pool.submit(self._work, number, method, arguments, named)

    def _work(
        self, number: int, method: str, arguments: tuple[object, ...], named: dict[str, object]
    ) -> None:
        try:
            self._answer(number, method, arguments, named)
        finally:
            with self._ended:
                self._under_way -= 1
                self._ended.notify_all()

    def _answer(
        self, number: int, method: str, arguments: tuple[object, ...], named: dict[str, object]
    ) -> None:
        try:
            kind, value = Kind.RESULT, dumps(self._outcome(method, arguments, named))
        except MountfsError as error:
            kind, value = Kind.FAILURE, dumps(error)
        except BaseException as error:
            self._log_bug(method, error)
            kind, value = Kind.FAILURE, dumps(Internal.of(error))
        try:
            # A call may have learned the account's own limits: the mount has to know them when it returns.
            self._tell_state()
            self._channel.send(kind, number, value)
        except Broken:
            return  # the mount has died, and this process ends soon

    def _outcome(self, method: str, arguments: tuple[object, ...], named: dict[str, object]) -> object:
        if method != "read":
            return getattr(self._backend, method)(*arguments, **named)
        file, offset, length, target = arguments
        assert isinstance(file, File)
        assert isinstance(offset, int)
        assert isinstance(length, int)
        if isinstance(target, tuple):
            path, flag = target
            with Landing(path, offset, partial(is_raised, self._window_fd, flag)) as landing:
                self._land(file, offset, length, landing)
                return landing.digests(length)
        assert isinstance(target, int)
        body = self._backend.read(file, offset, length)
        fill(self._window_fd, target, body)
        return len(body)

    def _land(self, file: File, offset: int, length: int, landing: Landing) -> None:
        """A reply that breaks off is read on behind what it brought. To throw that away would have most bytes
        fetched several times where something between us and the service cuts each connection."""
        while True:
            came_bytes = landing.length
            try:
                self._backend.read(file, offset + came_bytes, length - came_bytes, landing.take)
            except Offline as error:
                is_broken = type(error) is Offline  # its kinds: not reached, silent, or nothing came
                if not is_broken or landing.length - came_bytes < LEAST_ON_BYTES:
                    raise
            else:
                return

    def _tell_state(self) -> None:
        if self._told == (self._backend.limits, self._backend.root_id):
            return
        with self._lock:  # also while another call tells of them: this one's answer comes after that
            state = (self._backend.limits, self._backend.root_id)
            if self._told != state:
                self._channel.send(Kind.STATE, 0, dumps(state))
                self._told = state

    def _log_bug(self, method: str, error: BaseException) -> None:
        """Logs an exception that is no MountfsError, unless the one logged before was the same."""
        bug = f"{method}: {with_class(error)}"
        with self._lock:
            is_new, self._last_bug = bug != self._last_bug, bug
        if is_new:
            LOG.error("%s failed", method, exc_info=error)


class LogToMount(logging.Handler):
    """Sends what is logged here to the mount, which logs it."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        trace = "".join(traceback.format_exception(record.exc_info[1])) if record.exc_info else ""
        told = record.msg
        event = (
            (told.name, {key: str(fact) for key, fact in told.facts.items()})
            if isinstance(told, LogEvent)
            else None
        )
        facts = (record.name, record.levelno, record.getMessage(), record.created, trace, event)
        try:
            self._channel.send(Kind.LOG, 0, dumps(facts))
        except Broken:
            return  # the mount has died
