"""The mount's side of one network process: the calls under way, and what its end means for them."""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from itertools import count
from threading import Event, Lock, Thread
from typing import Any

from mountfs.errors import Offline, Unreachable
from mountfs.model.entry import Account
from mountfs.ports import BackendLimits, Clock
from mountfs.transport.codec import dumps, loads
from mountfs.transport.frames import Broken, Channel, Frame, Kind
from mountfs.transport.window import Window

START_TIMEOUT_S = 30.0
"""For the interpreter and its imports, which take 0.3 s on an idle machine."""
PROBE_S = 15.0
"""A call that takes longer asks whether the process still answers at all, and so does each such time."""
SILENT_S = 60.0
"""A process that answers nothing for so long, though it was asked, hangs: it is ended."""
END_S = 6.0
"""For its last calls, and for an exchange of tokens that runs (three seconds)."""
LAST_S = 1.0
"""From the end of its stream to its own."""

LOG = logging.getLogger(__name__)

State = tuple[BackendLimits, str]
"""The port's properties: its limits, the id of its root."""


class Died(Offline):
    """The process ended while it had the call."""


class _Call:
    """One call under way. Its lock is held until there is a reply, or there never will be one."""

    __slots__ = ("done", "reply")

    def __init__(self) -> None:
        self.done = Lock()
        self.done.acquire()
        self.reply: Frame | None = None


class Child:
    """A process that has its descriptors, and has not been told yet what to connect to."""

    def __init__(self, command: Sequence[str], window: Window) -> None:
        """Starts *command*, which gets the numbers of its socket and window as last arguments; it is not
        waited for. OSError."""
        self.window = window
        self.is_told = False
        self.socket, theirs = socket.socketpair()
        with contextlib.ExitStack() as on_failure, theirs:
            on_failure.callback(self.socket.close)
            inherited = (theirs.fileno(), window.fd)
            # In a session of its own, or the terminal's Ctrl-C would end it before the drain.
            self.process = subprocess.Popen(
                [*command, *map(str, inherited)],
                stdin=subprocess.DEVNULL,
                pass_fds=inherited,
                start_new_session=True,
            )
            on_failure.pop_all()

    def drop(self) -> None:
        """Ends one that was told nothing, and waits."""
        self.socket.close()
        self.process.kill()
        self.process.wait()


class Link:
    """One network process. Any thread may call; every call ends, at the latest when the process does."""

    def __init__(
        self, child: Child, recipe: bytes, clock: Clock, on_state: Callable[[State, bool], None]
    ) -> None:
        """Sends *child* its *recipe*; it is not waited for. *on_state*: is told the port's properties
        whenever the process tells them, and whether it was for the first time."""
        child.is_told = True
        self._process = child.process
        self._channel = Channel(child.socket)
        self._on_state = on_state
        self._clock = clock
        self._started_s = self._heard_s = clock.now_s()
        self._lock = Lock()
        self._numbers = count(1)
        self._calls: dict[int, _Call] = {}
        self._is_up, self._is_over = Event(), Event()
        self.end_of_process = ""
        """Once it is over: how it ended, in a line."""
        Thread(target=self._receive, name="network", daemon=True).start()
        with contextlib.suppress(Broken):  # the thread learns of it
            self._channel.send(Kind.RECIPE, 0, recipe)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_over(self) -> bool:
        return self._is_over.is_set()

    @property
    def lived_s(self) -> float:
        """So far."""
        return self._clock.now_s() - self._started_s

    def await_up(self) -> None:
        """Returns once the process has told the port's properties. Unreachable: it does not come up."""
        if not self._is_up.wait(START_TIMEOUT_S):
            self.kill()
            raise Unreachable("the network process does not start")
        if self.is_over:
            raise Unreachable(self._gone())

    def call(
        self,
        method: str,
        arguments: Sequence[object],
        named: dict[str, object],
        patience_s: float = math.inf,
    ) -> Any:
        """What the port's *method* returns, or raises. Died: the process ended meanwhile. Unreachable: it
        had ended before. Offline: no reply came within *patience_s*."""
        payload = dumps((method, tuple(arguments), named))
        call, number = _Call(), next(self._numbers)
        with self._lock:
            if self.is_over:
                raise Unreachable(self._gone())
            self._calls[number] = call
        try:
            self._channel.send(Kind.CALL, number, payload)
        except Broken:
            self.kill()
        while not call.done.acquire(timeout=min(PROBE_S, patience_s)):
            self._look_whether_it_hangs()
            if patience_s < PROBE_S:
                raise Offline("the network process does not answer")
        if call.reply is None:
            raise Died(self._gone())
        value = loads(call.reply.payload)
        if call.reply.kind == Kind.FAILURE:
            raise value
        return value

    def tell_mounted(self, account: Account) -> None:
        """Whose account is mounted."""
        with contextlib.suppress(Broken):
            self._channel.send(Kind.MOUNTED, 0, dumps(account))

    def close(self) -> None:
        """Its calls end soon; does not wait."""
        with contextlib.suppress(Broken):
            self._channel.send(Kind.CLOSE, 0, b"")

    def end(self) -> None:
        """Ends the process, and waits until it is gone."""
        self._channel.end()
        if not self._is_over.wait(END_S):
            self.kill()
            self._is_over.wait(END_S)

    def kill(self) -> None:
        """At once."""
        if not self.is_over:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    # Inside

    def _receive(self) -> None:
        """The thread of this link: hands replies to those who wait."""
        try:
            while True:
                frame = self._channel.receive()
                self._heard_s = self._clock.now_s()
                if frame.kind == Kind.STATE:
                    self._on_state(loads(frame.payload), not self._is_up.is_set())
                    self._is_up.set()
                elif frame.kind == Kind.LOG:
                    _log(*loads(frame.payload))
                else:
                    self._hand_over(frame)
        except Broken:
            pass
        finally:
            self._end_all()

    def _hand_over(self, frame: Frame) -> None:
        with self._lock:
            call = self._calls.pop(frame.number, None)
        if call is not None:
            call.reply = frame
            call.done.release()

    def _end_all(self) -> None:
        """The process is gone, or of no use any more."""
        try:
            code = self._process.wait(LAST_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self.end_of_process = _how(code)
        with self._lock:
            self._is_over.set()
            calls = list(self._calls.values())
            self._calls.clear()
        self._is_up.set()
        self._channel.close()
        for call in calls:
            call.done.release()

    def _look_whether_it_hangs(self) -> None:
        if self._clock.now_s() - self._heard_s > SILENT_S:
            LOG.error("the network process does not answer: it is ended")
            self.kill()
            return
        with contextlib.suppress(Broken):
            self._channel.send(Kind.CALL, 0, dumps(("trouble", (), {})))

    def _gone(self) -> str:
        return f"the network process {self.end_of_process}"


def _how(code: int) -> str:
    """In words, what a process ended with."""
    if code >= 0:
        return "ended" if code == 0 else f"ended with status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _log(name: str, level: int, message: str, created: float, trace: str) -> None:
    """A record of the other process, in this one's log."""
    logger = logging.getLogger(name)
    if not logger.isEnabledFor(level):
        return
    record = logger.makeRecord(name, level, "", 0, message, (), None, sinfo=trace or None)
    record.created = created
    logger.handle(record)
