"""Whether somebody waits for commits: then nothing waits for fuller packs and batches, or for names to
settle."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from mountfs.ports import Clock

HURRY_LASTS_S = 3.0
"""A command that waits (``mountfs wait``) repeats its call about every second."""


class Urgency:
    """Shared by the uploader and the committer; any thread may call any method."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._holders = 0
        self._until_s = -math.inf
        self._wakers: list[Callable[[], None]] = []

    @property
    def is_pressing(self) -> bool:
        return self._holders > 0 or self._clock.now_s() < self._until_s

    def watch(self, wake: Callable[[], None]) -> None:
        """*wake* is called when somebody begins to wait."""
        with self._lock:
            self._wakers.append(wake)

    def hurry(self) -> None:
        """Somebody waits, for ``HURRY_LASTS_S``; to be repeated for as long as that is so."""
        was_pressing = self.is_pressing
        with self._lock:
            self._until_s = max(self._until_s, self._clock.now_s() + HURRY_LASTS_S)
        if not was_pressing:
            self._wake()

    def relax(self) -> None:
        """Ends what ``hurry`` began; whoever still waits calls it again."""
        with self._lock:
            self._until_s = -math.inf

    @contextmanager
    def pressed(self) -> Iterator[None]:
        """Somebody waits until the block ends."""
        with self._lock:
            self._holders += 1
        self._wake()
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1

    def _wake(self) -> None:
        with self._lock:
            wakers = list(self._wakers)
        for wake in wakers:
            wake()
