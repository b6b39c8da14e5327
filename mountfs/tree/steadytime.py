"""Seconds since 1970 by a clock that nobody sets while the machine runs.

How long an order may still arrive is counted across restarts of the process, and so not from a monotonic
clock alone. The wall clock jumps: a machine without one begins in 1970, and NTP sets it minutes later; an
administrator corrects it by an hour. So what the wall clock said is remembered for the monotonic clock, once
for each run of the machine: all processes of that run count on from there.

A machine that is suspended does not count (CLOCK_MONOTONIC, clock_gettime(2)): nobody could see what arrived.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress

from mountfs.model.entry import NS_PER_S
from mountfs.ports import Clock
from mountfs.tree.store import Store

FACT = "steady_time"
"""The store's fact with the run of the machine, and what the wall clock said when its monotonic one began."""


class SteadyTime:
    """Of one store, and of times that other stores have. Under the tree's lock."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        began_s = _began_s(store, store.boot_id)
        self.is_of_store = began_s is not None
        """Whether the store's times are of this run of the machine. If not, they are to be kept anew, by this
        clock: each start would take one that lies too far ahead for the present."""
        if began_s is None:
            began_s = clock.wall_ns() // NS_PER_S - math.floor(clock.now_s())
        self._began_s = began_s

    def now_s(self) -> int:
        return self._began_s + math.floor(self._clock.now_s())

    def save(self) -> None:
        """Within a transaction that keeps times of this clock."""
        self._store.set_fact(FACT, f"{self._began_s} {self._store.boot_id}")

    def reader(self, store: Store, most_ahead_s: int) -> Callable[[object], int]:
        """Makes of a time that was kept in *store* one of this clock. ValueError, TypeError.

        Of another run of the machine nothing better is known than what its clock said. A time that lies
        further ahead than *most_ahead_s* is the present: one of the two clocks was wrong.
        """
        theirs_s = _began_s(store, self._store.boot_id)
        shift_s = 0 if theirs_s is None else self._began_s - theirs_s
        now_s = self.now_s()

        def read(kept: object) -> int:
            if not isinstance(kept, int):
                raise TypeError(kept)
            return now_s if kept + shift_s > now_s + most_ahead_s else kept + shift_s

        return read


def _began_s(store: Store, boot_id: str) -> int | None:
    """As *store* has it of that run of the machine; None: it has nothing of it."""
    began, _, boot = (store.fact(FACT) or "").partition(" ")
    with suppress(ValueError):
        return int(began) if boot == boot_id else None
    return None
