"""The life of a mount's process: starting, ready, draining, stopped.

The main thread runs ``Lifecycle.run`` and nothing else: Python runs signal handlers there only.
libfuse's loop has a thread of its own; libfuse leaves signals alone for which a handler is installed
already, so install them before ``run``.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Thread
from typing import Protocol

from daemon.control.account import Backlog, MountedAccount
from daemon.control.status import plural, stays
from daemon.failure import Failure
from daemon.process.guarded import Guarded
from daemon.process.notify import Notifier
from daemon.process.phases import Event, Phase, advance
from daemon.process.worker import Worker
from mountfs.errors import MountfsError
from mountfs.model.logevent import LogEvent
from mountfs.model.path import ROOT
from mountfs.ports import Clock

LOG = logging.getLogger(__name__)


EXIT_LEFT_PENDING = 3
"""The exit code when changes stay journaled for the next mount."""

START_TIMEOUT_S = 60.0
PROBE_RETRY_S = 0.02
PROBE_S = 10.0
TICK_S = 0.5
DRAIN_TICK_S = 0.1
EXTENSION_S = 60.0
"""What a drain that advances asks of the service manager; longer than one slow commit."""

SESSIONS_S = 5.0
"""So long a drain that has sent everything waits for the last upload sessions to be ended: long enough for
a few tries. The next mount ends those that are left."""

ASKS_IN_IDLE_TIME = 3
"""How often the service is asked whether it answers before a drain that does not get on is given up."""

UNMOUNT_TIMEOUT_S = 2.0


class Kernel(Protocol):
    """The mount as the kernel sees it."""

    def is_mounted(self, mountpoint: Path) -> bool: ...

    def answers(self, mountpoint: Path) -> bool:
        """Whether the mount is there and answers; blocks for as long as it does not."""

    def unmount(self, mountpoint: Path) -> None:
        """Takes the mount away. Failure."""


class Lifecycle:
    """Runs one mounted account from its start to its end.

    ``ask_stop``, ``cut_short`` and ``await_drained`` are for any thread, the first two for signal
    handlers as well. *on_ready* is called once, *on_tick* about twice a second, both on the main thread.
    """

    def __init__(
        self,
        account: MountedAccount,
        mountpoint: Path,
        *,
        kernel: Kernel,
        notifier: Notifier,
        clock: Clock,
        drain_timeout_s: float,
        drain_idle_timeout_s: float = math.inf,
        on_ready: Callable[[], None],
        on_tick: Callable[[], None],
    ) -> None:
        self._account = account
        self._mountpoint = mountpoint
        self._kernel = kernel
        self._notifier = notifier
        self._clock = clock
        self._drain_timeout_s = drain_timeout_s
        self._drain_idle_timeout_s = drain_idle_timeout_s
        self._on_ready = on_ready
        self._on_tick = on_tick
        self._events: SimpleQueue[tuple[Event, float | None]] = SimpleQueue()
        """Each with the time a drain may take from then on, where that is given."""
        self._phase = Phase.STARTING
        self._deadline_s = math.inf
        self._seen = Backlog()
        self._got_on_s = -math.inf
        self._asked_s = -math.inf
        self._why_left = ""
        self._sent_s: float | None = None
        self._trouble: BaseException | None = None
        self._guarded = Guarded()
        self._left: int | None = None
        self._was_ready = False
        self._is_told = False
        self._drained = Flag()
        self._loop = Thread(target=self._serve, name="fuse", daemon=True)
        self._probe = Worker("probe", self._probe_step, clock)

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def left(self) -> int:
        """How many changes stayed journaled; known once ``run`` has returned."""
        return self._left or 0

    @property
    def why_left(self) -> str:
        """Why the drain ended before its time, in half a line; known once ``run`` has returned."""
        return self._why_left

    def ask_stop(self, timeout_s: float | None = None) -> None:
        """Begins the drain, for at most *timeout_s* if that is given. One that has begun is bounded by it."""
        self._events.put((Event.STOP_ASKED, timeout_s))

    def cut_short(self) -> None:
        """Ends a drain that runs, or begins one."""
        self._events.put((Event.CUT_SHORT, None))

    def await_drained(self, timeout_s: float) -> int | None:
        """How many changes stay journaled, once that is known; None after *timeout_s*."""
        return self._left if self._drained.wait(timeout_s) else None

    def run(self) -> int:
        """Mounts, serves, drains, unmounts; 0, or EXIT_LEFT_PENDING. Failure when it cannot mount."""
        self._deadline_s = self._clock.now_s() + START_TIMEOUT_S
        try:
            self._start()
            while self._phase is not Phase.STOPPED:
                self._tick()
        finally:
            self._end()
        if self._trouble is not None:
            what = "the mount broke" if self._was_ready else "cannot mount"
            raise Failure(f"{self._mountpoint}: {what}: {self._trouble}")
        if self._left:
            why = f": {self._why_left}" if self._why_left else ""
            kept = f"{plural(self._left, 'change')} {stays(self._left)}"
            LOG.warning("%s journaled for the next mount%s", kept, why)
        return EXIT_LEFT_PENDING if self._left else 0

    def _start(self) -> None:
        try:
            self._account.start()
            self._loop.start()
            self._probe.start()
        except RuntimeError as error:  # there can be no more threads
            self._trouble = error
            self._phase = advance(self._phase, Event.LOOP_ENDED)

    def _end(self) -> None:
        self._probe.stop()
        self._guarded.call("to end waits", self._account.end_waits, None)
        failure = self._unmount()
        self._left = (self._count() or self._seen).unsettled
        LOG.info(LogEvent("stopped", left=self._left))
        self._drained.set()
        self._guarded.call("to close", self._account.close, None)
        if failure is not None:
            failure = self._unmount()  # which may have lacked the descriptors that were just closed
        if failure is not None:
            LOG.error("%s", failure)

    def _serve(self) -> None:
        try:
            self._account.serve(self._mountpoint)
        except (MountfsError, OSError, RuntimeError) as error:
            self._trouble = error
        except BaseException as error:
            LOG.exception("the file system's loop failed")
            self._trouble = error
        finally:
            self._events.put((Event.LOOP_ENDED, None))

    def _probe_step(self, now_s: float) -> float:
        if not self._kernel.answers(self._mountpoint):
            return now_s + PROBE_RETRY_S
        self._events.put((Event.ANSWERED, None))
        return now_s + min(PROBE_S, (self._notifier.watchdog_s or math.inf) / 3)

    def _tick(self) -> None:
        try:
            event, timeout_s = self._events.get(
                timeout=DRAIN_TICK_S if self._phase is Phase.DRAINING else TICK_S
            )
        except Empty:
            pass
        else:
            self._handle(event, timeout_s)
        if self._phase is Phase.DRAINING:
            self._drain_on()
        elif self._phase is Phase.STARTING and self._clock.now_s() >= self._deadline_s:
            self._trouble = TimeoutError(f"it does not answer after {START_TIMEOUT_S:.0f} s")
            self._handle(Event.TIME_UP)
        self._guarded.call("to tell how it is", self._on_tick, None)

    def _handle(self, event: Event, timeout_s: float | None = None) -> None:
        before = self._phase
        if event is Event.CUT_SHORT and before is Phase.READY:
            event = Event.STOP_ASKED
        self._phase = advance(before, event)
        if event is Event.ANSWERED:
            self._feed()
        if self._phase is before:
            if before is Phase.DRAINING and timeout_s is not None:
                self._deadline_s = min(self._deadline_s, self._clock.now_s() + timeout_s)
            return
        LOG.debug("%s: %s -> %s", event, before, self._phase)
        if self._phase is Phase.READY:
            self._was_ready = True
            self._guarded.call("to say that it is ready", self._on_ready, None)
        elif self._phase is Phase.DRAINING:
            self._begin_drain(self._drain_timeout_s if timeout_s is None else timeout_s)

    def _begin_drain(self, timeout_s: float) -> None:
        self._probe.stop()
        self._got_on_s = self._asked_s = self._clock.now_s()
        self._deadline_s = self._got_on_s + timeout_s
        self._guarded.call("to refuse writes", self._account.refuse_writes, None)
        self._seen = self._count() or self._seen
        LOG.info(LogEvent("draining", pending=self._seen.pending, size_bytes=self._seen.size_bytes))
        self._notifier.stopping(f"draining {plural(self._seen.pending, 'change')}")
        self._notifier.extend(EXTENSION_S)

    def _drain_on(self) -> None:
        self._guarded.call("to hurry", lambda: self._account.hurry(ROOT), None)
        backlog = self._count()
        self._feed()
        if backlog is not None and not backlog.pending and not self._awaits_sessions(backlog):
            self._handle(Event.DRAINED)
        elif self._clock.now_s() >= self._deadline_s:
            self._handle(Event.TIME_UP)
        elif backlog is not None and backlog != self._seen:
            self._got_on_s = self._asked_s = self._clock.now_s()
            self._notifier.extend(EXTENSION_S)
        elif why := self._guarded.call("to ask the service", self._is_held_up, ""):
            self._why_left = why
            self._handle(Event.HELD_UP)
        self._seen = backlog or self._seen

    def _feed(self) -> None:
        """Tells the watchdog that all is well, unless a worker hangs: then a new process goes on."""
        hangs = self._guarded.call("to see whether work gets on", self._account.stuck, "")
        if not hangs:
            self._notifier.alive()
        elif not self._is_told:
            self._is_told = True
            LOG.error("%s hangs; the watchdog of the service manager is not fed any more", hangs)

    def _count(self) -> Backlog | None:
        """None while it cannot be counted."""
        return self._guarded.call("to count what is pending", self._account.unsent, None)

    def _is_held_up(self) -> str:
        """Why it is of no use to wait any longer; "": it may be. A service that is slow is waited for, one
        that is away, or takes nothing, is not."""
        now_s, idle_s = self._clock.now_s(), self._drain_idle_timeout_s
        if now_s - self._asked_s >= idle_s / (ASKS_IN_IDLE_TIME + 1):
            self._asked_s = now_s
            self._account.ask_far_side()
        return self._account.held_up() if now_s - self._got_on_s >= idle_s else ""

    def _awaits_sessions(self, backlog: Backlog) -> bool:
        """Whether a drain that has sent everything goes on for the sessions that are to be ended."""
        if self._sent_s is None:
            self._sent_s = self._clock.now_s()
        return bool(backlog.sessions) and self._clock.now_s() < self._sent_s + SESSIONS_S

    def _unmount(self) -> Failure | OSError | None:
        """Until the loop has ended; a mount that has only just appeared is taken away as well. What it failed
        by, if it did.

        Whoever still has a file open after a lazy unmount keeps the loop alive: that is not waited for.
        """
        deadline_s = self._clock.now_s() + UNMOUNT_TIMEOUT_S
        while self._loop.is_alive() and self._clock.now_s() < deadline_s:
            try:
                if self._kernel.is_mounted(self._mountpoint):
                    self._kernel.unmount(self._mountpoint)
            except (Failure, OSError) as error:
                return error
            self._loop.join(0.1)
        return None
