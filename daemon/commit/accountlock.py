"""One job at a time per account, also between processes of this machine, where the service demands it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class AccountLock:
    """A flock(2) on a file; the kernel lets go of it when the process dies. Used by one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self.refused: Path | None = None
        """The file while another process has it, as far as it was asked for."""

    def try_take(self) -> bool:
        """Whether the lock is ours; never waits."""
        if self._fd is not None:
            return True
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            self.refused = self._path
            return False
        self._fd, self.refused = fd, None
        return True

    def release(self) -> None:
        """Harmless when it is not ours."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class NoLock:
    """Stands for the lock where batches may run side by side."""

    refused: Path | None = None

    def try_take(self) -> bool:
        """Always."""
        return True

    def release(self) -> None:
        """There is nothing to let go of."""
