"""The two folders in which each call is made, and who makes it."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.posix.place import ROOT, User

_LIBC = ctypes.CDLL(None, use_errno=True)

Call = Callable[["Side"], object]


@dataclass
class Side:
    """One of the two folders, and what is open there."""

    top: Path
    descriptors: dict[int, int] = field(default_factory=dict)
    """By the number that both sides have for it."""
    folders: dict[int, int] = field(default_factory=dict)
    """Open ones, alike."""
    mapped: dict[int, tuple[int, mmap.mmap]] = field(default_factory=dict)
    """Mappings that stay, with a descriptor of the file, alike."""
    spellings: Random | None = None
    """Draws how a name is spelled, each time anew, in upper or lower case."""

    def at(self, path: str) -> str:
        if self.spellings is not None:
            path = "".join(self.spellings.choice((letter, letter.upper())) for letter in path)
        return f"{self.top}/{path}"

    def close_all(self) -> None:
        for descriptor in self.descriptors.values():
            os.close(descriptor)
        self.descriptors.clear()
        for descriptor in self.folders.values():
            os.close(descriptor)
        self.folders.clear()
        for descriptor, mapped in self.mapped.values():
            mapped.close()
            os.close(descriptor)
        self.mapped.clear()


@contextmanager
def acting(user: User, mask: int) -> Iterator[None]:
    """The calls inside are made by *user*: the ids for file systems alone, those of this thread."""
    before = os.umask(mask)
    os.setgroups(user.groups)
    _LIBC.setfsgid(user.gid)
    _LIBC.setfsuid(user.uid)
    try:
        yield
    finally:
        _LIBC.setfsuid(ROOT.uid)
        _LIBC.setfsgid(ROOT.gid)
        os.setgroups(())
        os.umask(before)


def told(call: Call, side: Side) -> object:
    """What a call returned, or the name of its errno."""
    try:
        return call(side)
    except KeyError:
        return "not open"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))


class Looker:
    """What can be compared of what is there. The time of a change that was made since the beginning differs
    between the sides; one that a program has set does not."""

    def __init__(self, began_ns: int, now_ns: Callable[[], int]) -> None:
        self._began_ns = began_ns
        self._now_ns = now_ns

    def facts(self, status: os.stat_result) -> tuple[object, ...]:
        """Type and mode, owner and group, size, time, device; without the link count."""
        mode = status.st_mode
        size = 0 if stat.S_ISDIR(mode) else status.st_size
        return oct(mode), status.st_uid, status.st_gid, size, self.time(status.st_mtime_ns), status.st_rdev

    def time(self, time_ns: int) -> object:
        return "since" if self._began_ns <= time_ns <= self._now_ns() else time_ns

    def tree(self, top: Path) -> dict[str, tuple[object, ...]]:
        """Everything below *top*, by path."""
        found: dict[str, tuple[object, ...]] = {}
        folders = [""]
        while folders:
            folder = folders.pop()
            inside = 0
            for name in sorted(os.listdir(top / folder)):
                path = f"{folder}/{name}" if folder else name
                status = (top / path).lstat()
                if stat.S_ISDIR(status.st_mode):
                    folders.append(path)
                    inside += 1
                else:
                    found[path.lower()] = (*self.facts(status), status.st_nlink, *_inside(top / path, status))
            if folder:  # the top of a mount is no folder of its own
                status = (top / folder).lstat()
                links = 2 + inside if status.st_nlink == 1 else status.st_nlink  # 1 stands for any number
                found[folder.lower()] = (*self.facts(status), links, _xattrs(top / folder))
        return found


def move_time_of_hole(file: str | int) -> None:
    """*file*, on tmpfs, was truncated. Where it has a size, and no bytes that were ever written, tmpfs moves
    no time when the size stays the same (shmem_setattr()); disks do."""
    status = os.stat(file)
    if status.st_size and not status.st_blocks:
        with acting(ROOT, 0):
            os.utime(file)


def is_device(path: str) -> bool:
    """Whether the caller sees a device there, which can be opened on no mount (nodev)."""
    try:
        return stat.S_ISCHR(os.stat(path).st_mode)
    except OSError:
        return False


def _inside(path: Path, status: os.stat_result) -> tuple[object, ...]:
    if stat.S_ISREG(status.st_mode):
        return path.read_bytes(), _xattrs(path)
    return (os.readlink(path),) if stat.S_ISLNK(status.st_mode) else ()


def _xattrs(path: Path) -> dict[str, bytes]:
    return {name: os.getxattr(path, name) for name in sorted(os.listxattr(path)) if name.startswith("user.")}
