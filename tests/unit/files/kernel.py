"""The kernel's pages of files, as libfuse 2 and FUSE keep them: by path as it was spelled."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass

from mountfs.attributes import Opened
from mountfs.errors import NotFound, Stale
from mountfs.filesystem import FileSystem

PAGE_BYTES = 4096


@dataclass(eq=False)
class Inode:
    """To libfuse one path as it was spelled; renames take it along. ``page``: None if it has to be read."""

    page: bytearray | None = None
    size_bytes: int = 0


@dataclass(eq=False)
class Descriptor:
    inode: Inode
    number: int
    is_direct: bool


class Kernel:
    """A file system as programs see it through pages, for files of at most one page.

    Opening reads the attributes, and drops the page unless told to keep it. Reads fill the page, writes
    change it as well; direct ones pass it by. Nothing else tells the kernel that a page is out of date.
    *knows*: attributes that were read are not read again, but for an open that is Stale: it looks anew, once.
    """

    def __init__(self, fs: FileSystem, *, knows: bool = False) -> None:
        self.fs = fs
        self._knows = knows
        self._inodes: dict[str, Inode] = {}

    def open(self, path: str, flags: int = os.O_RDONLY) -> Descriptor:
        self._look_up(path)
        try:
            opened = self._opened(path, flags)
        except Stale:
            self._inodes.pop(path)
            self._look_up(path)
            opened = self._opened(path, flags)
        inode = self._look_up(path)
        if not opened.keep_cache:
            inode.page = None
        return Descriptor(inode, opened.number, opened.is_direct)

    def read(self, file: Descriptor) -> bytes:
        """The whole file."""
        if file.is_direct:
            return self.fs.read(file.number, 0, PAGE_BYTES)
        if file.inode.page is None:
            file.inode.page = bytearray(self.fs.read(file.number, 0, PAGE_BYTES).ljust(PAGE_BYTES, b"\0"))
        return bytes(file.inode.page[: file.inode.size_bytes])

    def write(self, file: Descriptor, offset: int, data: bytes) -> None:
        self.fs.write(file.number, offset, data)
        inode = file.inode
        if inode.page is not None and not file.is_direct:
            inode.page[offset : offset + len(data)] = data
        inode.size_bytes = max(inode.size_bytes, offset + len(data))

    def close(self, file: Descriptor) -> None:
        self.fs.flush(file.number)
        self.fs.release(file.number)

    def truncate(self, path: str, size_bytes: int) -> None:
        inode = self._look_up(path)
        self.fs.truncate(path, size_bytes)
        _resize(inode, size_bytes)

    def rename(self, source: str, target: str) -> None:
        inode = self._look_up(source)
        self.fs.rename(source, target)
        self._inodes.pop(source)
        self._inodes[target] = inode

    def get(self, path: str) -> bytes:
        """Opens, reads, closes."""
        file = self.open(path)
        try:
            return self.read(file)
        finally:
            self.close(file)

    def put(self, path: str, body: bytes) -> None:
        """Opens for writing over what is there, from its beginning, writes, closes."""
        file = self.open(path, os.O_WRONLY | os.O_CREAT)
        self.write(file, 0, body)
        self.close(file)

    def _opened(self, path: str, flags: int) -> Opened:
        return self.fs.create(path, flags) if flags & os.O_CREAT else self.fs.open(path, flags)

    def _look_up(self, path: str) -> Inode:
        if self._knows and path in self._inodes:
            return self._inodes[path]
        inode = self._inodes.setdefault(path, Inode())
        with suppress(NotFound):
            _resize(inode, self.fs.getattr(path).size_bytes)
        return inode


def _resize(inode: Inode, size_bytes: int) -> None:
    """The size is the inode's: what is behind it goes."""
    if inode.page is not None:
        inode.page[size_bytes:] = bytes(PAGE_BYTES - size_bytes)
    inode.size_bytes = size_bytes
