"""The mount's side of one network process: starts it, calls it, and ends the calls that run when it dies."""

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
from mountfs.model.logevent import LogEvent
from mountfs.ports import BackendLimits, Clock
from mountfs.transport.codec import dumps, loads
from mountfs.transport.frames import Broken, Channel, Frame, Kind
from mountfs.transport.window import Window

START_TIMEOUT_S = 30.0
"""The longest that interpreter and imports may take; on an idle machine it is 0.3 s."""
PROBE_S = 15.0
"""A process that has calls and says nothing for so long is asked whether it still answers at all."""
PROBES = 4
"""A process that answers none of so many questions in a row hangs, and is killed. They are counted, since a
clock also goes on while all processes are stopped."""
END_S = 6.0
"""How long a process may take to end: for its last calls, and for an exchange of tokens (3 s)."""
EXIT_S = 1.0
"""How long a process may live after it has closed its end of the socket."""

LOG = logging.getLogger(__name__)

State = tuple[BackendLimits, str]
"""The port's properties: limits, and the id of the root folder."""


class Died(Offline):
    """The process died while the call ran, which may have taken effect."""


class Gone(Unreachable):
    """The process had died before the call, of which nothing left."""


class _Call:
    """One call that runs. ``done`` is released with the reply, or without one when the process has died."""

    __slots__ = ("done", "reply")

    def __init__(self) -> None:
        self.done = Lock()
        self.done.acquire()
        self.reply: Frame | None = None


class Child:
    """A network process that was started, and that waits for its recipe."""

    def __init__(self, command: Sequence[str], window: Window) -> None:
        """Starts *command*, with the descriptors of socket and window as its last arguments. Does not wait.
        OSError."""
        self.window = window
        self.has_recipe = False
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
        """Kills a process that got no recipe, and waits for its end."""
        self.socket.close()
        self.process.kill()
        self.process.wait()


class Link:
    """One network process with a recipe. Any thread may call. Every call ends, at the latest with the
    process."""

    def __init__(
        self, child: Child, recipe: bytes, clock: Clock, on_state: Callable[[State, bool], None]
    ) -> None:
        """Sends *child* its *recipe*, and does not wait. *on_state*: is called with the port's properties
        whenever the process sends them; the second argument: it is the first time."""
        child.has_recipe = True
        self._process = child.process
        self._channel = Channel(child.socket, PROBE_S, self._look_whether_it_hangs)
        self._on_state = on_state
        self._clock = clock
        self._started_s = clock.now_s()
        self._unanswered = 0
        self._lock = Lock()
        self._numbers = count(1)
        self._calls: dict[int, _Call] = {}
        self._is_up, self._is_over = Event(), Event()
        self.end_of_process = ""
        """How the process ended, in words, once ``is_over``."""
        Thread(target=self._receive, name="network", daemon=True).start()
        with contextlib.suppress(Broken):  # the thread will meet it, too
            self._channel.send(Kind.RECIPE, 0, recipe)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_over(self) -> bool:
        return self._is_over.is_set()

    @property
    def lived_s(self) -> float:
        """Seconds since it got its recipe."""
        return self._clock.now_s() - self._started_s

    def await_up(self) -> None:
        """Waits until the process has sent the port's properties. Unreachable: it died, or took too long."""
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
        """Calls the port's *method*: returns what it returns, raises what it raises. Died: the process died
        meanwhile. Gone: it had died before. Offline: no reply within *patience_s*."""
        payload = dumps((method, tuple(arguments), named))
        call, number = _Call(), next(self._numbers)
        with self._lock:
            if self.is_over:
                raise Gone(self._gone())
            self._calls[number] = call
        if not self._is_answered(call, number, payload, patience_s):
            with self._lock:
                self._calls.pop(number, None)
            raise Offline("the network process does not answer")
        if call.reply is None:
            raise Died(self._gone())
        value = loads(call.reply.payload)
        if call.reply.kind == Kind.FAILURE:
            raise value
        return value

    def tell_mounted(self, account: Account) -> None:
        """Tells the process whose account is mounted."""
        with contextlib.suppress(Broken):
            self._channel.send(Kind.MOUNTED, 0, dumps(account))

    def close(self) -> None:
        """Has the process cut its connections, so that calls that run end soon. Does not wait for them."""
        with contextlib.suppress(Broken):
            if not self._channel.offer(Kind.CLOSE, 0, b"", END_S):
                self.kill()

    def end(self) -> None:
        """Lets the process end its calls, and waits for it; kills it after END_S."""
        self._channel.end()
        if not self._is_over.wait(END_S):
            self.kill()
            self._is_over.wait(END_S)

    def kill(self) -> None:
        """Kills the process, and does not wait."""
        if not self.is_over:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    # Inside

    def _is_answered(self, call: _Call, number: int, payload: bytes, patience_s: float) -> bool:
        """Sends it and waits; whether there is a reply, or there never will be one."""
        try:
            if patience_s == math.inf:
                self._channel.send(Kind.CALL, number, payload)
            elif not self._channel.offer(Kind.CALL, number, payload, patience_s):
                return False
        except Broken:
            self.kill()
        return call.done.acquire(timeout=-1 if patience_s == math.inf else patience_s)

    def _receive(self) -> None:
        """The thread of this link: receives all frames, and hands replies to the calls."""
        try:
            while True:
                frame = self._channel.receive()
                self._unanswered = 0
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
        """The stream has ended: waits for the process, and ends all calls without a reply."""
        try:
            code = self._process.wait(EXIT_S)
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
        """Called by the thread that receives, which never waits for a process that does not read."""
        if not self._calls:
            self._unanswered = 0
        elif self._unanswered >= PROBES:
            LOG.error("the network process does not answer: it is ended")
            self.kill()
        else:
            self._unanswered += 1
            with contextlib.suppress(Broken):
                self._channel.offer(Kind.CALL, 0, dumps(("trouble", (), {})), 0)

    def _gone(self) -> str:
        return f"the network process {self.end_of_process}"


def _how(code: int) -> str:
    """How a process ended, in words; *code* as of ``Popen``: negative for a signal."""
    if code >= 0:
        return "ended" if code == 0 else f"ended with status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _log(
    name: str, level: int, message: str, created: float, trace: str, event: tuple[str, dict[str, str]] | None
) -> None:
    """Logs a record of the network process in the mount."""
    logger = logging.getLogger(name)
    if not logger.isEnabledFor(level):
        return
    told = message if event is None else LogEvent(event[0], **event[1])
    record = logger.makeRecord(name, level, "", 0, told, (), None, sinfo=trace or None)
    record.created = created
    logger.handle(record)
