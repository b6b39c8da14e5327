"""Waits that pass on a test's clock instead of the machine's."""

from __future__ import annotations

from tests.fakes.clock import FakeClock


class ClockedEnding:
    """What ends all waits once it is set. A wait moves the clock on, and returns."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout: float) -> bool:
        if not self._is_set:
            self._clock.advance(max(0.0, timeout))
        return self._is_set
