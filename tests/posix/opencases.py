"""open(2) with every combination of flags, on everything that may stand at a path."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from itertools import product

from tests.posix.cases import Named
from tests.posix.place import OTHER, OWNER, ROOT, Place, User, acting_as, outcome, umask

FLAGS = {
    "creat": os.O_CREAT,
    "excl": os.O_EXCL,
    "trunc": os.O_TRUNC,
    "append": os.O_APPEND,
    "nofollow": os.O_NOFOLLOW,
    "directory": os.O_DIRECTORY,
}
ACCESS = {"reading": os.O_RDONLY, "writing": os.O_WRONLY, "both": os.O_RDWR}
TARGETS = ("nothing", "file", "read-only file", "folder", "link to a file", "link to a folder", "dangling")
USERS = {"root": ROOT, "owner": OWNER, "other": OTHER}


def open_cases() -> Iterator[Named]:
    """A case for each target, way and user; it tells of all 64 combinations of the other flags."""
    for target, (way, access), (who, user) in product(
        (*TARGETS, "fifo", "socket"), ACCESS.items(), USERS.items()
    ):

        def case(at: Place, target: str = target, access: int = access, user: User = user) -> object:
            at.path.chmod(0o777)
            told: dict[str, object] = {}
            made = False
            for chosen in product((False, True), repeat=len(FLAGS)):
                names = [name for name, is_set in zip(FLAGS, chosen, strict=True) if is_set]
                flags = access | sum(FLAGS[name] for name in names)
                if not made:
                    _make(at, target)
                with acting_as(user), umask(0o022):
                    answer = outcome(lambda flags=flags: _opened(at, flags))  # type: ignore[misc]
                told[" ".join(names)] = answer
                made = not answer.startswith("(") or not flags & (os.O_CREAT | os.O_TRUNC)
                if not made:
                    told[f"{' '.join(names)}: then"] = at.seen()
                    at.clear()
            return told

        yield f"open {target} for {way} by {who}, all flags", case


def _make(at: Place, target: str) -> None:
    match target:
        case "nothing":
            pass
        case "read-only file":
            at.make("x", "file", 0o444)
        case "link to a file" | "link to a folder":
            at.make("y", target.removeprefix("link to a "), 0o666)
            (at / "x").symlink_to("y")
        case _:
            at.make("x", target, 0o666)


def _opened(at: Place, flags: int) -> object:
    """Of a file: its size, what a write of a byte comes to, where the open may have changed it anyway, and
    where the next byte goes."""
    number = os.open(at / "x", flags | os.O_NONBLOCK, 0o640)
    try:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            return "other"
        changes = flags & (os.O_CREAT | os.O_TRUNC)
        told = outcome(lambda: os.write(number, b"w")) if changes else ""
        return status.st_size, told, os.lseek(number, 0, os.SEEK_CUR)
    finally:
        os.close(number)
