"""Keeps account of the calls that a service counts by the month, and stops uploads before it does."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from daemon.control.status import Transport
from daemon.places.monthledger import MonthLedger
from mountfs.errors import TransferLimit
from mountfs.model.entry import NS_PER_S
from mountfs.model.pausing import Pause
from mountfs.ports import Backend, Clock
from mountfs.tree.tree import Tree

LOG = logging.getLogger(__name__)

EVERY_S = 10.0
"""How often calls are added to the account's file, while there are any: so many seconds' calls may go beyond
a limit, and be lost by a power failure."""
WARNED_SHARE = 0.8


class TransportCalls:
    """One thread calls ``step``; any thread reads ``told``.

    Dropbox counts data transport calls of business teams: all that upload or commit, not those that ask after
    a job (its API reference, "Data transport limit"). ``limits.transport_routes`` names them.
    """

    def __init__(
        self,
        tree: Tree,
        backend: Backend,
        pause: Pause,
        ledger: MonthLedger,
        clock: Clock,
        *,
        limit: int | None,
        traffic: Callable[[], tuple[int, int]],
    ) -> None:
        """*limit*: calls a month; None: they are counted only."""
        self._tree = tree
        self._backend = backend
        self._pause = pause
        self._ledger = ledger
        self._clock = clock
        self._limit = limit
        self._traffic = traffic
        self._seen_traffic: tuple[int, int] | None = None
        self._kept = Transport(), 0
        """What the account's file has, and how many calls of this process are part of that."""
        self._warned_month = ""

    @property
    def counts(self) -> bool:
        """Whether the service counts any."""
        return bool(self._backend.limits.transport_routes)

    @property
    def told(self) -> Transport:
        """With the calls since the last step; without a month before the first one."""
        kept, seen_calls = self._kept
        return replace(kept, calls=kept.calls + max(0, self._calls() - seen_calls)) if kept.month else kept

    def step(self, now_s: float) -> float:
        """Adds the calls since the last step; when to call again. OSError."""
        if not self.counts:
            return math.inf
        month = self._month()
        traffic = self._traffic()
        # Every call of this kind has a body. Without one nothing has changed, but for the month.
        if traffic != self._seen_traffic or month != self._kept[0].month:
            self._seen_traffic = traffic
            self._add(month)
        return now_s + EVERY_S

    def _add(self, month: str) -> None:
        _, seen_calls = self._kept
        calls = max(self._calls(), seen_calls)
        total = self._ledger.add(month, calls - seen_calls)
        self._kept = Transport(month, total, self._limit), calls
        self._judge(month, total)

    def _calls(self) -> int:
        """Of this kind that were made so far."""
        routes = self._backend.limits.transport_routes
        return sum(count for route, count in self._backend.calls().items() if route in routes)

    def _judge(self, month: str, total: int) -> None:
        limit = self._limit
        is_over = limit is not None and total >= limit
        text = f"the {limit} transport calls of {month} are used up (transport_calls_per_month)"
        with self._tree.lock:
            was_over = self._pause.limit is not None
            self._pause.bound(TransferLimit(text) if is_over else None)
        if is_over:
            if not was_over:
                LOG.warning("uploads pause until the month ends: %s", text)
        elif limit is not None and total >= WARNED_SHARE * limit and self._warned_month != month:
            self._warned_month = month
            LOG.warning("%d of %d transport calls of %s are used", total, limit, month)

    def _month(self) -> str:
        return datetime.fromtimestamp(self._clock.wall_ns() / NS_PER_S, UTC).strftime("%Y-%m")
