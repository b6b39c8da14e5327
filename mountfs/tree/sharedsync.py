"""One slow piece of work for all who wait for it at a time."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition


class SharedSync:
    """One slow sync for all who ask while the one before is running.

    A sync that began before a caller's rows were written may miss them, the next one covers them; so
    each caller waits for a sync begun after its call, and whoever finds none running does the work.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._turn = Condition()
        self._begun = 0
        self._done = 0
        self._is_running = False

    def sync(self) -> None:
        """Returns after a whole run of the work that began after this call; raises what that run raised
        if this caller made it, else tries again itself."""
        with self._turn:
            ticket = self._begun + 1
            while self._done < ticket:
                if self._is_running:
                    self._turn.wait()
                    continue
                self._begun += 1
                mine = self._begun
                self._is_running = True
                self._turn.release()
                is_done = False
                try:
                    self._work()
                    is_done = True
                finally:
                    self._turn.acquire()
                    self._is_running = False
                    self._done = mine if is_done else self._done
                    self._turn.notify_all()
