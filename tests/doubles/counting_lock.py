"""A lock that counts what is done while somebody has it: a measure that does not depend on the machine."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from daemon.core import Foundation
from mountfs.ports import BackendLimits
from tests.doubles.memory_account import MEMORY_LIMITS
from tests.doubles.world import World


class CountingLock:
    """An RLock for one thread's tests. ``holds``: how many calls of functions each hold took, in order."""

    def __init__(self) -> None:
        self.holds: list[int] = []
        self._lock = threading.RLock()
        self._depth = 0
        self._calls = 0

    @property
    def longest(self) -> int:
        return max(self.holds, default=0)

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        is_taken = self._lock.acquire(blocking, timeout)
        if is_taken:
            self._depth += 1
            if self._depth == 1:
                self._calls = 0
                sys.setprofile(self._count)
        return is_taken

    def release(self) -> None:
        self._depth -= 1
        if not self._depth:
            sys.setprofile(None)
            self.holds.append(self._calls)
        self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _count(self, frame: FrameType, event: str, argument: Any) -> None:
        self._calls += event in ("call", "c_call")


def counted(directory: Path, limits: BackendLimits = MEMORY_LIMITS) -> tuple[World, CountingLock]:
    """A world in which what is done under the lock is counted."""
    lock = CountingLock()

    def exchange(foundation: Foundation) -> None:
        foundation.tree.lock = lock  # type: ignore[assignment]
        foundation.tree.transaction()._lock = lock  # type: ignore[assignment]

    return World(directory, limits=limits, on_laid=exchange), lock


def longest_hold(lock: CountingLock, act: Callable[[], object]) -> int:
    """How many calls of functions the longest hold took of those in which *act* is done. The garbage
    collector rests: what other tests left to it is none of them."""
    lock.holds.clear()
    gc.disable()
    try:
        act()
    finally:
        gc.enable()
    assert sys.getprofile() is None
    return lock.longest
