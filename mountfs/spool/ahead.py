"""Empty files made before anybody wants one: making them is the slowest thing that a small file needs."""

from __future__ import annotations

import contextlib
import errno
import logging
import math
from collections import deque
from collections.abc import Callable
from pathlib import Path

from mountfs.errors import NoSpace
from mountfs.ports import Disk

LOG = logging.getLogger(__name__)

AHEAD_FILES = 1024
"""Each is a descriptor. A copying program takes them faster than a slow disk makes new ones: so many let it
go on for half a second, and with what is made meanwhile it copies 1,500 small files at full speed."""

AT_ONCE = 32
"""Made in one step. A stop waits for the step that runs, and a busy disk takes seconds for all of them."""

RETRY_S = 30.0
"""When a disk that had no room, or a process without descriptors, is tried again."""

_CANNOT = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.EXDEV, errno.EPERM})
"""Of a file system without O_TMPFILE, or a machine without /proc: open(2), linkat(2)."""


class FilesAhead:
    """Files without a name, which get one when they are taken. What is not taken vanishes with the process.

    After a mass of removals ext4 walks past the inodes it has just freed, for minutes: a new file takes
    0.7 ms there in place of 0.02, a name for one that is there already 0.02 at any time.
    One thread calls ``step``; ``wake``, which is set by the assembly, wakes it; ``take`` is for any.
    """

    def __init__(self, directory: Path, disk: Disk, most: int) -> None:
        """*most*: how many are kept; 0: none ever."""
        self.wake: Callable[[], None] = lambda: None
        self._directory = str(directory)
        self._disk = disk
        self._most = most
        self._fds: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._fds)

    def take(self, path: str) -> int | None:
        """A descriptor of an empty file, readable and writable, that is now called *path*; None when none is
        ready. NoSpace when there is no room for the name."""
        try:
            fd = self._fds.popleft()
        except IndexError:
            return None
        if 2 * len(self._fds) < self._most:
            self.wake()
        try:
            self._disk.name(fd, path)
        except BaseException as error:
            self._disk.close(fd)
            if isinstance(error, OSError) and error.errno in _CANNOT:
                self._give_up(error)
                return None
            raise
        return fd

    def step(self, now_s: float) -> float:
        """Makes some of those that are missing; when to come again."""
        try:
            for _ in range(min(AT_ONCE, self._most - len(self._fds))):
                self._fds.append(self._disk.create_unnamed(self._directory))
        except NoSpace:
            return now_s + RETRY_S
        except OSError as error:
            if error.errno not in _CANNOT:
                LOG.debug("no files made ahead: %s", error)
                return now_s + RETRY_S
            self._give_up(error)
        return now_s if len(self._fds) < self._most else math.inf

    def close(self) -> None:
        """Lets go of those nobody took, and makes no others."""
        self._most = 0
        with contextlib.suppress(IndexError):
            while True:
                self._disk.close(self._fds.popleft())

    def _give_up(self, error: OSError) -> None:
        LOG.debug("the disk makes no files without a name: %s", error)
        self.close()
