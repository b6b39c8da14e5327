"""Keeps the mounts of one account on this machine from running jobs at the same time (a rule of Dropbox)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class AccountLock:
    """``Turn`` among the mounts of one machine: a flock(2) on a file, which the kernel releases when the
    process dies, and no sooner."""

    awaited = ""
    is_held = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self.refused: Path | None = None

    def try_take(self) -> bool:
        """As ``Turn.try_take``. OSError."""
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

    def note_job(self, job: str) -> None:
        """Nobody needs it: a mount that takes over the journal finds it there."""

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
