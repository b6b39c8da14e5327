"""Disks that others fill: a small file system of its own where we may mount one, else a double."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mountfs.errors import NoSpace
from mountfs.spool.disk import RealDisk
from mountfs.tree.store import Store

MIB = 1024 * 1024
SIZE_BYTES = 24 * MIB


class SmallTmpfs:
    """Real: nothing on it can grow while it is full."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "small"
        self.directory.mkdir()
        self.disk = RealDisk()
        self._filler = self.directory / "of-others"

    def watch(self, store: Store) -> None:
        """Everything on it is limited already."""

    def fill(self) -> None:
        """Others take every byte that is left."""
        with self._filler.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError as error:
                assert error.errno == errno.ENOSPC

    def empty(self) -> None:
        self._filler.unlink()


class FillableDisk(RealDisk):
    """The double: while it is full nothing of the spool grows, and the store has as many pages as it had."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.disk = self
        self.is_full = False
        self._stores: list[Store] = []

    def watch(self, store: Store) -> None:
        self._stores.append(store)
        give = store.on_full

        def given() -> None:
            if give():
                self._limit(store, 1_000_000)

        store.on_full = given

    def fill(self) -> None:
        self.is_full = True
        for store in self._stores:
            self._limit(store, 1)  # SQLite takes the size it has

    def empty(self) -> None:
        self.is_full = False
        for store in self._stores:
            self._limit(store, 1_000_000)

    def free_bytes(self, directory: str) -> int:
        return 0 if self.is_full else SIZE_BYTES

    def create(self, path: str) -> int:
        self._look()
        return super().create(path)

    def pwrite(self, fd: int, data: bytes, offset: int) -> None:
        self._look()
        super().pwrite(fd, data, offset)

    def allocate(self, fd: int, size_bytes: int) -> None:
        self._look()

    def _look(self) -> None:
        if self.is_full:
            raise NoSpace("the disk that keeps pending files is full")

    @staticmethod
    def _limit(store: Store, pages: int) -> None:
        store._db.execute(f"PRAGMA max_page_count = {pages}").fetchone()


SmallDisk = SmallTmpfs | FillableDisk

KINDS = ["double", "tmpfs"] if os.geteuid() == 0 else ["double"]


@contextmanager
def small_disk(kind: str, directory: Path, size_bytes: int = SIZE_BYTES) -> Iterator[SmallDisk]:
    """*size_bytes*: of a real one."""
    if kind == "double":
        yield FillableDisk(directory)
        return
    made = SmallTmpfs(directory)
    options = f"size={size_bytes},mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", made.directory], check=True)
    try:
        yield made
    finally:
        subprocess.run(["umount", "-l", made.directory], check=True)
