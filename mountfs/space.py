"""The account's quota as last known: for `df`, and to refuse in time what cannot fit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from mountfs.errors import MountfsError, NoSpace
from mountfs.model.entry import Space
from mountfs.ports import Clock

FRESH_S = 60.0
"""`df` and desktops ask every few seconds; the services count these calls against a limit."""
SURE_S = 5.0
"""A write is refused only on a figure younger than this: somebody may just have made room."""


class Source(Protocol):
    """The one method of ``ports.Backend`` that is needed here."""

    def space(self) -> Space: ...


class SpaceGauge:
    """Asks the service for the quota at most every FRESH_S seconds, and in the background once a figure
    is known; thread-safe. While the service cannot tell, the last figure stands."""

    def __init__(self, source: Source, clock: Clock, pending_bytes: Callable[[], int]) -> None:
        """*pending_bytes*: how much of what waits for upload the service does not count yet."""
        self._source = source
        self._clock = clock
        self._pending_bytes = pending_bytes
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._space: Space | None = None
        self._left_bytes: int | None = None
        self._told_bytes = 0
        """What was left when the service was asked; 0 where it knows no limit."""
        self._asked_s: float | None = None

    def current(self) -> Space | None:
        """The quota; None when nothing is known. Blocks for one request if it was never asked before."""
        if self._asked_s is None:
            self._ask()
        elif self._age_s() >= FRESH_S:
            self._ask_in_background()
        return self._space

    def take(self, growth_bytes: int) -> None:
        """Counts bytes about to be written. NoSpace when the account is known to have no room for them."""
        if growth_bytes <= 0:
            return
        if self._asked_s is None or self._age_s() >= FRESH_S:
            self._ask_in_background()
        if self._has_taken(growth_bytes):
            return
        if self._age_s() >= SURE_S:
            self._ask()
            if self._has_taken(growth_bytes):
                return
        raise NoSpace("the account has no room for this: its quota is used up or will be by what is pending")

    def give_back(self, freed_bytes: int) -> None:
        """Bytes that were taken are not written after all: never more than since the service was asked."""
        with self._lock:
            if self._left_bytes is not None:
                self._left_bytes = min(self._told_bytes, self._left_bytes + freed_bytes)

    def _has_taken(self, growth_bytes: int) -> bool:
        with self._lock:
            if self._left_bytes is None:
                return True
            if growth_bytes > self._left_bytes:
                return False
            self._left_bytes -= growth_bytes
            return True

    def _age_s(self) -> float:
        return float("inf") if self._asked_s is None else self._clock.now_s() - self._asked_s

    def _ask_in_background(self) -> None:
        if not self._asking.locked():
            with suppress(RuntimeError):  # without a thread the last figure stands
                threading.Thread(target=self._ask, name="quota", daemon=True).start()

    def _ask(self) -> None:
        """Asks the service, once for all who want to know."""
        seen_s = self._asked_s
        with self._asking:
            if self._asked_s != seen_s:
                return
            try:
                space = self._source.space()
            except MountfsError:
                # No figure is a figure too, for as long as one: nobody must wait for a dead line again.
                self._asked_s = self._clock.now_s()
                return
            pending_bytes = self._pending_bytes()
            with self._lock:
                self._space = space
                free_bytes = space.free_bytes
                self._told_bytes = max(0, (free_bytes or 0) - pending_bytes)
                self._left_bytes = None if free_bytes is None else self._told_bytes
                self._asked_s = self._clock.now_s()
