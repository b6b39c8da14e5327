"""Memory shared by a mount and its network process, through which downloaded bytes go."""

from __future__ import annotations

import os
import weakref
from threading import Condition

SLOT_BYTES = 4 * 1024 * 1024
"""The bytes of one slot: the largest range that the reader asks for."""
SLOTS = 64
"""So many reads run at once; a further one waits for a slot."""


class Window:
    """A file in memory (memfd_create(2)) of SLOTS slots. Each is lent to one read at a time, the one given
    back last first, and the file is emptied when no slot is lent."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("mountfs-window", os.MFD_CLOEXEC)
        # Closed with the last reference: the number may be another file's after that, and a read may still
        # run.
        weakref.finalize(self, os.close, self.fd)
        self._free = list(range(SLOTS))
        self._changed = Condition()

    def lend(self) -> int:
        """The offset of a free slot; waits for one."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._free))
            return self._free.pop() * SLOT_BYTES

    def take(self, at: int, length: int) -> bytes:
        """The first *length* bytes of the slot at *at*."""
        return os.pread(self.fd, length, at)

    def give_back(self, at: int) -> None:
        """Frees the slot at *at*. The call that was given it has ended, so nothing writes to it any more."""
        with self._changed:
            self._free.append(at // SLOT_BYTES)
            if len(self._free) == SLOTS:
                os.ftruncate(self.fd, 0)
            self._changed.notify()


def fill(fd: int, at: int, body: bytes) -> None:
    """Writes *body* into the slot at *at*; called in the network process."""
    view = memoryview(body)
    while view:
        written = os.pwrite(fd, view, at)
        view, at = view[written:], at + written
