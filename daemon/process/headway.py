"""Whether the work behind a mount gets on: what feeds the watchdog of the service manager."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from daemon.process.worker import Worker
from mountfs.ports import Clock

STUCK_S = 1800.0
"""No step takes so long without a byte that moves: a request has time-outs of some minutes, and a long poll
is over within eleven."""


class Headway:
    """One thread asks. Work gets on while no step runs for longer than STUCK_S, or bytes still move."""

    def __init__(
        self, workers: Iterable[Worker], traffic: Callable[[], tuple[int, int]], clock: Clock
    ) -> None:
        self._workers = tuple(workers)
        self._traffic = traffic
        self._clock = clock
        self._seen = traffic()
        self._moved_s = clock.now_s()

    def stuck(self) -> str:
        """The name of a worker that hangs; "": none does."""
        now_s, seen = self._clock.now_s(), self._traffic()
        if seen != self._seen:
            self._seen, self._moved_s = seen, now_s
        if now_s - self._moved_s < STUCK_S:
            return ""
        for worker in self._workers:
            since_s = worker.busy_since_s
            if since_s is not None and now_s - since_s >= STUCK_S:
                return worker.name
        return ""
