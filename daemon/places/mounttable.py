"""The kernel's list of mounts, as far as it concerns mountfs."""

from __future__ import annotations

import errno
import os
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from daemon.places import outside

MOST_LINKS = 40
"""On the way to a file; the kernel follows no more either (path_resolution(7))."""

FILE_SYSTEM_TYPE = "fuse.mountfs"
"""What ``subtype=mountfs`` makes of the mount's type; PRUNEFS of updatedb can name it."""

_MOUNTINFO = Path("/proc/self/mountinfo")
_OWNER = re.compile(r"user_id=[0-9]+")
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class MountEntry:
    """One mount: where, of which type, and what it calls its source. *device* is the number of the file
    system, and *root* the folder of it that is shown there: not ``/`` where that alone is bound. *owner*: who
    mounted it by FUSE; None: the table does not say. *is_for_all*: others may look in (``allow_other``)."""

    mountpoint: Path
    kind: str
    source: str
    device: str = ""
    root: str = "/"
    owner: int | None = None
    is_for_all: bool = False

    @property
    def is_ours(self) -> bool:
        return self.kind == FILE_SYSTEM_TYPE

    def heeds(self, uid: int) -> bool:
        """Whether its process takes commands of user *uid*: of root as well, where that may look in."""
        return self.owner in (None, uid) or (uid == 0 and self.is_for_all)


def parse_mountinfo(text: str) -> list[MountEntry]:
    """The entries of /proc/PID/mountinfo, in the order of mounting; format in proc(5)."""
    return [entry for line in text.splitlines() if (entry := _parsed(line)) is not None]


# A mount asks for the table a dozen times while it begins, and goes on asking; hardly a line of it changes.
@lru_cache(maxsize=1_000)
def _parsed(line: str) -> MountEntry | None:
    before, _, after = line.partition(" - ")
    fields, tail = before.split(" "), after.split(" ")
    if len(fields) < 5 or len(tail) < 2:
        return None
    root, mountpoint = _unescape(fields[3]), Path(_unescape(fields[4]))
    options = "".join(tail[2:3]).split(",")
    owner = next((int(each[8:]) for each in options if _OWNER.fullmatch(each)), None)
    source, is_for_all = _unescape(tail[1]), "allow_other" in options
    return MountEntry(mountpoint, tail[0], source, fields[2], root, owner, is_for_all)


def _unescape(field: str) -> str:
    """The kernel writes space, tab, newline and backslash as octal escapes."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), field)


def read_mounts() -> list[MountEntry]:
    """All mounts this process can see."""
    return parse_mountinfo(os.fsdecode(_MOUNTINFO.read_bytes()))


def mount_at(path: Path, mounts: Iterable[MountEntry]) -> MountEntry | None:
    """The mount whose root is *path*, the topmost if several are stacked."""
    return next((entry for entry in reversed(list(mounts)) if entry.mountpoint == path), None)


def mount_above(path: Path, mounts: Iterable[MountEntry]) -> MountEntry | None:
    """The mount that *path*, absolute and free of symbolic links, lies on."""
    # By their texts: as paths they are taken apart each time, and a command asks for hundreds of pairs.
    below = f"{path}/"
    candidates = [entry for entry in mounts if below.startswith(f"{entry.mountpoint}/".replace("//", "/"))]
    # The deepest one; of several on one directory, max keeps the first it sees, so the latest goes first.
    return max(reversed(candidates), key=lambda entry: len(str(entry.mountpoint)), default=None)


def original(entry: MountEntry, mounts: Iterable[MountEntry]) -> MountEntry:
    """What *entry* is a bind mount of (mount --bind): the first mount of all of its file system. *entry*
    itself where it is that one, or that one is not to be seen."""
    if not entry.device:
        return entry
    whole = (each for each in mounts if each.device == entry.device and each.root == "/")
    return next(whole, entry)


def resolved(path: Path, mounts: Sequence[MountEntry], *, is_itself: bool = False) -> Path:
    """*path*, which need not exist, as the table spells it: absolute, without links and dots. OSError.

    As realpath(3), but another process asks for the links in a mount of ours: whoever asks one that hangs
    hangs with it. In one that does not answer no link is followed; TimeoutError where ``..`` comes after what
    may be one. *is_itself*: where *path* ends with a link in a mount of ours, it is the link, as for
    lstat(2).
    """
    at = Path("/")
    left = deque(path.absolute().parts)
    links = 0
    while left:
        part = left.popleft()
        step = at.parent if part == ".." else at / part
        above = mount_above(step, mounts)
        is_ours = above is not None and above.is_ours
        if above is not None and is_ours and step != above.mountpoint:
            return _followed(step.joinpath(*left), is_itself=is_itself)
        target = None if is_ours else _link_at(step)
        if target is None:
            at = step
            continue
        links += 1
        if links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        left.extendleft(reversed(Path(target).parts))
    return at


def _followed(path: Path, *, is_itself: bool) -> Path:
    """*path*, which lies on a mount of ours, and has links and dots in it from there on."""
    try:
        if is_itself and path.name != "..":
            return outside.followed(path.parent) / path.name
        return outside.followed(path)
    except OSError as error:  # the mount does not answer, or no process can be started
        if ".." not in path.parts:
            return path
        # The folder above a link is another one than that above where it leads to.
        reason = "a mount that it leads through does not answer"
        raise TimeoutError(errno.ETIMEDOUT, reason, os.fspath(path)) from error


def _link_at(path: Path) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115 - the system call itself
    except OSError:
        return None
