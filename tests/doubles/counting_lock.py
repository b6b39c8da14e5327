"""A lock that counts what is done while somebody has it: a measure that does not depend on the machine."""

from __future__ import annotations

import sys
import threading
from types import FrameType, TracebackType
from typing import Any


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
