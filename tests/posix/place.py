"""A folder to try calls in, as one user or another, and what is to be seen there afterwards."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

CLOCK_REALTIME_COARSE = 5
"""Of <linux/time.h>: the one that the kernel takes the times of files from."""
LONG_AGO_NS = 1_300_000_000_123_456_789


@dataclass(frozen=True)
class User:
    uid: int
    gid: int
    groups: tuple[int, ...] = ()


ROOT = User(0, 0)
OWNER = User(1001, 1001, (1005,))
MEMBER = User(1002, 1002, (1001,))
OTHER = User(1003, 1003)
USERS = {"root": ROOT, "owner": OWNER, "member": MEMBER, "other": OTHER}

KINDS = ("file", "folder", "link", "dangling", "fifo", "socket", "device")


@contextmanager
def acting_as(user: User) -> Iterator[None]:
    """The calls inside are made by *user*: the effective ids of the whole process."""
    if user is ROOT:
        yield
        return
    os.setgroups(user.groups)
    os.setegid(user.gid)
    os.seteuid(user.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(())


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


class Place:
    """One empty folder of the file system that is looked at; removed in the end, whatever is in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def folder(self, name: str, mode: int = 0o755, owner: User = OWNER) -> Path:
        path = self.path / name
        path.mkdir()
        return self.given(path, mode, owner)

    def make(self, name: str, kind: str, mode: int = 0o644, owner: User = OWNER) -> Path:
        """Something of *kind* that belongs to *owner*."""
        path = self.path / name
        match kind:
            case "file":
                path.write_bytes(b"0123456789")
            case "folder":
                path.mkdir()
            case "full folder":
                path.mkdir()
                (path / "inside").touch()
            case "link":
                path.symlink_to(".")
            case "dangling":
                path.symlink_to("no-such-thing")
            case "fifo":
                os.mkfifo(path)
            case "socket":
                with socket.socket(socket.AF_UNIX) as server:
                    server.bind(os.path.relpath(path))
            case "device":
                os.mknod(path, stat.S_IFCHR, os.makedev(1, 3))
        return self.given(path, mode, owner)

    def given(self, path: Path, mode: int, owner: User) -> Path:
        os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(mode)
        return path

    def aged(self, *paths: Path) -> None:
        """Gives *paths* times long ago, and waits until the clock that gives new ones has moved on."""
        for path in paths:
            os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS), follow_symlinks=False)
        newest_ns = max(path.lstat().st_ctime_ns for path in paths)
        while time.clock_gettime_ns(CLOCK_REALTIME_COARSE) <= newest_ns:
            os.sched_yield()

    def seen(self) -> dict[str, list[object]]:
        """Everything that is there: kind, mode, owner, links and size, by its path."""
        found: dict[str, list[object]] = {}
        for folder, folders, files in os.walk(self.path):
            for name in (*folders, *files):
                path = Path(folder, name)
                told = path.lstat()
                size = -1 if stat.S_ISDIR(told.st_mode) else told.st_size
                facts: list[object] = [oct(told.st_mode), told.st_uid, told.st_gid, told.st_nlink, size]
                if stat.S_ISLNK(told.st_mode):
                    facts.append(os.readlink(path))
                if stat.S_ISCHR(told.st_mode):
                    facts.append(told.st_rdev)
                found[str(path.relative_to(self.path))] = facts
        return found

    def clear(self) -> None:
        """Removes what is in it."""
        for path in self.path.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def remove(self) -> None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self.path)


def outcome(call: Callable[[], object]) -> str:
    """The name of the errno, or what the call returned if that can be compared."""
    try:
        told = call()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error.errno))
    return "done" if told is None or isinstance(told, Path) else repr(told)


def moved(path: Path, call: Callable[[], object], user: User = ROOT) -> str:
    """Which times of *path* the call moved: access, modification, change."""
    before = path.lstat()
    with acting_as(user):
        told = outcome(call)
    after = path.lstat()
    names = [
        name
        for name in ("atime", "mtime", "ctime")
        if getattr(before, f"st_{name}_ns") != getattr(after, f"st_{name}_ns")
    ]
    return f"{told}: {' '.join(names) or 'none'}"
