"""Asks the service whether it answers at all, while a drain waits for it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, Thread

from mountfs.errors import MountfsError, NotSignedIn, Offline, ServerFault
from mountfs.ports import Clock

SILENT_S = 8.0
"""A question that is open for so long tells that the service is away; its usual answer takes a second."""


class Ping:
    """One question at a time, each on a thread of its own; any thread may call."""

    def __init__(self, question: Callable[[], object], clock: Clock) -> None:
        """*question*: the cheapest one there is."""
        self._question = question
        self._clock = clock
        self._lock = Lock()
        self._asked_s: float | None = None
        self._trouble = ""

    def ask(self) -> None:
        """Asks, unless a question is open; does not wait for the answer."""
        with self._lock:
            if self._asked_s is not None:
                return
            self._asked_s = self._clock.now_s()
        Thread(target=self._run, name="ping", daemon=True).start()

    def trouble(self) -> str:
        """Why the service is taken for away, in half a line; "": it answered, or was not asked yet."""
        with self._lock:
            if self._asked_s is not None and self._clock.now_s() - self._asked_s >= SILENT_S:
                return f"the service does not answer: silent for {SILENT_S:.0f} s"
            return self._trouble

    def _run(self) -> None:
        trouble = ""
        try:
            self._question()
        except (Offline, ServerFault, NotSignedIn) as error:
            trouble = f"the service does not answer: {error}"
        except MountfsError:
            pass  # that is an answer
        finally:
            with self._lock:
                self._asked_s, self._trouble = None, trouble
