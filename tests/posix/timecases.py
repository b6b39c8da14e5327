"""Which times calls move, and which they leave alone because they fail; who may set which."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

from tests.posix.cases import Named
from tests.posix.place import OTHER, OWNER, USERS, Place, User, acting_as, moved, outcome

_LIBC = ctypes.CDLL(None, use_errno=True)
_NOW, _OMIT = (1 << 30) - 1, (1 << 30) - 2
_NO_FOLLOW = 0x100
_HERE = -100
TIMES = {"now": (0, _NOW), "omitted": (0, _OMIT), "then": (1_300_000_000, 5), "too many ns": (1, 10**9)}

Call = Callable[[Path], object]


class _Time(ctypes.Structure):
    _fields_ = (("s", ctypes.c_long), ("ns", ctypes.c_long))


def utimensat(path: Path, atime: tuple[int, int], mtime: tuple[int, int]) -> None:
    """With the words of utimensat(2) that Python has no names for."""
    times = (_Time * 2)(_Time(*atime), _Time(*mtime))
    if _LIBC.utimensat(_HERE, os.fsencode(path), times, _NO_FOLLOW):
        raise OSError(ctypes.get_errno(), "utimensat")


def time_cases() -> Iterator[Named]:
    yield from _failing()
    yield from _on_descriptors()
    yield from _renames()
    yield from _set()


def _failing() -> Iterator[Named]:
    """By somebody who may do none of it: no time moves, neither of what is named nor of its folder."""
    calls: dict[str, Call] = {
        "unlink": os.unlink,
        "rmdir": os.rmdir,
        "rename": lambda path: path.rename(path.with_name("y")),
        "chmod": lambda path: path.chmod(0o611),
        "chown": lambda path: os.chown(path, OTHER.uid, OTHER.gid, follow_symlinks=False),
        "truncate": lambda path: os.truncate(path, 3),
        "open to truncate": lambda path: os.open(path, os.O_WRONLY | os.O_TRUNC),
        "utimens": lambda path: os.utime(path, ns=(5, 6), follow_symlinks=False),
        "setxattr": lambda path: os.setxattr(path, "user.x", b"1"),
        "mkdir": lambda path: path.with_name("y").mkdir(),
        "symlink": lambda path: path.with_name("y").symlink_to("x"),
        "mkfifo": lambda path: os.mkfifo(path.with_name("y")),
        "create": lambda path: os.open(path.with_name("y"), os.O_CREAT | os.O_WRONLY),
    }
    for (name, call), kind in product(calls.items(), ("file", "folder", "dangling", "fifo")):

        def case(at: Place, call: Call = call, kind: str = kind) -> object:
            folder = at.folder("d")
            path = at.make("d/x", kind, 0o600)
            at.aged(folder, path)
            return [moved(each, lambda: call(path), OTHER) for each in (folder, path)], at.seen()

        if kind != "fifo" or name != "open to truncate":
            yield f"times after failed {name} of {kind}", case


def _on_descriptors() -> Iterator[Named]:
    calls: dict[str, Callable[[int], object]] = {
        "ftruncate": lambda number: os.ftruncate(number, 3),
        "ftruncate to the same": lambda number: os.ftruncate(number, 10),
        "fchmod": lambda number: os.fchmod(number, 0o640),
        "fchown": lambda number: os.fchown(number, 1001, 1005),
        "fchown of nothing": lambda number: os.fchown(number, 1001, -1),
        "setxattr": lambda number: os.setxattr(number, "user.x", b"1"),
        "pwrite": lambda number: os.pwrite(number, b"x", 50) and None,
        "pwrite of nothing": lambda number: os.pwrite(number, b"", 0) and None,
        "fsync": os.fsync,
    }
    for name, call in calls.items():

        def case(at: Place, call: Callable[[int], object] = call) -> object:
            path = at.make("x", "file")
            number = os.open(path, os.O_RDWR)
            at.aged(path)
            told = moved(path, lambda: call(number))
            os.close(number)
            return told

        yield f"times of an open file after {name}", case


def _renames() -> Iterator[Named]:
    for kind, is_over in product(("file", "folder", "dangling", "fifo", "socket"), (False, True)):

        def case(at: Place, kind: str = kind, is_over: bool = is_over) -> object:
            source, target = at.folder("from"), at.folder("to")
            path = at.make("from/x", kind)
            if is_over:
                at.make("to/y", kind)
            at.aged(source, target, path)
            told = [moved(source, lambda: path.rename(target / "y"))]
            at.aged(source, target)
            told.append(moved(target, lambda: (target / "y").rename(path)))
            return told, at.seen()

        yield f"times of folders after rename of {kind}{' over one' if is_over else ''}", case
    for who, mode in product(USERS, (0o755, 0o555, 0o1777)):

        def case_moved(at: Place, who: str = who, mode: int = mode) -> object:
            at.folder("to", 0o777)
            at.given(at.folder("from", 0o777) / "..", 0o777, OWNER)
            folder = at.folder("from/d", 0o755)
            at.given(folder, mode, OTHER)
            with acting_as(USERS[who]):
                told = outcome(lambda: folder.rename(at / "to" / "d"))
            return told, at.seen()

        yield f"a folder of another's, {mode:04o}, moved by {who}", case_moved


def _set() -> Iterator[Named]:
    for kind, who, mode, atime, mtime in product(
        ("file", "folder", "dangling"), USERS, (0o600, 0o622), TIMES, TIMES
    ):

        def case(
            at: Place,
            kind: str = kind,
            user: User = USERS[who],
            mode: int = mode,
            times: tuple[str, str] = (atime, mtime),
        ) -> object:
            path = at.make("x", kind, mode)
            at.aged(path)
            before = path.lstat()
            with acting_as(user):
                told = outcome(lambda: utimensat(path, TIMES[times[0]], TIMES[times[1]]))
            after = path.lstat()
            return told, [
                _seen(then, now)
                for then, now in (
                    (before.st_atime_ns, after.st_atime_ns),
                    (before.st_mtime_ns, after.st_mtime_ns),
                    (before.st_ctime_ns, after.st_ctime_ns),
                )
            ]

        yield f"utimensat {kind} {mode:04o} by {who} to {atime}, {mtime}", case


def _seen(before_ns: int, after_ns: int) -> object:
    """The time that was set, or whether it moved."""
    if after_ns == before_ns:
        return "as it was"
    return after_ns if after_ns < 1_400_000_000 * 10**9 else "moved"
