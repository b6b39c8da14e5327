"""The one loop and the one wait behind every background activity."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from threading import TIMEOUT_MAX, Event, Thread
from typing import Protocol

from mountfs.errors import MountfsError, with_class
from mountfs.model.pacing import Pace, grown_s
from mountfs.ports import Clock

LOG = logging.getLogger(__name__)

Step = Callable[[float], float]
"""step(now_s) -> due_s: does what is due and says when it wants to run again (``math.inf``: when woken)."""

RETRIES = Pace(first_s=0.5, longest_s=30.0)
"""Of a step that raised."""


class Wakeable(Protocol):
    """The part of ``Worker`` that ``waker_of`` needs."""

    @property
    def is_idle(self) -> bool: ...

    def wake(self) -> None: ...


class Worker:
    """Drives *step* on a thread of its own, when it is due and whenever somebody wakes it.

    A step is expected to handle what can go wrong; one that raises all the same, whatever it raises, is
    logged, once for each run of equal failures, and repeated with growing delays: the loop ends only by
    ``stop``. Of what the machine lacks (a full disk) the log has a line, of a bug the traceback.
    """

    def __init__(self, name: str, step: Step, clock: Clock) -> None:
        self._step = step
        self._clock = clock
        self._wake = Event()
        self._may_begin: Event | None = None
        self._stopping = False
        self._is_idle = False
        self._busy_since_s: float | None = None
        self._failures = 0
        self._last_failure: str | None = None
        self._thread = Thread(target=self._run, name=name, daemon=True)

    @property
    def name(self) -> str:
        return self._thread.name

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def is_idle(self) -> bool:
        """Whether it waits for its time, or to be woken. One that does not looks again by itself."""
        return self._is_idle

    @property
    def busy_since_s(self) -> float | None:
        """When the step began that runs now; None: none runs."""
        return self._busy_since_s

    @property
    def last_failure(self) -> str | None:
        """What the last step raised, in one line, until a step goes well."""
        return self._last_failure

    def start(self, may_begin: Event | None = None) -> None:
        """Starts the thread; at most once. *may_begin*: its first step waits for it to be set."""
        self._may_begin = may_begin
        self._thread.start()

    def wake(self) -> None:
        """Has the step run soon, whatever it asked for; from any thread."""
        self._wake.set()

    def stop(self) -> None:
        """Lets the running step finish and starts no other; does not wait."""
        self._stopping = True
        self._wake.set()

    def join(self, timeout_s: float | None = None) -> bool:
        """Waits for the thread to end after ``stop``; False when the time ran out first."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def run_step(self) -> float:
        """Makes one step on the calling thread; the seconds until the next one. Raises nothing: without the
        thread, what it does would not be done until a restart."""
        try:
            now_s = self._clock.now_s()
            self._busy_since_s = now_s
            wait_s = max(0.0, self._step(now_s) - self._clock.now_s())
        except BaseException as error:
            self._failures += 1
            with contextlib.suppress(BaseException):  # without memory nothing can be said, and it goes on
                self._failed(error)
            return grown_s(self._failures, RETRIES)
        finally:
            self._busy_since_s = None
        if self._failures:
            LOG.info("%s works again after %d failures", self.name, self._failures)
            self._failures = 0
            self._last_failure = None
        return wait_s

    def _run(self) -> None:
        if self._may_begin is not None:
            self._may_begin.wait()
        while True:
            self._wake.clear()  # before looking at _stopping, or a stop() between is slept through
            if self._stopping:
                return
            wait_s = self.run_step()
            self._is_idle = True
            self._wake.wait(min(wait_s, TIMEOUT_MAX))
            self._is_idle = False

    def _failed(self, error: BaseException) -> None:
        failure = with_class(error)
        is_new = failure != self._last_failure
        self._last_failure = failure
        if not is_new:
            return
        if isinstance(error, MountfsError):
            LOG.warning("%s failed and will be repeated: %s", self.name, error)
        else:
            LOG.error("%s failed and will be repeated", self.name, exc_info=error)


def waker_of(*workers: Wakeable) -> Callable[[], None]:
    """Wakes one that is idle, which wakes another if there is more than it takes. If none is, all look."""

    def wake() -> None:
        for worker in workers:
            if worker.is_idle:
                worker.wake()
                return
        for worker in workers:
            worker.wake()

    return wake
