"""The cases, by POSIX and the manual pages: each call with each kind of thing, by each kind of user."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.posix.place import (
    KINDS,
    MEMBER,
    OTHER,
    OWNER,
    ROOT,
    USERS,
    Place,
    User,
    acting_as,
    moved,
    outcome,
    umask,
)

Case = Callable[[Place], object]
Named = tuple[str, Case]
Call = Callable[[Path], object]


def _close(number: int) -> None:
    os.close(number)


def _write(path: Path) -> None:
    number = os.open(path, os.O_RDWR)
    os.write(number, b"xyz")
    os.close(number)


def _rename(path: Path) -> None:
    path.rename(path.with_name("y"))


def _rename_there_and_back(path: Path) -> None:
    other = path.with_name("y")
    path.rename(other)
    other.rename(path)


MAKERS: dict[str, Call] = {
    "open": lambda path: _close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o6766)),
    "mkdir": lambda path: os.mkdir(path, 0o3767),
    "mkfifo": lambda path: os.mkfifo(path, 0o666),
    "mknod": lambda path: os.mknod(path, stat.S_IFCHR | 0o640, os.makedev(1, 7)),
    "mknod file": lambda path: os.mknod(path, stat.S_IFREG | 0o751),
    "symlink": lambda path: os.symlink("target", path),
}
FOLDER_MODES = (0o755, 0o777, 0o1777, 0o2777, 0o555, 0o666, 0o000)


def all_cases() -> Iterator[Named]:
    for part in (_making, _masks, _removing, _renaming, _replacing, _chmod, _chown, _opening, _sizes, _times):
        yield from part()
    for part in (_moving_times, _names, _ways, _links_of_folders):
        yield from part()


def _making() -> Iterator[Named]:
    for call, make in MAKERS.items():
        for who, user in USERS.items():
            for mode in FOLDER_MODES:

                def case(at: Place, make: Call = make, user: User = user, mode: int = mode) -> object:
                    folder = at.folder("d", mode, OWNER)
                    with acting_as(user), umask(0o022):
                        told = outcome(lambda: make(folder / "new"))
                    return told, at.seen()

                yield f"{call} by {who} in {mode:04o}", case
        for kind in (*KINDS, "full folder"):

            def case_over(at: Place, make: Call = make, kind: str = kind) -> object:
                path = at.make("old", kind)
                return outcome(lambda: make(path)), at.seen()

            yield f"{call} over {kind}", case_over


def _masks() -> Iterator[Named]:
    for call, make in MAKERS.items():
        for mask in (0o000, 0o027, 0o077, 0o777):

            def case(at: Place, make: Call = make, mask: int = mask) -> object:
                with umask(mask):
                    told = outcome(lambda: make(at / "new"))
                return told, at.seen()

            yield f"{call} with umask {mask:03o}", case


def _removing() -> Iterator[Named]:
    calls: dict[str, Call] = {"unlink": os.unlink, "rmdir": os.rmdir}
    for call, remove in calls.items():
        for kind in (*KINDS, "full folder"):
            for who, user in USERS.items():
                for mode in FOLDER_MODES:
                    for owner in (OWNER, OTHER):

                        def case(
                            at: Place,
                            remove: Call = remove,
                            kind: str = kind,
                            user: User = user,
                            mode: int = mode,
                            owner: User = owner,
                        ) -> object:
                            folder = at.folder("d", 0o755, MEMBER)
                            path = at.make("d/x", kind, owner=owner)
                            at.given(folder, mode, MEMBER)
                            with acting_as(user):
                                told = outcome(lambda: remove(path))
                            return told, at.seen()

                        is_chosen = kind in ("file", "folder", "dangling")
                        is_chosen |= (mode == 0o755) if user is ROOT else (mode == 0o1777)
                        if is_chosen:
                            yield f"{call} {kind} of {owner.uid} by {who} in {mode:04o}", case


def _renaming() -> Iterator[Named]:
    """Where users may take something from, and put it."""
    for who in USERS:
        for mode_from in (0o755, 0o777, 0o1777):
            for mode_to in (0o755, 0o777, 0o1777):
                for kind in ("file", "folder", "dangling"):
                    for owner in (OWNER, OTHER):
                        for target in ("", kind):

                            def case(
                                at: Place,
                                who: str = who,
                                mode_from: int = mode_from,
                                mode_to: int = mode_to,
                                kind: str = kind,
                                is_owners: bool = owner is OWNER,
                                target: str = target,
                            ) -> object:
                                source, folder = at.folder("from"), at.folder("to")
                                at.make("from/x", kind, 0o644, OWNER if is_owners else OTHER)
                                if target:
                                    at.make("to/y", target, 0o600, OTHER)
                                at.given(source, mode_from, MEMBER)
                                at.given(folder, mode_to, MEMBER)
                                with acting_as(USERS[who]):
                                    told = outcome(lambda: os.rename(source / "x", folder / "y"))
                                return told, at.seen()

                            how = f"{mode_from:04o} to {mode_to:04o}{' over one' if target else ''}"
                            yield f"rename {kind} of {owner.uid} by {who} from {how}", case


def _replacing() -> Iterator[Named]:
    """What may take the place of what."""
    kinds = (*KINDS, "full folder")
    for kind in kinds:
        for target in kinds:

            def case(at: Place, kind: str = kind, target: str = target) -> object:
                source, occupant = at.make("x", kind), at.make("y", target)
                return outcome(lambda: os.rename(source, occupant)), at.seen()

            yield f"rename {kind} over {target}", case


def _chmod() -> Iterator[Named]:
    for kind in KINDS:
        for who in USERS:
            for mode in (0o000, 0o644, 0o1755, 0o2755, 0o4755, 0o7777):
                for gid in (1001, 1003):

                    def case(
                        at: Place, kind: str = kind, who: str = who, mode: int = mode, gid: int = gid
                    ) -> object:
                        path = at.make("x", kind)
                        os.chown(path, OWNER.uid, gid, follow_symlinks=False)
                        with acting_as(USERS[who]):
                            told = outcome(lambda: os.chmod(path, mode))
                        if kind == "link":
                            at.path.chmod(0o777)
                        return told, at.seen()

                    if kind != "link":
                        yield f"chmod {mode:04o} {kind} of group {gid} by {who}", case


def _chown() -> Iterator[Named]:
    ids = (
        (1001, 1001),
        (-1, 1001),
        (1001, -1),
        (-1, -1),
        (1002, 1001),
        (-1, 1005),
        (1001, 1005),
        (-1, 1003),
        (0, 0),
    )
    for kind in ("file", "folder", "dangling", "fifo", "device"):
        for who in USERS:
            for uid, gid in ids:
                for mode in (0o755, 0o6755, 0o6644):

                    def case(
                        at: Place,
                        kind: str = kind,
                        who: str = who,
                        uid: int = uid,
                        gid: int = gid,
                        mode: int = mode,
                    ) -> object:
                        path = at.make("x", kind, mode)
                        with acting_as(USERS[who]):
                            told = outcome(lambda: os.chown(path, uid, gid, follow_symlinks=False))
                        return told, at.seen()

                    if mode == 0o755 or kind in ("file", "folder"):
                        yield f"chown {uid}:{gid} {kind} {mode:04o} by {who}", case


def _opening() -> Iterator[Named]:
    flags = {
        "read": os.O_RDONLY,
        "write": os.O_WRONLY,
        "both": os.O_RDWR,
        "truncate": os.O_WRONLY | os.O_TRUNC,
        "nofollow": os.O_RDONLY | os.O_NOFOLLOW,
        "folder": os.O_RDONLY | os.O_DIRECTORY,
        "create": os.O_RDWR | os.O_CREAT,
        "exclusive": os.O_RDWR | os.O_CREAT | os.O_EXCL,
    }
    for how, flag in flags.items():
        for kind in ("file", "folder", "dangling", "socket", "device"):
            for who in USERS:
                for mode in (0o000, 0o400, 0o200, 0o060, 0o004, 0o111):

                    def case(
                        at: Place, flag: int = flag, kind: str = kind, who: str = who, mode: int = mode
                    ) -> object:
                        path = at.make("x", kind, mode)
                        at.path.chmod(0o755)
                        with acting_as(USERS[who]):
                            told = outcome(lambda: _close(os.open(path, flag, 0o640)))
                        return told, at.seen()

                    if kind == "file" or mode == 0o004:
                        yield f"open {kind} {mode:04o} to {how} by {who}", case
    for who in USERS:
        for mode in (0o000, 0o400, 0o040, 0o100, 0o010, 0o001, 0o555):

            def case_look(at: Place, who: str = who, mode: int = mode) -> object:
                folder = at.folder("d")
                at.make("d/x", "file", 0o777)
                at.given(folder, mode, OWNER)
                with acting_as(USERS[who]):
                    return [
                        outcome(lambda: os.listdir(folder)),
                        outcome(lambda: os.stat(folder / "x").st_size),
                        outcome(lambda: os.access(folder / "x", os.X_OK, effective_ids=True)),
                    ]

            yield f"look into {mode:04o} by {who}", case_look


def _sizes() -> Iterator[Named]:
    for kind in KINDS:
        for size in (0, 5, 4096, 1_000_000, -1):

            def case(at: Place, kind: str = kind, size: int = size) -> object:
                path = at.make("x", kind)
                return outcome(lambda: os.truncate(path, size)), at.seen()

            if kind != "device":
                yield f"truncate {kind} to {size}", case
    for who in USERS:
        for mode in (0o600, 0o060, 0o006, 0o444, 0o6777):

            def case_as(at: Place, who: str = who, mode: int = mode) -> object:
                path = at.make("x", "file", mode)
                with acting_as(USERS[who]):
                    told = outcome(lambda: os.truncate(path, 3))
                return told, at.seen()

            def case_write(at: Place, who: str = who, mode: int = mode) -> object:
                path = at.make("x", "file", mode)
                with acting_as(USERS[who]):
                    told = outcome(lambda: _write(path))
                return told, at.seen()

            yield f"truncate {mode:04o} by {who}", case_as
            yield f"write {mode:04o} by {who}", case_write
    for how, flag in (("read", os.O_RDONLY), ("write", os.O_WRONLY)):
        for size in (0, 20, -1):

            def case_open(at: Place, flag: int = flag, size: int = size) -> object:
                number = os.open(at.make("x", "file"), flag)
                told = outcome(lambda: os.ftruncate(number, size))
                os.close(number)
                return told, at.seen()

            yield f"ftruncate to {size} of what is open to {how}", case_open


def _times() -> Iterator[Named]:
    far = {"then": 10**18 + 7, "before 1970": -(10**9) + 5, "1901": -(2**31) * 10**9, "2106": 2**32 * 10**9}
    for kind in KINDS:
        for name, time_ns in far.items():

            def case(at: Place, kind: str = kind, time_ns: int = time_ns) -> object:
                path = at.make("x", kind)
                os.utime(path, ns=(time_ns + 1, time_ns), follow_symlinks=False)
                told = path.lstat()
                return told.st_atime_ns, told.st_mtime_ns

            yield f"utimens {kind} to {name}", case
    for who in USERS:
        for mode in (0o000, 0o200, 0o060, 0o006):
            for times in (None, (1, 1)):

                def case_as(
                    at: Place, who: str = who, mode: int = mode, times: tuple[int, int] | None = times
                ) -> object:
                    path = at.make("x", "file", mode)
                    with acting_as(USERS[who]):
                        return outcome(lambda: os.utime(path, times))

                yield f"utimens {mode:04o} to {'now' if times is None else 'then'} by {who}", case_as


def _moving_times() -> Iterator[Named]:
    def of_entry(kind: str, call: Call) -> Case:
        def case(at: Place) -> object:
            path = at.make("x", kind)
            at.aged(path)
            return moved(path, lambda: call(path))

        return case

    def of_folder(call: Call, name: str, *, inside: str = "") -> Case:
        def case(at: Place) -> object:
            folder = at.folder("d")
            if inside:
                at.make("d/x", inside)
            at.aged(folder)
            return moved(folder, lambda: call(folder / name))

        return case

    for kind in ("file", "folder", "dangling", "fifo", "socket"):
        calls: dict[str, Call] = {
            "chown": lambda path: os.chown(path, 7, 7, follow_symlinks=False),
            "rename": _rename_there_and_back,
        }
        if kind != "dangling":
            calls["chmod"] = lambda path: path.chmod(0o611)
        for name, call in calls.items():
            yield f"times of {kind} after {name}", of_entry(kind, call)
    files: dict[str, Call] = {
        "truncate": lambda path: os.truncate(path, 3),
        "truncate to the same": lambda path: os.truncate(path, 10),
        "open to truncate": lambda path: _close(os.open(path, os.O_WRONLY | os.O_TRUNC)),
        "write": _write,
        "utimens": lambda path: os.utime(path, ns=(5, 6)),
        "failed rmdir": os.rmdir,
    }
    for name, call in files.items():
        yield f"times of file after {name}", of_entry("file", call)
    for name, call in MAKERS.items():
        yield f"times of folder after {name}", of_folder(call, "new")
        yield f"times of folder after failed {name}", of_folder(call, "x", inside="file")
    for kind in KINDS:
        remove: Call = os.rmdir if kind == "folder" else os.unlink
        yield f"times of folder after removal of {kind}", of_folder(remove, "x", inside=kind)
        yield f"times of folder after rename of {kind}", of_folder(_rename, "x", inside=kind)


def _names() -> Iterator[Named]:
    calls: dict[str, Call] = {
        **MAKERS,
        "stat": lambda path: os.stat(path) and None,
        "lstat": lambda path: os.lstat(path) and None,
        "unlink": os.unlink,
        "rmdir": os.rmdir,
        "chmod": lambda path: os.chmod(path, 0o600),
        "chown": lambda path: os.chown(path, 1, 1),
        "truncate": lambda path: os.truncate(path, 0),
        "utimens": os.utime,
        "rename to": lambda path: os.rename("file", path),
        "rename from": lambda path: os.rename(path, "new"),
        "readlink": lambda path: os.readlink(path) and None,
    }
    names = {
        "255 bytes": "n" * 255,
        "256 bytes": "n" * 256,
        "below a file": "file/x",
        "a file with a slash": "file/",
        "missing": "missing",
        "missing with a slash": "missing/",
        "below a missing one": "missing/x",
        "in a circle": "circle/x",
        "a circle": "circle",
        "a folder with a slash": "folder/",
        "a folder with a dot": "folder/.",
        "two dots": "folder/..",
        "empty": "",
        "below a link": "to-folder/x",
        "a link with a slash": "to-folder/",
        "dangling": "dangling",
        "too long": "x/" * 2048 + "x",
    }
    for call, make in calls.items():
        for name, path in names.items():

            def case(at: Place, make: Call = make, path: str = path) -> object:
                at.make("file", "file")
                at.folder("folder")
                (at / "to-folder").symlink_to("folder")
                (at / "circle").symlink_to("circle")
                (at / "dangling").symlink_to("nothing")
                return outcome(lambda: make(path)), at.seen()  # type: ignore[arg-type]

            yield f"{call} {name}", case


def _ways() -> Iterator[Named]:
    """What happens to what is open, and to places that contain each other."""

    def open_and_gone(at: Place) -> object:
        path = at.make("x", "file", 0o640)
        number = os.open(path, os.O_RDWR)
        path.unlink()
        os.fchmod(number, 0o611)
        os.ftruncate(number, 3)
        told = os.fstat(number)
        read = os.pread(number, 9, 0)
        os.close(number)
        return oct(told.st_mode), told.st_nlink, told.st_size, told.st_uid, read, at.seen()

    def open_and_replaced(at: Place) -> object:
        path, other = at.make("x", "file"), at.make("y", "file")
        other.write_bytes(b"other")
        number = os.open(path, os.O_RDWR)
        other.rename(path)
        told = os.pread(number, 99, 0), os.fstat(number).st_nlink, path.read_bytes()
        os.close(number)
        return told

    def into_itself(at: Place) -> object:
        folder = at.folder("d")
        (folder / "e").mkdir()
        return [
            outcome(lambda: folder.rename(folder / "e" / "d")),
            outcome(lambda: folder.rename(folder / "d")),
            outcome(lambda: (folder / "e").rename(folder)),
            outcome(lambda: os.rename(folder, folder)),
        ]

    def made_without_rights(at: Place) -> object:
        with umask(0):
            number = os.open(at / "x", os.O_RDWR | os.O_CREAT, 0o000)
        os.write(number, b"written")
        told = os.pread(number, 9, 0)
        os.close(number)
        return told, at.seen()

    def folder_open_and_gone(at: Place) -> object:
        folder = at.folder("d")
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        folder.rmdir()
        told = outcome(lambda: os.fstat(number) and None)
        os.close(number)
        return [told, at.seen()]

    for kind in KINDS:

        def linked(at: Place, kind: str = kind) -> object:
            path = at.make("x", kind)
            return [outcome(lambda: os.link(path, at / "y", follow_symlinks=False)), at.path.is_dir()]

        yield f"link to {kind}", linked
    yield "a file that is open and gone", open_and_gone
    yield "a folder that is open and gone", folder_open_and_gone
    yield "a file that is open and replaced", open_and_replaced
    yield "a folder into itself", into_itself
    yield "a file that is made without rights", made_without_rights


def _links_of_folders() -> Iterator[Named]:
    def case(at: Place) -> object:
        first, second = at.folder("a"), at.folder("b")
        counts = []

        def count() -> None:
            counts.append((first.stat().st_nlink, second.stat().st_nlink))

        count()
        (first / "sub").mkdir()
        (first / "file").touch()
        count()
        (first / "sub").rename(second / "sub")
        count()
        (second / "sub").rmdir()
        count()
        return counts

    yield "link counts of folders", case
