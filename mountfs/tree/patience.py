"""Listings that a program waits for, while the service asks for a pause."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from mountfs.errors import Offline, Transient
from mountfs.model.waits import PATIENCE_S, SHORTEST_WAIT_S, Ending
from mountfs.ports import Clock

T = TypeVar("T")


class Patience:
    """Has a call made again when the service says that it may be. Any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ending: Ending = threading.Event()
        """What the waits pass by; set by the assembly."""

    def asked(
        self,
        ask: Callable[[], T],
        is_waited_for: Callable[[], bool],
        pauses: Callable[[Transient | None], None],
    ) -> T:
        """What *ask* gives, or raises: a Transient only where that is no word of the service, or came without
        a time twice, or when that is more than PATIENCE_S after the call, or while nobody waits for it. One
        fault without a time is made up for, as the kernel does for a read. *pauses* is called with the error
        that has it wait, and with None once it does so no more."""
        deadline_s, has_failed = self._clock.now_s() + PATIENCE_S, False
        while True:
            try:
                return ask()
            except Transient as error:
                is_over = error.retry_after_s is None and has_failed
                if isinstance(error, Offline) or is_over or not is_waited_for():
                    raise
                has_failed |= error.retry_after_s is None
                wait_s = max(error.retry_after_s or 0.0, SHORTEST_WAIT_S)
                if self._clock.now_s() + wait_s > deadline_s:
                    raise
                pauses(error)
                try:
                    if self.ending.wait(wait_s):
                        raise
                finally:
                    pauses(None)
