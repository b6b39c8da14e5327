"""Who has a file locked: for messages that say whom to ask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_LOCKS = Path("/proc/locks")
_MOUNTS = Path("/proc/self/mountinfo")


def holder_of(fd: int, locks: Path = _LOCKS, mounts: Path = _MOUNTS) -> str:
    """`` (process 123)``, who has a flock(2) on the open file *fd*; "" where the kernel does not tell, as of
    processes that cannot be seen from here. The format is in proc_locks(5)."""
    try:
        lines = locks.read_text().splitlines()
        wanted = {*_names_of(fd, mounts)}
    except OSError:
        return ""
    for line in lines:
        fields = line.split()
        if "->" not in fields and fields[1:2] == ["FLOCK"] and not wanted.isdisjoint(fields):
            pid = int(fields[4])
            return f" (process {pid})" if pid > 0 else ""
    return ""


def _names_of(fd: int, mounts: Path) -> Iterator[str]:
    """What the kernel may call the file there: Btrfs gives each subvolume a device of its own to stat(2), and
    locks and mounts are told of by that of the whole file system."""
    found = os.fstat(fd)
    yield f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    told = Path(f"/proc/self/fdinfo/{fd}").read_text()
    for line in os.fsdecode(mounts.read_bytes()).splitlines():
        mount_id, _, device = line.split()[:3]
        if f"mnt_id:\t{mount_id}\n" in told:
            major, _, minor = device.partition(":")
            yield f"{int(major):02x}:{int(minor):02x}:{found.st_ino}"
