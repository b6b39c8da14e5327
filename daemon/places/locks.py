"""Processes that take turns: each holds a flock(2) meanwhile, which the kernel ends with the process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OF_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
OF_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


@contextmanager
def alone(path: Path, flags: int = _OF_FILE) -> Iterator[None]:
    """Waits for its turn at *path*: a file, made if it is missing; with OF_DIRECTORY a directory. OSError."""
    fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
