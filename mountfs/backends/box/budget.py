"""The calls of an account that one client has for itself."""

from __future__ import annotations

from threading import Lock

from mountfs.model.allowance import Allowance, Windows
from mountfs.ports import Clock


class OwnBudget:
    """``ports.CallBudget`` in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._windows = Windows()

    def take(self, wanted: tuple[Allowance, ...]) -> float:
        with self._lock:
            now_s = self._clock.now_s()
            return self._windows.take_s(wanted, now_s) - now_s

    def refused(self, refused: tuple[Allowance, ...], retry_after_s: float | None) -> None:
        with self._lock:
            self._windows.refused(refused, retry_after_s or 0.0, self._clock.now_s())
