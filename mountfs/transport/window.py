"""Memory that a mount shares with its network process: downloaded bytes go through it."""

from __future__ import annotations

import os
import weakref
from threading import Condition

SLOT_BYTES = 4 * 1024 * 1024
"""The largest range that the reader asks for."""
SLOTS = 64
"""Reads at once; more wait for one of these to end. The one used last is lent first."""


class Window:
    """A file in memory, in slots, each lent to one read at a time. The pages go when no read uses any."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("mountfs-window", os.MFD_CLOEXEC)
        # With the last reference: a read that is under way must not meet another file at this number.
        weakref.finalize(self, os.close, self.fd)
        self._free = list(range(SLOTS))
        self._changed = Condition()

    def lend(self) -> int:
        """The offset of a slot; waits for one."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._free))
            return self._free.pop() * SLOT_BYTES

    def take(self, at: int, length: int) -> bytes:
        """What was written at the beginning of the slot at *at*."""
        return os.pread(self.fd, length, at)

    def give_back(self, at: int) -> None:
        """Nobody writes to the slot at *at* any more."""
        with self._changed:
            self._free.append(at // SLOT_BYTES)
            if len(self._free) == SLOTS:
                os.ftruncate(self.fd, 0)
            self._changed.notify()


def fill(fd: int, at: int, body: bytes) -> None:
    """Writes *body* into the slot at *at*, from the network process."""
    view = memoryview(body)
    while view:
        written = os.pwrite(fd, view, at)
        view, at = view[written:], at + written
