"""A disk that forgets what was not synced: power loss without pulling a plug."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from mountfs.spool.disk import RealDisk


class ForgetfulDisk(RealDisk):
    """The real disk, with a ledger of what a machine that stops now would find again.

    A file has the bytes of its last fdatasync (none: it is empty), a directory the names of its last
    sync (never synced: it is empty). That is the worst a file system may do, not the likely.
    """

    def __init__(self) -> None:
        self.syncs = 0
        self._bytes: dict[int, bytes] = {}
        self._names: dict[str, dict[str, int]] = {}

    def fdatasync(self, fd: int) -> None:
        super().fdatasync(fd)
        state = os.fstat(fd)
        self._bytes[state.st_ino] = os.pread(fd, state.st_size, 0)
        self.syncs += 1

    def sync_directory(self, path: str) -> None:
        super().sync_directory(path)
        self._names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}

    def lose_power(self, directory: Path, target: Path, kept: Collection[str] = ()) -> None:
        """Writes to *target* what is left of *directory*; files named in *kept* are synced by others."""
        target.mkdir(parents=True)
        for name, inode in self._names.get(str(directory), {}).items():
            path = directory / name
            if path.is_dir():
                self.lose_power(path, target / name, kept)
            elif name in kept:
                (target / name).write_bytes(path.read_bytes())
            else:
                (target / name).write_bytes(self._bytes.get(inode, b""))
