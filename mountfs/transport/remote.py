"""``ports.Backend`` in the mount: calls the network process, and starts another one when it has died."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event, Lock
from typing import Any, TypeVar, cast

from mountfs.errors import MountfsError, Offline, Unreachable
from mountfs.model.calloff import CallOff
from mountfs.model.entry import Account, File
from mountfs.model.pacing import Pacer
from mountfs.ports import Backend, BackendLimits, Clock
from mountfs.transport.link import Child, Died, Gone, Link, State
from mountfs.transport.window import SLOT_BYTES, Window

LOG = logging.getLogger(__name__)

STEADY_S = 10.0
"""After a process that lived for so long, the next one starts without a delay. Else the delay doubles."""
STATUS_S = 2.0
"""The longest that `mountfs status` waits for ``calls`` and ``trouble``, which make no request."""
LONGEST_WAIT_S = 2.0
"""A call waits if the next process starts within so long. Else it is Unreachable, with the time to retry."""
TRIES = 4
"""So many processes are asked the same. More than two, since a process may be killed while it starts; not
more, since it may be the call that kills them, and with each one the calls of others."""
_LOOKS = (
    "account",
    "space",
    "list_folder",
    "list_page",
    "list_tree",
    "stat",
    "read",
    "latest_cursor",
    "changes",
    "revisions_before",
)
_READS_HERE = ("content_hashes", "whole_hash", "part_bytes")
_SENDS = ("new_sessions", "open_session", "upload_whole", "append", "submit", "poll", "restore", "undelete")
ANSWERED = frozenset((*_LOOKS, *_SENDS))
"""Calls that come back well only if the service has just answered."""
REPEATABLE = frozenset((*_LOOKS, *_READS_HERE, "poll", "resume"))
"""Calls that are made again with the next process when theirs has died: they change nothing at the service.
``wait_for_changes`` is not among them, since the follower retries at a pace of its own."""
T = TypeVar("T")
_CALLS = frozenset(
    name for name, value in vars(Backend).items() if not name.startswith("_") and callable(value)
)
"""The methods of the port. Its properties are not called for: the process sends them."""


class RemoteBackend:
    """``ports.Backend`` on a network process. If the process dies while a call runs that changes something,
    such as ``submit``, the call raises Offline, like one whose reply was lost: it may have taken effect."""

    def __init__(
        self,
        command: Sequence[str],
        recipe: Callable[[], bytes],
        clock: Clock,
        first: Child | None = None,
    ) -> None:
        """*command*: starts a process. *recipe*: gives what each process is sent first. *first*: a process
        that was started already, and is used before *command* is."""
        self.on_answer: Callable[[], None] = lambda: None
        """Called on the thread of a call that the service has answered well."""
        self._command = command
        self._recipe = recipe
        self._clock = clock
        self._first = first
        self._window = Window() if first is None else first.window
        self._starting = Lock()
        self._pacer = Pacer()
        self._closed = Event()
        self._link: Link | None = None
        self._state: State | None = None
        self._last_calls: dict[str, int] = {}
        """API calls by route that the present process has made, as it told last."""
        self._former_calls: Counter[str] = Counter()
        """API calls by route of the processes that have died."""

    def start(self) -> None:
        """Starts the first process, and does not wait for it. MountfsError."""
        self._ready()

    @property
    def pid(self) -> int | None:
        """The id of the network process; None: none runs."""
        link = self._link
        return None if link is None else link.pid

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in _CALLS:
            raise AttributeError(name)

        def call(*arguments: object, **named: object) -> Any:
            return self._asked(name, lambda: self._ready().call(name, arguments, named))

        setattr(self, name, call)
        return call

    @property
    def limits(self) -> BackendLimits:
        return self._properties()[0]

    @property
    def root_id(self) -> str:
        return self._properties()[1]

    def read(self, file: File, offset: int, length: int) -> bytes:
        """As ``ports.Backend``; the bytes come through the window, a slot at a time."""
        pieces: list[bytes] = []
        for at in range(offset, max(offset + length, offset + 1), SLOT_BYTES):
            wanted = min(SLOT_BYTES, offset + length - at)
            pieces.append(self._asked("read", partial(self._read, file, at, wanted)))
            if len(pieces[-1]) < wanted:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_into(self, file: File, offset: int, length: int, path: str, call_off: CallOff) -> bytes:
        """As ``read``, but the network process writes the bytes into the file at *path*, at *offset* too, and
        the digests of its blocks are returned. DiskTrouble: they cannot be written there. CalledOff: by
        *call_off*; the connection is cut."""
        flag = self._window.lend_flag()
        arguments = (file, offset, length, (path, flag))
        try:
            call_off.bind(lambda: self._window.raise_flag(flag))
            return cast("bytes", self._asked("read", lambda: self._ready().call("read", arguments, {})))
        finally:
            call_off.bind(None)
            self._window.give_back_flag(flag)

    def calls(self) -> dict[str, int]:
        """As ``ports.Backend``, with the calls of processes that died, as far as these told of them."""
        with contextlib.suppress(MountfsError):
            link = self._link
            if link is not None and not link.is_over:
                self._last_calls = link.call("calls", (), {}, STATUS_S)
        total = Counter(self._former_calls)
        total.update(self._last_calls)
        return dict(total)

    def outcomes(self) -> dict[str, dict[str, int]]:
        """As ``ports.Backend``, of the present process alone: a scraper knows a count that begins anew."""
        link = self._link
        if link is None or link.is_over:
            return {}
        try:
            return cast("dict[str, dict[str, int]]", link.call("outcomes", (), {}, STATUS_S))
        except MountfsError:
            return {}

    def trouble(self) -> MountfsError | None:
        """As ``ports.Backend``; also that the process died, or does not answer."""
        link = self._link
        try:
            if link is None:
                return self._pacer.error
            if link.is_over:
                return _death_of(link)
            return cast("MountfsError | None", link.call("trouble", (), {}, STATUS_S))
        except Offline as error:
            return error

    def traffic(self) -> tuple[int, int]:
        """Bytes of bodies sent and received so far, also of calls that still run. Waits for nobody."""
        return self._window.traffic()

    def mounted(self, account: Account) -> None:
        """Tells the process whose account is mounted. Those that start later learn it by their recipe."""
        with contextlib.suppress(MountfsError):
            self._ready().tell_mounted(account)

    def close(self) -> None:
        """Calls that run raise Offline soon, later ones at once. Does not wait."""
        self._closed.set()
        link = self._link
        if link is not None:
            link.close()

    def end(self) -> None:
        """Waits for the end of the process, which ends its calls and a token exchange first. Nothing may be
        called after this."""
        self._closed.set()
        with self._starting:
            link = self._link
        if link is not None:
            link.end()

    # Inside

    def _asked(self, name: str, ask: Callable[[], T]) -> T:
        """Makes a call. If its process dies, it is made again with the next one, TRIES times in all: if it
        changes nothing, or had not left."""
        left = TRIES
        while True:
            left -= 1
            try:
                found = ask()
            except Gone:
                if not left:
                    raise
            except Died as error:
                if not left or name not in REPEATABLE:
                    raise Offline(str(error)) from error
            else:
                if name in ANSWERED:
                    self.on_answer()
                return found

    def _properties(self) -> State:
        """The properties as a process sent them last; waits only for those of the first process."""
        if self._state is None:
            self._ready().await_up()
        assert self._state is not None
        return self._state

    def _take_properties(self, state: State, is_first: bool) -> None:
        """Keeps *state*, unless it is the first of a later process: that one has not learned the account's
        own limits yet, which are known here from the process before."""
        if self._state is None or not is_first:
            self._state = state

    def _read(self, file: File, offset: int, length: int) -> bytes:
        link = self._ready()
        at = self._window.lend()
        try:
            return self._window.take(at, link.call("read", (file, offset, length, at), {}))
        finally:
            self._window.give_back(at)

    def _ready(self) -> Link:
        """The link to the present process; starts one if it has died. Offline: closed. Unreachable."""
        link = self._link
        if link is not None and not link.is_over and not self._closed.is_set():
            return link
        with self._starting:
            return self._started()

    def _started(self) -> Link:
        link = self._link
        if self._closed.is_set():
            raise Offline("the connection is closed")
        if link is not None and not link.is_over:
            return link
        if link is not None:
            self._note_death(link)
        left_s = self._pacer.ready_s - self._clock.now_s()
        if left_s > LONGEST_WAIT_S:
            raise Unreachable(f"{self._pacer.error}; it is started again in {left_s:.0f} s", left_s)
        if left_s > 0 and self._closed.wait(left_s):
            raise Offline("the connection is closed")
        try:
            child, self._first = self._first or Child(self._command, self._window), None
        except OSError as error:
            failure = Unreachable(f"the network process cannot be started: {error.strerror}")
            self._failed(failure)
            raise failure from error
        self._link = Link(child, self._recipe(), self._clock, self._take_properties)
        return self._link

    def _note_death(self, link: Link) -> None:
        """Notes that the process of *link* died: logs it, and delays the next one if it lived short."""
        self._link = None
        self._former_calls.update(self._last_calls)
        self._last_calls = {}
        if link.lived_s >= STEADY_S:
            self._pacer.succeeded()
        LOG.warning("the network process %s; it is started again", link.end_of_process)
        self._failed(_death_of(link))

    def _failed(self, error: MountfsError) -> None:
        now_s, jitter = self._clock.now_s(), self._clock.jitter()
        self._pacer.failed(error, started_s=now_s, now_s=now_s, jitter=jitter)


def _death_of(link: Link) -> Unreachable:
    return Unreachable(f"the network process {link.end_of_process}")
