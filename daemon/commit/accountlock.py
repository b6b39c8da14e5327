"""Keeps the mounts of one account on this machine from running jobs at the same time (a rule of Dropbox)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class AccountLock:
    """A flock(2) on a file, which the kernel releases when the process dies. For one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self.refused: Path | None = None
        """The lock's file, if the last ``try_take`` found it held by another process."""

    def try_take(self) -> bool:
        """Takes the lock, unless another process holds it; never waits. True: this process holds it.
        OSError."""
        if self._fd is not None:
            return True
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            self.refused = self._path
            return False
        except OSError:
            os.close(fd)
            raise
        self._fd, self.refused = fd, None
        return True

    def release(self) -> None:
        """Releases the lock, if this process holds it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class NoLock:
    """In place of the lock, where the service takes several batches at a time (Box)."""

    refused: Path | None = None

    def try_take(self) -> bool:
        """Always True."""
        return True

    def release(self) -> None:
        """Does nothing."""
