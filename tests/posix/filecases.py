"""What is done by descriptors, in folders that are gone, and to folders that move; who may do what, asked."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

from tests.posix.cases import Named
from tests.posix.place import MEMBER, OTHER, OWNER, USERS, Place, User, acting_as, moved, outcome

Change = Callable[[int], object]
_HERE = -100
_LIBC = ctypes.CDLL(None, use_errno=True)
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
"""renameat2(2)."""


def file_cases() -> Iterator[Named]:
    yield from _set_ids()
    yield from _on_descriptors()
    yield from _rights()
    yield from _moving_folders()
    yield from _in_folders_that_are_gone()
    yield from _renaming_with_flags()
    yield from _several_descriptors()


def _mapped(number: int) -> None:
    with mmap.mmap(number, 10) as mapping:
        mapping[3:6] = b"xyz"
        mapping.flush()


def _copied(number: int) -> None:
    source = os.open("source", os.O_RDONLY)
    try:
        os.copy_file_range(source, number, 4)
    finally:
        os.close(source)


def _sent(number: int) -> None:
    source = os.open("source", os.O_RDONLY)
    try:
        os.sendfile(number, source, 0, 4)
    finally:
        os.close(source)


CHANGES: dict[str, Change] = {
    "write": lambda number: os.write(number, b"xyz"),
    "write nothing": lambda number: os.write(number, b""),
    "write behind the end": lambda number: os.pwrite(number, b"x", 100),
    "cut": lambda number: os.ftruncate(number, 3),
    "cut to the same": lambda number: os.ftruncate(number, 10),
    "map": _mapped,
    "copy a range": _copied,
    "send": _sent,
}


def _set_ids() -> Iterator[Named]:
    """Who changes the bytes of a program takes its set-id bits, by whatever call; and its times move."""
    for (name, change), (who, user), mode in product(
        CHANGES.items(), USERS.items(), (0o6777, 0o2767, 0o4766, 0o666)
    ):

        def case(at: Place, change: Change = change, user: User = user, mode: int = mode) -> object:
            (at / "source").write_bytes(b"source")
            path = at.make("x", "file", mode)
            with acting_as(user):
                number = os.open(path, os.O_RDWR)
                told = outcome(lambda: change(number))
                os.close(number)
            return oct(path.stat().st_mode), told, path.read_bytes(), at.seen()

        yield f"{name} by a descriptor, {mode:04o} by {who}", case
    for name, change in CHANGES.items():

        def case_times(at: Place, change: Change = change) -> object:
            (at / "source").write_bytes(b"source")
            path = at.make("x", "file")
            number = os.open(path, os.O_RDWR)
            at.aged(path)

            def changed() -> None:
                change(number)
                os.close(number)

            return moved(path, changed)

        yield f"times of file after {name} by a descriptor", case_times


def _on_descriptors() -> Iterator[Named]:
    calls: dict[str, Change] = {
        "read": lambda number: os.read(number, 4),
        "read nothing": lambda number: os.read(number, 0),
        "read at the end": lambda number: os.pread(number, 4, 10),
        "read behind the end": lambda number: os.pread(number, 4, 1 << 40),
        "read before the beginning": lambda number: os.pread(number, 4, -1),
        "write": lambda number: os.write(number, b"xy"),
        "write before the beginning": lambda number: os.pwrite(number, b"x", -1),
        "cut": lambda number: os.ftruncate(number, 2),
        "seek before the beginning": lambda number: os.lseek(number, -1, os.SEEK_SET),
        "seek behind the end": lambda number: os.lseek(number, 5, os.SEEK_END),
        "seek a hole": lambda number: os.lseek(number, 0, os.SEEK_HOLE),
        "seek data": lambda number: os.lseek(number, 5, os.SEEK_DATA),
        "seek data at the end": lambda number: os.lseek(number, 10, os.SEEK_DATA),
        "list": os.listdir,
        "enter": os.fchdir,
        "sync": os.fsync,
        "sync data": os.fdatasync,
        "open below": lambda number: os.close(os.open("x", os.O_RDONLY, dir_fd=number)),
        "make below": lambda number: os.mkdir("new", dir_fd=number),
    }
    ways = {"reading": os.O_RDONLY, "writing": os.O_WRONLY, "both": os.O_RDWR, "its path": os.O_PATH}
    for (name, call), (way, flags), kind in product(calls.items(), ways.items(), ("file", "folder")):
        if kind == "folder" and (way in ("writing", "both") or "seek" in name):
            continue  # there is no such descriptor; what seeking in a folder means is its file system's

        def case(at: Place, call: Change = call, flags: int = flags, kind: str = kind) -> object:
            number = os.open(at.make("x", kind), flags)
            told = outcome(lambda: call(number))
            os.close(number)
            os.chdir(at.path)
            return told, at.seen()

        yield f"{name} of {kind} that is open for {way}", case


def _rights() -> Iterator[Named]:
    """access(2), as the call tells it before anything is done."""
    for (who, user), kind in product(USERS.items(), ("file", "folder", "fifo", "dangling", "device")):

        def case(at: Place, user: User = user, kind: str = kind) -> object:
            at.path.chmod(0o755)
            told: dict[str, object] = {}
            for mode in (0o000, 0o400, 0o240, 0o124, 0o050, 0o007, 0o751, 0o4711):
                path = at.make(f"{mode:04o}", kind, mode)
                with acting_as(user):
                    told[f"{mode:04o}"] = [
                        outcome(lambda path=path, asked=asked: _accessible(path, asked))  # type: ignore[misc]
                        for asked in (os.F_OK, os.R_OK, os.W_OK, os.X_OK, os.R_OK | os.W_OK | os.X_OK)
                    ]
            return told

        yield f"rights at {kind} of {who}", case


def _accessible(path: Path, asked: int) -> None:
    """access(2) by the effective user, with its errno."""
    at_eaccess = 0x200
    if _LIBC.faccessat(_HERE, os.fsencode(path), asked, at_eaccess):
        raise OSError(ctypes.get_errno(), "faccessat")


def _moving_folders() -> Iterator[Named]:
    """A folder that comes into another one is written to, for its `..`."""
    for (who, user), mode, owner, is_far in product(
        USERS.items(), (0o755, 0o777, 0o555, 0o000, 0o1777), (OWNER, OTHER), (False, True)
    ):

        def case(
            at: Place, user: User = user, mode: int = mode, owner: User = owner, is_far: bool = is_far
        ) -> object:
            source, target = at.folder("from"), at.folder("to")
            path = at.make("from/x", "full folder", mode, owner)
            at.given(source, 0o777, MEMBER)
            at.given(target, 0o777, MEMBER)
            there = (target if is_far else source) / "y"
            with acting_as(user):
                told = outcome(lambda: os.rename(path, there))
            return told, at.seen()

        where = "another folder" if is_far else "the same folder"
        yield f"move folder {mode:04o} of {owner.uid} by {who} into {where}", case


def _in_folders_that_are_gone() -> Iterator[Named]:
    calls: dict[str, Callable[[], object]] = {
        "create": lambda: os.open("x", os.O_CREAT | os.O_WRONLY),
        "mkdir": lambda: os.mkdir("x"),
        "symlink": lambda: os.symlink("target", "x"),
        "mkfifo": lambda: os.mkfifo("x"),
        "rename into": lambda: os.rename("../file", "x"),
        "look": lambda: os.stat("x"),
        "look up": lambda: os.stat("..").st_nlink and None,
        "remove": lambda: os.unlink("x"),
        "remove itself": lambda: os.rmdir("."),
        "ask where": os.getcwd,
    }
    for name, call in calls.items():

        def case(at: Place, call: Callable[[], object] = call) -> object:
            at.make("file", "file")
            folder = at.folder("d")
            os.chdir(folder)
            folder.rmdir()
            told = outcome(call)
            os.chdir(at.path)
            return told, at.seen()

        yield f"{name} in a folder that is gone", case

    def listed(at: Place) -> object:
        """As `rm -r` does it: entries go while the folder is read."""
        folder = at.folder("d")
        for number in range(100):
            (folder / f"{number}").touch()
        removed = 0
        with os.scandir(folder) as entries:
            for entry in entries:
                os.unlink(entry.path)
                removed += 1
        return removed, outcome(folder.rmdir)

    def made_while_listed(at: Place) -> object:
        folder = at.folder("d")
        for number in range(20):
            (folder / f"{number}").touch()
        seen = set()
        with os.scandir(folder) as entries:
            for entry in entries:
                seen.add(entry.name)
                (folder / entry.name).rename(at / entry.name)
        return len(seen), os.listdir(folder), len(os.listdir(at.path))

    yield "a folder is emptied while it is read", listed
    yield "a folder is moved from while it is read", made_while_listed


def _renaming_with_flags() -> Iterator[Named]:
    flags = {"none": 0, "noreplace": NOREPLACE, "both": NOREPLACE | EXCHANGE, "too many": EXCHANGE | WHITEOUT}
    for (name, flag), kind in product(flags.items(), ("nothing", "file", "folder")):

        def case(at: Place, flag: int = flag, kind: str = kind) -> object:
            at.make("x", "file")
            if kind != "nothing":
                at.make("y", kind)
            return outcome(lambda: _renamed(at / "x", at / "y", flag)), at.seen()

        yield f"renameat2 over {kind}, {name}", case


def _renamed(source: Path, target: Path, flags: int) -> None:
    if _LIBC.renameat2(_HERE, os.fsencode(source), _HERE, os.fsencode(target), flags):
        raise OSError(ctypes.get_errno(), "renameat2")


def _several_descriptors() -> Iterator[Named]:
    def appending(at: Place) -> object:
        path = at.make("x", "file")
        first, second = (os.open(path, os.O_RDWR | os.O_APPEND) for _ in range(2))
        os.write(first, b"first")
        os.write(second, b"second")
        os.pwrite(first, b"at the end all the same", 0)
        os.ftruncate(second, 4)
        os.write(first, b"after the cut")
        told = os.lseek(first, 0, os.SEEK_CUR), os.read(second, 100), path.read_bytes()
        for number in (first, second):
            os.close(number)
        return told, at.seen()

    def cut_by_another(at: Place) -> object:
        path = at.make("x", "file")
        first, second = (os.open(path, os.O_RDWR) for _ in range(2))
        os.lseek(first, 0, os.SEEK_END)
        os.ftruncate(second, 0)
        told = [os.read(first, 10)]
        os.write(first, b"end")
        told.append(os.pread(second, 20, 0))
        for number in (first, second):
            os.close(number)
        return told, at.seen()

    def locked(at: Place) -> object:
        path = at.make("x", "file")
        first, second = (os.open(path, os.O_RDWR) for _ in range(2))
        told = [
            outcome(lambda: fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)),
            outcome(lambda: fcntl.flock(second, fcntl.LOCK_SH | fcntl.LOCK_NB)),
            outcome(lambda: fcntl.flock(first, fcntl.LOCK_UN)),
            outcome(lambda: fcntl.flock(second, fcntl.LOCK_SH | fcntl.LOCK_NB)),
            outcome(lambda: fcntl.lockf(first, fcntl.LOCK_EX | fcntl.LOCK_NB)),
        ]
        for number in (first, second):
            os.close(number)
        return told

    def chmod_while_open(at: Place) -> object:
        """What was opened stays open, whoever may open it from here on."""
        path = at.make("x", "file", 0o600)
        at.path.chmod(0o777)
        with acting_as(OWNER):
            number = os.open(path, os.O_RDWR)
            path.chmod(0)
            told = [outcome(lambda: os.write(number, b"xyz")), outcome(lambda: os.open(path, os.O_RDONLY))]
            os.close(number)
        return told, at.seen()

    def gone_and_made_anew(at: Place) -> object:
        path = at.make("x", "file")
        number = os.open(path, os.O_RDWR)
        path.unlink()
        path.write_bytes(b"new")
        os.pwrite(number, b"old and long", 0)
        told = path.read_bytes(), os.pread(number, 20, 0), os.fstat(number).st_nlink
        os.fchown(number, 7, 8)
        os.close(number)
        return told, at.seen()

    yield "two descriptors that append", appending
    yield "a file that is cut by another descriptor", cut_by_another
    yield "two descriptors and locks", locked
    yield "rights that change while a file is open", chmod_while_open
    yield "a file that is open, gone and made anew", gone_and_made_anew
