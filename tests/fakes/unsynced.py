"""A journal and a disk that are fast because nothing of them is meant to outlive the machine.

What must be synced, and in which order, is tested with disks of its own kind: ``ForgetfulDisk`` here, and
those of ``tests/crash``.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from mountfs.spool.disk import RealDisk
from mountfs.tree.database import connect
from mountfs.tree.store import Store


class UnsyncedDisk(RealDisk):
    """The real disk, but for its syncs: they wait for no device, and fail where the real ones would for a
    descriptor that is closed or a directory that is gone."""

    def fdatasync(self, fd: int) -> None:
        os.fstat(fd)

    def sync_directory(self, path: str) -> None:
        os.listdir(path)


def begin_journal(path: Path) -> None:
    """Makes the journal at *path*, where there is none, as a mount's first start does: its tables are made
    once in each process of tests. Where the disk has no room, nothing is made: what is said of that is the
    mount's."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)  # as the spool beside it would
        try:
            path.write_bytes(_new_journal())
        except OSError:
            path.unlink(missing_ok=True)


@cache
def _new_journal() -> bytes:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "journal.db"
        connect(path).close()
        return path.read_bytes()


def leave_unsynced(store: Store) -> None:
    """SQLite makes no syncs of its own; what another process reads is the same."""
    store._db.execute("PRAGMA synchronous = OFF")
