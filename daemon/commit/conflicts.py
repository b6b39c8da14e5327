"""What the second copy of a file is called when somebody else was first. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from mountfs.model.path import RemotePath

_SUFFIX = re.compile(r" \(conflicted copy [^()]*\)$")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


def copy_beside(
    path: RemotePath, host: str, date: str, most_chars: int, is_taken: Callable[[RemotePath], bool]
) -> RemotePath:
    """``name (conflicted copy HOST DATE).ext`` in the same folder, numbered from 2 on while taken.

    A copy of a copy is named after the original. The stem is cut where the name would be too long.
    """
    stem, dot, extension = path.name.rpartition(".")
    # What is that long is no extension, and would leave no room for the mark.
    if not stem or len(extension) > most_chars // 2:
        stem, dot, extension = path.name, "", ""
    stem = _SUFFIX.sub("", stem) or stem
    label = _UNFIT.sub("-", host).strip("-") or "here"
    number = 1
    while True:
        mark = f" (conflicted copy {label} {date}{'' if number == 1 else f' {number}'})"
        tail = f"{mark}{dot}{extension}"
        copy = path.parent.child(stem[: max(1, most_chars - len(tail))] + tail)
        if not is_taken(copy):
            return copy
        number += 1
