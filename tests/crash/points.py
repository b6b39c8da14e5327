"""Named points of a mount's life at which it may die: around each transaction, call of the disk, request."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TypeVar

T = TypeVar("T")

REACHED = "reached"
"""File of the control directory: the name of every point that was passed, once for each process."""
ARMED = "armed"
"""File of the control directory that says where to die: a point's name, and at which passing of it."""


class Points:
    """Counts the points that the process passes, and kills it at the one it is armed for. Any thread."""

    def __init__(self, control: Path) -> None:
        self._control = control
        self._reached_fd = os.open(control / REACHED, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = Lock()
        self._seen: set[str] = set()
        self._passed: Counter[str] = Counter()
        self._target: tuple[str, int] | None = None

    def arm(self) -> None:
        """Takes its order, if there is one, and removes it: so its giver knows that it counts from here."""
        order = self._control / ARMED
        if not order.exists():
            return
        name, _, count = order.read_text().rpartition(" ")
        order.unlink()
        with self._lock:
            self._passed.clear()
            self._target = name, int(count)

    def passed(self, name: str) -> None:
        """Dies here, by SIGKILL, if it is so ordered."""
        with self._lock:
            if name not in self._seen:
                self._seen.add(name)
                os.write(self._reached_fd, f"{name}\n".encode())
            self._passed[name] += 1
            is_end = self._target == (name, self._passed[name])
        if is_end:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, name: str, call: Callable[[], T]) -> T:
        """*call* with a point before it, and one after it succeeded."""
        self.passed(f"{name}:before")
        result = call()
        self.passed(f"{name}:after")
        return result
