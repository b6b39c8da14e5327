"""Who has a file locked: for messages that say whom to ask."""

from __future__ import annotations

import os
from pathlib import Path

_LOCKS = Path("/proc/locks")


def holder_of(fd: int, locks: Path = _LOCKS) -> str:
    """`` (process 123)``, who has a flock(2) on the open file *fd*; "" where the kernel does not tell, as of
    processes that cannot be seen from here. The format is in proc_locks(5)."""
    found = os.fstat(fd)
    wanted = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    try:
        lines = locks.read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        fields = line.split()
        if "->" not in fields and fields[1:2] == ["FLOCK"] and wanted in fields:
            pid = int(fields[4])
            return f" (process {pid})" if pid > 0 else ""
    return ""
