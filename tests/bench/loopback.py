"""A bare pass-through, ``loopback.py BACKING MOUNTPOINT``: what any file system in Python costs here."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Any

from fuse import FUSE, FuseOSError, Operations

_TIMES = ("st_atime", "st_mtime", "st_ctime")
_KEPT = ("st_mode", "st_size", "st_nlink", "st_uid", "st_gid")


class Loopback(Operations):  # type: ignore[misc]
    """Each call of the kernel is one system call below another folder; nothing is kept."""

    use_ns = True

    def __init__(self, backing: str) -> None:
        self._backing = backing

    def __call__(self, call: str, *arguments: Any) -> Any:
        method: Callable[..., Any] | None = getattr(self, call, None)
        if method is None:
            raise FuseOSError(errno.ENOSYS)
        try:
            return method(*arguments)
        except OSError as error:
            raise FuseOSError(error.errno) from None

    def _below(self, path: str) -> str:
        return self._backing + path

    def getattr(self, path: str, handle: int | None = None) -> dict[str, int]:
        found = os.lstat(self._below(path)) if handle is None else os.fstat(handle)
        times = {name: getattr(found, f"{name}_ns") for name in _TIMES}
        return times | {name: getattr(found, name) for name in _KEPT}

    def readdir(self, path: str, _handle: int) -> list[str]:
        return [".", "..", *os.listdir(self._below(path))]

    def create(self, path: str, mode: int, _info: object = None) -> int:
        return os.open(self._below(path), os.O_CREAT | os.O_RDWR | os.O_TRUNC, mode)

    def open(self, path: str, flags: int) -> int:
        return os.open(self._below(path), flags & ~os.O_APPEND)

    def read(self, _path: str, length: int, offset: int, handle: int) -> bytes:
        return os.pread(handle, length, offset)

    def write(self, _path: str, data: bytes, offset: int, handle: int) -> int:
        return os.pwrite(handle, data, offset)

    def truncate(self, path: str, length: int, handle: int | None = None) -> None:
        os.truncate(self._below(path) if handle is None else handle, length)

    def flush(self, _path: str, _handle: int) -> None:
        """Nothing is kept back."""

    def release(self, _path: str, handle: int) -> None:
        os.close(handle)

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(self._below(path), mode)

    def unlink(self, path: str) -> None:
        os.unlink(self._below(path))

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(self._below(path), mode)


if __name__ == "__main__":
    FUSE(Loopback(sys.argv[1]), sys.argv[2], foreground=True, big_writes=True)
