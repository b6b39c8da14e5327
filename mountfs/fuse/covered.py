"""What of a mount something else is mounted over, whoever sees that: also in a container.

To take the name of such a file back would unmount it, in all name spaces.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class _Mount(NamedTuple):
    """A line of proc_pid_mountinfo(5)."""

    parent: bytes
    device: bytes
    root: bytes
    """What of its file system is there."""
    at: bytes


def covered(mountpoint: bytes) -> set[bytes]:
    """Paths within the file system at *mountpoint*, the top being "/". OSError."""
    own = _mounts((PROC / "self/mountinfo").read_bytes())
    device = next((each.device for each in reversed(own.values()) if each.at == mountpoint), None)
    if device is None:
        return set()
    return {path for told in set(_name_spaces(b" %s " % device)) for path in _in(_mounts(told), device)}


def _name_spaces(device: bytes) -> Iterator[bytes]:
    """What is mounted in those of all processes that have *device*."""
    for process in PROC.iterdir():
        if process.name.isdigit():
            with suppress(OSError):  # it has ended, or is somebody else's
                told = (process / "mountinfo").read_bytes()
                if device in told:
                    yield told


def _mounts(told: bytes) -> dict[bytes, _Mount]:
    """By number. Spaces and the like are octal escapes."""
    found: dict[bytes, _Mount] = {}
    for line in told.splitlines():
        number, parent, device, root, at = (codecs.escape_decode(word)[0] for word in line.split()[:5])
        found[number] = _Mount(parent, device, root, at)
    return found


def _in(mounts: dict[bytes, _Mount], device: bytes) -> Iterator[bytes]:
    for each in mounts.values():
        above = mounts.get(each.parent)
        if above is not None and above.device == device:
            below = each.at[len(above.at.rstrip(b"/")) :]
            yield above.root.rstrip(b"/") + below
