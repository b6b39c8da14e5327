"""Memory shared by a mount and its network process: downloaded bytes, and counts of all bytes."""

from __future__ import annotations

import os
import struct
import weakref
from threading import Condition, Lock

SLOT_BYTES = 4 * 1024 * 1024
"""The bytes of one slot. A larger range that does not go into a cache file is read slot by slot."""
SLOTS = 64
"""So many reads run at once; a further one waits for a slot."""
SLOTS_AT = 4096
"""Before the slots: bytes that were sent, bytes that came, and the flags of calls that may be called off."""
FLAGS_AT = 1024
FLAGS = 512
"""A call for which none is left cannot be called off."""
_COUNTS = struct.Struct("=QQ")


class Window:
    """A file in memory (memfd_create(2)) of SLOTS slots. Each is lent to one read at a time, the one given
    back last first, and the file is cut to its counts when no slot is lent."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("mountfs-window", os.MFD_CLOEXEC)
        # Closed with the last reference: the number may be another file's after that, and a read may still
        # run.
        weakref.finalize(self, os.close, self.fd)
        self._free = list(range(SLOTS))
        self._free_flags = list(range(FLAGS_AT, FLAGS_AT + FLAGS))
        self._changed = Condition()

    def lend(self) -> int:
        """The offset of a free slot; waits for one."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._free))
            return SLOTS_AT + self._free.pop() * SLOT_BYTES

    def take(self, at: int, length: int) -> bytes:
        """The first *length* bytes of the slot at *at*."""
        return os.pread(self.fd, length, at)

    def give_back(self, at: int) -> None:
        """Frees the slot at *at*. The call that was given it has ended, so nothing writes to it any more."""
        with self._changed:
            self._free.append((at - SLOTS_AT) // SLOT_BYTES)
            if len(self._free) == SLOTS:
                os.ftruncate(self.fd, SLOTS_AT)
            self._changed.notify()

    def lend_flag(self) -> int:
        """The offset of a byte that is 0; 0: there is none."""
        with self._changed:
            return self._free_flags.pop() if self._free_flags else 0

    def raise_flag(self, at: int) -> None:
        """The network process sees it at the next piece that comes."""
        if at:
            os.pwrite(self.fd, b"\1", at)

    def give_back_flag(self, at: int) -> None:
        """Its call has ended, and nobody raises it any more."""
        if at:
            os.pwrite(self.fd, b"\0", at)
            with self._changed:
                self._free_flags.append(at)

    def traffic(self) -> tuple[int, int]:
        """Bytes of bodies that were sent, and that came, in all network processes of the mount."""
        return _counts(self.fd)


class Counting:
    """Keeps the counts, in the network process; goes on where the process before it has ended. Any thread."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = Lock()
        self._up, self._down = _counts(fd)

    def add(self, up: int, down: int) -> None:
        """So many bytes have just left, or come."""
        with self._lock:
            self._up += up
            self._down += down
            os.pwrite(self._fd, _COUNTS.pack(self._up, self._down), 0)


def _counts(fd: int) -> tuple[int, int]:
    body = os.pread(fd, _COUNTS.size, 0)
    if len(body) < _COUNTS.size:
        return 0, 0
    up, down = _COUNTS.unpack(body)
    return up, down


def is_raised(fd: int, flag: int) -> bool:
    """Whether a call was called off; asked in the network process."""
    return bool(flag) and os.pread(fd, 1, flag) == b"\1"


def fill(fd: int, at: int, body: bytes) -> None:
    """Writes *body* into the slot at *at*; called in the network process."""
    view = memoryview(body)
    while view:
        written = os.pwrite(fd, view, at)
        view, at = view[written:], at + written
