"""The kernel's list of mounts, as far as it concerns mountfs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FILE_SYSTEM_TYPE = "fuse.mountfs"
"""What ``subtype=mountfs`` makes of the mount's type; PRUNEFS of updatedb can name it."""

_MOUNTINFO = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class MountEntry:
    """One mount: where, of which type, and what it calls its source."""

    mountpoint: Path
    kind: str
    source: str

    @property
    def is_ours(self) -> bool:
        return self.kind == FILE_SYSTEM_TYPE


def parse_mountinfo(text: str) -> list[MountEntry]:
    """The entries of /proc/PID/mountinfo, in the order of mounting; format in proc(5)."""
    entries = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, tail = before.split(" "), after.split(" ")
        if len(fields) >= 5 and len(tail) >= 2:
            entries.append(MountEntry(Path(_unescape(fields[4])), tail[0], _unescape(tail[1])))
    return entries


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
    candidates = [entry for entry in mounts if path.is_relative_to(entry.mountpoint)]
    # The deepest one; of several on one directory, max keeps the first it sees, so the latest goes first.
    return max(reversed(candidates), key=lambda entry: len(entry.mountpoint.parts), default=None)
