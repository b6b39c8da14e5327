"""A disk that forgets what was not synced: power loss without pulling a plug."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from random import Random

from mountfs.spool.disk import RealDisk


@dataclass(frozen=True, slots=True)
class Trace:
    """What a file may look like after power loss: *synced* bytes, *written* ones, or something between.

    *is_named*: its name is certain; else a file system may have it or not. *labels*: all it ever had.
    """

    synced: bytes
    written: bytes
    is_named: bool
    labels: tuple[str, ...]

    def drawn(self, draw: Random) -> bytes:
        """Some bytes that a file system may have kept: too few, zeros in their place, or all of them. What
        was synced before is no worse than it was then."""
        if self.synced == self.written:
            return self.written
        half = len(self.written) // 2
        short = self.written[:half] + self.synced[half:]
        zeros = short[: len(self.written)].ljust(len(self.written), b"\0")
        return draw.choice((self.synced, self.written, short, zeros))


class ForgetfulDisk(RealDisk):
    """The real disk, with a ledger of what a machine that stops now would find again.

    A file has the bytes of its last fdatasync (none: it is empty), a directory the names of its last
    sync (never synced: it is empty). That is the worst a file system may do, not the likely: ``traces``
    tells what else it may do. Labels are kept by the double, whatever the real file system can.
    """

    def __init__(self) -> None:
        self.syncs = 0
        self._bytes: dict[int, bytes] = {}
        self._names: dict[str, dict[str, int]] = {}
        self._labels: dict[int, list[str]] = {}

    def create(self, path: str) -> int:
        return self._new(super().create(path))

    def create_unnamed(self, directory: str) -> int:
        return self._new(super().create_unnamed(directory))

    def _new(self, fd: int) -> int:
        # The number of a file that is gone may be given again.
        self._bytes.pop(os.fstat(fd).st_ino, None)
        self._labels.pop(os.fstat(fd).st_ino, None)
        return fd

    def fdatasync(self, fd: int) -> None:
        super().fdatasync(fd)
        state = os.fstat(fd)
        self._bytes[state.st_ino] = os.pread(fd, state.st_size, 0)
        self.syncs += 1

    def sync_directory(self, path: str) -> None:
        super().sync_directory(path)
        self._names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}

    def label(self, fd: int, text: str) -> bool:
        self._labels.setdefault(os.fstat(fd).st_ino, []).append(text)
        return True

    def label_of(self, path: str) -> str | None:
        labels = self._labels.get(Path(path).stat().st_ino)
        return labels[-1] if labels else None

    def set_label(self, path: Path, text: str) -> None:
        """As a disk that kept it had it."""
        self._labels[path.stat().st_ino] = [text]

    def synced(self, path: Path) -> bytes:
        """The bytes of a file as they were last synced."""
        return self._bytes.get(path.stat().st_ino, b"")

    def traces(self, directory: Path) -> dict[str, Trace]:
        """What may be left of the files in *directory*, by name; those removed since its sync among them."""
        synced = self._names.get(str(directory), {})
        found: dict[str, Trace] = {}
        for name, inode in synced.items():
            lasting = self._bytes.get(inode, b"")
            found[name] = Trace(lasting, lasting, is_named=False, labels=tuple(self._labels.get(inode, ())))
        for entry in os.scandir(directory):
            inode = entry.inode()
            found[entry.name] = Trace(
                self._bytes.get(inode, b""),
                Path(entry.path).read_bytes(),
                is_named=entry.name in synced,
                labels=tuple(self._labels.get(inode, ())),
            )
        return found

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
